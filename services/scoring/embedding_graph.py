"""The graph of all-MiniLM-L6-v2 in int8, written node by node from the published weights.

Activations are quantised per token, not per tensor as the stock dynamic quantiser does it: with one scale for a
whole batch a text's vector depends on the texts that share its batch (measured: cosines moved by up to 0.09), and
the same answer would pass in one run and fail in the next.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

LAYERS = 6
HEADS = 12
HIDDEN = 384
OPSET = 21
# The oldest intermediate representation that carries opset 21, so that older runtimes read the file.
IR_VERSION = 10
EPSILON = 1e-12
INT8_MAX = 127
# Activations are unsigned around this zero point: u8 x s8 is the fast integer product of the CPU kernels.
ZERO_POINT = 128
CONTRIB = "com.microsoft"

Array = NDArray[np.generic]
Constant = Array | np.generic
Weights = Mapping[str, NDArray[np.float32]]


class _Graph:
    """Collects nodes and constants; each call names its own result."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Array] = {}

    def constant(self, name: str, value: Constant) -> str:
        self.constants[name] = np.asarray(value)
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.nodes_of(kind, 1, *inputs, **attributes)[0]

    def nodes_of(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        outputs = [f"{kind}_{len(self.nodes)}_{i}" for i in range(count)]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs


def build(weights: Weights) -> ModelProto:
    """The model: `ids` and `mask` (int64, batch x tokens) to `vector` (float32, batch x 384, length 1).

    weights are the tensors of the published safetensors file, by their names there.
    """
    graph = _Graph()
    _shared_constants(graph)
    mask = graph.node("Cast", "mask", to=TensorProto.INT32)
    hidden = _embedded(graph, weights)
    for layer in range(LAYERS):
        hidden = _layer(graph, weights, f"encoder.layer.{layer}.", hidden, mask)
    _pooled(graph, hidden)
    return _model(graph)


def _shared_constants(graph: _Graph) -> None:
    graph.constant("int8_max", np.float32(INT8_MAX))
    graph.constant("tiny", np.float32(1e-9))
    graph.constant("zero", np.float32(0))
    graph.constant("middle", np.float32(ZERO_POINT))
    graph.constant("middle_u8", np.uint8(ZERO_POINT))
    for axis in (-1, 0, 1, 2):
        graph.constant(f"axis_{axis}", np.array([axis], np.int64))


def _per_row(values: NDArray[np.float32]) -> tuple[Array, NDArray[np.float32]]:
    """Int8 rows and the float scale of each row."""
    scale = (np.abs(values).max(axis=1) / INT8_MAX).astype(np.float32)
    quantised = np.round(values / scale[:, None]).clip(-INT8_MAX, INT8_MAX)
    return quantised.astype(np.int8), scale


def _embedded(graph: _Graph, weights: Weights) -> str:
    words, scale = _per_row(weights["embeddings.word_embeddings.weight"])
    rows = graph.node("Cast", graph.node("Gather", graph.constant("words", words), "ids"), to=TensorProto.FLOAT)
    scales = graph.node("Gather", graph.constant("word_scales", scale[:, None]), "ids")
    # A single text has token type 0 throughout, so its embedding is part of the position's.
    types = weights["embeddings.token_type_embeddings.weight"][0]
    positions = graph.constant("positions", weights["embeddings.position_embeddings.weight"] + types)
    length = graph.node("Shape", "ids", start=1, end=2)
    start = graph.constant("start", np.array([0], np.int64))
    placed = graph.node("Slice", positions, start, length, "axis_0")
    return _normalised(graph, weights, "embeddings.LayerNorm", graph.node("Mul", rows, scales), placed)


def _layer(graph: _Graph, weights: Weights, prefix: str, hidden: str, mask: str) -> str:
    attended = _attention(graph, weights, f"{prefix}attention.", hidden, mask)
    hidden = _normalised(graph, weights, f"{prefix}attention.output.LayerNorm", attended, hidden)
    inner = graph.node("Gelu", _linear(graph, weights, [f"{prefix}intermediate.dense"], hidden))
    outer = _linear(graph, weights, [f"{prefix}output.dense"], inner)
    return _normalised(graph, weights, f"{prefix}output.LayerNorm", outer, hidden)


def _attention(graph: _Graph, weights: Weights, prefix: str, hidden: str, mask: str) -> str:
    names = [f"{prefix}self.{part}" for part in ("query", "key", "value")]
    together = _linear(graph, weights, names, hidden)
    query, key, value = graph.nodes_of("Split", 3, together, axis=-1, num_outputs=3)
    heads = graph.node("MultiHeadAttention", query, key, value, "", mask, domain=CONTRIB, num_heads=HEADS)
    return _linear(graph, weights, [f"{prefix}output.dense"], heads)


def _linear(graph: _Graph, weights: Weights, names: list[str], hidden: str) -> str:
    """The dense layers of these names side by side, as one integer product."""
    matrix = np.concatenate([weights[f"{name}.weight"] for name in names])
    bias = np.concatenate([weights[f"{name}.bias"] for name in names])
    quantised, scale = _per_row(matrix)
    rows, row_scale = _quantised_rows(graph, hidden, matrix.shape[1])
    name = names[0]
    weight = graph.constant(f"{name}.weight", np.ascontiguousarray(quantised.T))
    product = graph.node("MatMulInteger", rows, weight, "middle_u8")
    scaled = graph.node("Mul", graph.node("Cast", product, to=TensorProto.FLOAT), row_scale)
    scaled = graph.node("Mul", scaled, graph.constant(f"{name}.scale", scale))
    return graph.node("Add", scaled, graph.constant(f"{name}.bias", bias))


def _quantised_rows(graph: _Graph, hidden: str, width: int) -> tuple[str, str]:
    """Each token's row as uint8 around 128, and its scale (batch x tokens x 1)."""
    largest = graph.node("ReduceMax", graph.node("Abs", hidden), "axis_-1", keepdims=1)
    scale = graph.node("Max", graph.node("Div", largest, "int8_max"), "tiny")
    # QuantizeLinear wants one zero point per scale.
    middles = graph.node("Add", graph.node("Mul", scale, "zero"), "middle")
    zero_points = graph.node("Cast", middles, to=TensorProto.UINT8)
    return graph.node("QuantizeLinear", hidden, scale, zero_points, axis=2, block_size=width), scale


def _normalised(graph: _Graph, weights: Weights, name: str, one: str, other: str) -> str:
    weight = graph.constant(f"{name}.weight", weights[f"{name}.weight"])
    bias = graph.constant(f"{name}.bias", weights[f"{name}.bias"])
    return graph.node("LayerNormalization", graph.node("Add", one, other), weight, bias, axis=-1, epsilon=EPSILON)


def _pooled(graph: _Graph, hidden: str) -> None:
    """The mean over the real tokens, at length 1: dividing by their number would change nothing."""
    mask = graph.node("Unsqueeze", graph.node("Cast", "mask", to=TensorProto.FLOAT), "axis_2")
    total = graph.node("ReduceSum", graph.node("Mul", hidden, mask), "axis_1", keepdims=0)
    graph.nodes.append(helper.make_node("LpNormalization", [total], ["vector"], axis=-1, p=2))


def _model(graph: _Graph) -> ModelProto:
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "tokens"]) for n in ("ids", "mask")]
    outputs = [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", HIDDEN])]
    constants = [numpy_helper.from_array(value, name) for name, value in graph.constants.items()]
    body = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2-int8", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION)
