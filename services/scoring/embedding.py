"""Sentence vectors on the CPU: all-MiniLM-L6-v2 in int8, built once from an installed package and cached.

`python -m services.scoring.embedding build` builds it ahead of the first use, into ASSAY_MODEL_DIR.
"""

import asyncio
import hashlib
import sys
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.scoring.embedding_files import EmbeddingUnavailableError, build, directory
from services.scoring.entities import Cosine

WIDTH = 384
CLS, SEP = 101, 102
# The model was made for 256 word pieces, [CLS] and [SEP] among them.
CHUNK = 254
MAX_CHUNKS = 64
MAX_CHARS = 200_000
BATCH = 32
# Keeps a batch of long chunks from needing hundreds of megabytes for its attention.
BATCH_TOKENS = 4_096
CACHED_VECTORS = 16_384

Vectors = NDArray[np.float32]
Tokens = NDArray[np.int64]


class Embedder:
    """Compares texts by their vectors. Loads the model at the first use, in a thread of its own that does all the work."""

    def __init__(self, models: Path, threads: int = 2) -> None:
        self._models = models
        self._threads = threads
        # One worker: the runtime's own threads use the cores, and the cache needs no lock.
        self._worker = ThreadPoolExecutor(1, "embedding")
        self._cache = _Cache(CACHED_VECTORS)
        self._model: _Model | None = None

    async def similarities(self, pairs: Sequence[tuple[str, str]]) -> list[Cosine]:
        """The cosine of each pair, clipped at 0 and rounded to 4 places; long texts are compared in chunks.

        Raises EmbeddingUnavailableError if there is no model, and whatever the tokenizer says about a text it can't read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._compare, pairs)

    def close(self) -> None:
        """Ends the worker thread when its work in hand is done."""
        self._worker.shutdown()

    def _compare(self, pairs: Sequence[tuple[str, str]]) -> list[Cosine]:
        different = {text for pair in pairs if pair[0] != pair[1] for text in pair}
        vectors = self._vectors(sorted(different))
        return [_cosine(vectors, *pair) for pair in pairs]

    def _vectors(self, texts: Sequence[str]) -> dict[str, "_Embedded"]:
        found = {text: known for text in texts if (known := self._cache.get(text)) is not None}
        missing = [text for text in texts if text not in found]
        if not missing:
            return found
        if self._model is None:
            self._model = _load(self._models, self._threads)
        for text, made in zip(missing, self._model.embed(missing), strict=True):
            found[text] = made
            self._cache.put(text, made)
        return found


@dataclass(frozen=True, slots=True)
class _Embedded:
    """The vectors of a text's chunks (chunks x 384), and whether some of the text was left out."""

    vectors: Vectors
    truncated: bool


class _Cache:
    """The texts embedded last, bounded by the number of their vectors; keyed by hash, so that long texts aren't kept."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._entries: OrderedDict[bytes, _Embedded] = OrderedDict()

    def get(self, text: str) -> _Embedded | None:
        key = _key(text)
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def put(self, text: str, entry: _Embedded) -> None:
        self._entries[_key(text)] = entry
        self._held += len(entry.vectors)
        while self._held > self._most:
            _, oldest = self._entries.popitem(last=False)
            self._held -= len(oldest.vectors)

    def __len__(self) -> int:
        return self._held


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _cosine(vectors: dict[str, _Embedded], one: str, other: str) -> Cosine:
    if one == other:
        return Cosine(1.0)
    a, b = vectors[one], vectors[other]
    return Cosine(_max_mean(a.vectors, b.vectors), a.truncated or b.truncated)


def _max_mean(a: Vectors, b: Vectors) -> float:
    """Each chunk's best match on the other side, averaged over each side, then over the two sides."""
    table = a @ b.T
    value = (table.max(axis=1).mean() + table.max(axis=0).mean()) / 2
    return round(min(max(float(value), 0.0), 1.0), 4)


def _load(models: Path, threads: int) -> "_Model":
    import onnxruntime  # noqa: PLC0415 - 60 MB that only a process which embeds should hold
    from tokenizers import Tokenizer  # noqa: PLC0415 - the same

    try:
        folder = build(models).folder
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except OSError as error:
        raise EmbeddingUnavailableError(f"the embedding model can't be loaded: {error}") from error
    # The published file cuts at 128 pieces; chunks are cut here, so that no text loses its end unseen.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return _Model(session, tokenizer)


class _Model:
    def __init__(self, session: Any, tokenizer: Any) -> None:
        self._session = session
        self._tokenizer = tokenizer

    def embed(self, texts: Sequence[str]) -> list[_Embedded]:
        encodings = self._tokenizer.encode_batch([text[:MAX_CHARS] for text in texts], add_special_tokens=False)
        chunks = [_chunks(encoding.ids, encoding.tokens) for encoding in encodings]
        vectors = self._run([chunk for of_text in chunks for chunk in of_text[:MAX_CHUNKS]])
        made, start = [], 0
        for text, of_text in zip(texts, chunks, strict=True):
            end = start + min(len(of_text), MAX_CHUNKS)
            made.append(_Embedded(vectors[start:end], len(of_text) > MAX_CHUNKS or len(text) > MAX_CHARS))
            start = end
        return made

    def _run(self, chunks: Sequence[Sequence[int]]) -> Vectors:
        vectors = np.empty((len(chunks), WIDTH), np.float32)
        for batch in _batches([len(chunk) for chunk in chunks]):
            ids, mask = _padded([chunks[i] for i in batch])
            vectors[batch] = self._session.run(["vector"], {"ids": ids, "mask": mask})[0]
        return vectors


def _chunks(ids: Sequence[int], pieces: Sequence[str]) -> list[Sequence[int]]:
    """The text in chunks of about equal length, cut between words where it can be; an empty text is one empty chunk."""
    count = max(1, -(-len(ids) // CHUNK))
    length = -(-len(ids) // count)
    chunks, start = [], 0
    while start + length < len(ids):
        end = _word_start(pieces, start, start + length)
        chunks.append(ids[start:end])
        start = end
    return [*chunks, ids[start:]]


def _word_start(pieces: Sequence[str], start: int, end: int) -> int:
    """The last place at or before end where a word begins; end itself in a word that fills the chunk."""
    return next((i for i in range(end, start, -1) if not pieces[i].startswith("##")), end)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices by length, so that little of a batch is padding, within the limits of a batch."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if len(batch) == BATCH or (len(batch) + 1) * lengths[index] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _padded(chunks: Sequence[Sequence[int]]) -> tuple[Tokens, Tokens]:
    ids = np.zeros((len(chunks), max(map(len, chunks)) + 2), np.int64)
    mask = np.zeros_like(ids)
    for row, chunk in enumerate(chunks):
        ids[row, : len(chunk) + 2] = [CLS, *chunk, SEP]
        mask[row, : len(chunk) + 2] = 1
    return ids, mask


def main(arguments: Sequence[str]) -> int:
    """The command `build`: makes the model in ASSAY_MODEL_DIR and says what it did."""
    if list(arguments) != ["build"]:
        sys.stderr.write("usage: python -m services.scoring.embedding build\n")
        return 2
    try:
        built = build(directory())
    except EmbeddingUnavailableError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    size = sum(file.stat().st_size for file in built.folder.iterdir()) / 1e6
    done = f"built in {built.seconds:.1f} s" if built.made else "already built"
    sys.stdout.write(f"{built.folder}: {done}, {size:.1f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
