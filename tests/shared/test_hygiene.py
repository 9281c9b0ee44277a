"""What neither Postgres nor clients can take."""

import json
import math
from typing import Any

import pytest
from google.protobuf import struct_pb2
from hypothesis import given, strategies as st

from assay.catalog.internal.v1 import parts_pb2
from assay.catalog.v1 import contexts_pb2
from assay.common.internal.v1 import outbox_pb2
from shared import hygiene

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\0", max_size=2), inner, max_size=3),
    max_leaves=20,
)


def _request(parameters: dict[str, Any], **fields: Any) -> contexts_pb2.CreateContextRequest:
    request = contexts_pb2.CreateContextRequest(**fields)
    request.parameters.update(parameters)
    return request


def _nested(levels: int, leaf: object = 1) -> Any:
    value = leaf
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return {"a": value}


@given(st.dictionaries(st.text("ab\0", max_size=2), JSON, max_size=4))
def test_u0000_is_found_wherever_it_is(parameters: dict[str, Any]) -> None:
    found = list(hygiene.faults(_request(parameters)))
    assert bool(found) == ("\\u0000" in json.dumps(parameters))
    assert all(fault == "must not contain U+0000" for _, fault in found)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@given(where=st.integers(1, 8))
def test_numbers_that_are_not_finite_are_found_at_any_depth(number: float, where: int) -> None:
    assert [fault for _, fault in hygiene.faults(_request(_nested(where, number)))] == ["must be a finite number"]


def test_paths_are_those_of_the_callers_json() -> None:
    request = _request({"stop": ["a", {"b": "\0"}], "c\0": 1, "top_p": math.nan}, name="x\0", statement="fine")
    assert dict(hygiene.faults(request)) == {
        "name": "must not contain U+0000",
        "parameters.stop[1].b": "must not contain U+0000",
        "parameters": "must not contain U+0000",
        "parameters.top_p": "must be a finite number",
    }


@pytest.mark.parametrize(("levels", "ok"), [(1, True), (31, True), (32, False), (40, False)])
def test_json_may_be_nested_32_deep(levels: int, ok: bool) -> None:  # noqa: FBT001 a column of a table
    assert (not list(hygiene.faults(_request(_nested(levels))))) == ok


def test_bytes_are_no_text() -> None:
    assert not list(hygiene.faults(outbox_pb2.OutboxEvent(seq=1, payload=b"\0")))


def test_maps_of_texts_are_looked_into() -> None:
    evaluator = parts_pb2.Evaluator(mapping={"output": "a\0", "input": "b"})
    assert list(hygiene.faults(evaluator)) == [("output", "must not contain U+0000")]


def test_a_plain_struct_has_no_faults() -> None:
    value = struct_pb2.Struct()
    value.update({"temperature": 0.5, "stop": ["\n"], "n": None, "deep": {"x": [True]}})
    assert not list(hygiene.faults(value))


@pytest.mark.parametrize(
    ("text", "clean", "replaced"),
    [
        ("", "", False),
        ("né 😀\ufffd", "né 😀\ufffd", False),
        ("a\0b", "a\ufffdb", True),
        ("\ud800", "\ufffd", True),
        ("x\udcffy\0", "x\ufffdy\ufffd", True),
    ],
)
def test_what_a_target_answered_is_made_fit_for_storage(text: str, clean: str, replaced: bool) -> None:  # noqa: FBT001 a column of a table
    assert hygiene.cleaned(text) == (clean, replaced)


@given(st.text(st.characters(categories=["Cs", "Cc", "L"])))
def test_any_answer_can_be_stored_and_keeps_its_length(text: str) -> None:
    clean, replaced = hygiene.cleaned(text)
    assert "\0" not in clean.encode().decode()
    assert (len(clean), replaced) == (len(text), clean != text)
