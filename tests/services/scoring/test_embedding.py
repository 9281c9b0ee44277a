"""The real model: what it knows, what it can't see, and that a text's vector depends on that text alone."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from services.scoring import embedding
from services.scoring.embedding import Embedder
from services.scoring.embedding_files import EmbeddingUnavailableError

PARAPHRASE = ("How old are you?", "What is your age?")
UNRELATED = ("The cat sits on the mat.", "Stock prices fell sharply on Monday.")


async def cosine(embedder: Embedder, one: str, other: str) -> float:
    return (await embedder.similarities([(one, other)]))[0].value


async def test_related_texts_are_near_and_others_are_not(embedder: Embedder) -> None:
    near, far = [found.value for found in await embedder.similarities([PARAPHRASE, UNRELATED])]
    assert near > 0.7
    assert far < 0.1


@pytest.mark.parametrize(
    ("one", "other", "least"),
    [
        ("The loan was approved.", "The loan was not approved.", 0.75),
        ("You can return the item.", "You cannot return the item.", 0.85),
        ("Take two tablets daily.", "Take ten tablets daily.", 0.85),
        ("Alice paid Bob.", "Bob paid Alice.", 0.95),
    ],
)
async def test_negation_numbers_and_roles_are_hardly_seen(embedder: Embedder, one: str, other: str, least: float) -> None:
    assert await cosine(embedder, one, other) > least


async def test_a_text_is_one_with_itself(embedder: Embedder) -> None:
    assert await cosine(embedder, "any text", "any text") == 1.0
    assert await cosine(embedder, "", "") == 1.0


async def test_company_in_the_batch_changes_no_cosine(embedder: Embedder) -> None:
    company = [(f"{'very ' * i}long company number {i}", f"{i} others") for i in range(40)]
    alone = Embedder(embedder._models)
    try:
        expected = await alone.similarities([PARAPHRASE])
    finally:
        alone.close()
    crowded = Embedder(embedder._models)
    try:
        assert (await crowded.similarities([*company, PARAPHRASE]))[-1] == expected[0]
    finally:
        crowded.close()


async def test_either_order_gives_the_same_cosine(embedder: Embedder) -> None:
    long = "Refunds take five days. " * 150
    assert await cosine(embedder, long, "Refunds are quick.") == await cosine(embedder, "Refunds are quick.", long)


async def test_a_long_text_is_read_to_its_end(embedder: Embedder) -> None:
    filler = "The weather in the mountains was mild and dry. " * 60
    whole = filler + "Penguins cannot fly. " * 30
    assert await cosine(embedder, whole, "Penguins cannot fly.") > await cosine(embedder, filler, "Penguins cannot fly.") + 0.2


async def test_only_so_much_of_a_huge_text_is_read_and_that_is_told(embedder: Embedder) -> None:
    (huge,) = await embedder.similarities([("word " * 60_000, "other")])
    (short,) = await embedder.similarities([("word", "other")])
    assert (huge.truncated, short.truncated) == (True, False)


async def test_embedding_leaves_the_event_loop_free(embedder: Embedder) -> None:
    task = asyncio.create_task(embedder.similarities([(f"a text number {i}", f"another text {i}") for i in range(300)]))
    turns = 0
    while not task.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 10


async def test_without_a_model_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.scoring.embedding_files.PACKAGE", "no-such-package")
    lost = Embedder(tmp_path)
    try:
        with pytest.raises(EmbeddingUnavailableError, match="no-such-package with the embedding model is not installed"):
            await lost.similarities([("a", "b")])
    finally:
        lost.close()


def test_the_cache_keeps_what_was_used_last() -> None:
    def an_entry(chunks: int) -> embedding._Embedded:
        return embedding._Embedded(np.zeros((chunks, 3), np.float32), truncated=False)

    cache = embedding._Cache(5)
    cache.put("a", an_entry(2))
    cache.put("b", an_entry(2))
    assert cache.get("a") is not None
    cache.put("c", an_entry(2))
    assert [cache.get(text) is not None for text in "abc"] == [True, False, True]
    assert len(cache) == 4


@given(st.lists(st.booleans(), max_size=2_000))
def test_chunks_lose_nothing_and_stay_within_the_model(begins: list[bool]) -> None:
    pieces = ["word" if begin else "##part" for begin in begins]
    ids = list(range(len(pieces)))
    chunks = embedding._chunks(ids, pieces)
    assert [index for chunk in chunks for index in chunk] == ids
    assert all(len(chunk) <= embedding.CHUNK for chunk in chunks)


def test_chunks_are_cut_between_words() -> None:
    pieces = ["word", "##part", "##end"] * 200
    assert all(chunk[0] % 3 == 0 for chunk in embedding._chunks(range(600), pieces))


@given(st.lists(st.integers(0, embedding.CHUNK), max_size=200))
@settings(max_examples=50)
def test_batches_hold_every_text_once_and_keep_their_limits(lengths: list[int]) -> None:
    batches = list(embedding._batches(lengths))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(len(batch) <= embedding.BATCH for batch in batches)
    assert all(len(batch) * max(lengths[i] for i in batch) <= embedding.BATCH_TOKENS for batch in batches)
