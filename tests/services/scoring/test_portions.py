"""Long texts are scored portion by portion."""

from collections.abc import AsyncIterator

import pytest

from assay.runner.internal.v1 import runner_pb2
from services.scoring.embedding import Embedder
from services.scoring.operations import score_executed
from shared import long_texts
from tests.servers import PostgresServer
from tests.services.scoring.events import Facts, a_case, heard
from tests.services.scoring.house import House, a_house

PORTION = 1000
LONG = {"question": "", "expected": "", "texts_by_id": True}


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.create(["scoring"])["scoring"]


@pytest.fixture
async def house(url: str, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(long_texts, "PORTION_BYTES", PORTION)
    async with a_house(url, embedder) as house:
        yield house


def texts(ord_: int, size: int, output: str | None = None) -> runner_pb2.CaseTexts:
    expected = str(ord_) * size
    return runner_pb2.CaseTexts(ord=ord_, question="q", expected=expected, output=output or expected)


async def test_a_portion_is_scored_before_the_next_is_fetched(house: House) -> None:
    run = Facts()
    house.runner.keeps(run, texts(1, 300), texts(2, 300), texts(3, 5000), texts(5, 300, "other"), texts(6, 10))
    long = [a_case(ord_, None, **LONG) for ord_ in (6, 3, 1, 2, 5)]
    await score_executed(house.parts, heard(run.executed(long[0], a_case(0), *long[1:], a_case(4, "wrong"))))
    assert house.runner.asked == [[1, 2, 3, 5, 6], [3, 5, 6], [5, 6]]
    assert await house.statuses(run) == [
        (0, "passed"),
        (1, "passed"),
        (2, "passed"),
        (3, "passed"),
        (4, "failed"),
        (5, "failed"),
        (6, "passed"),
    ]
    [told] = await house.told(run)
    assert [case.executed.ord for case in told.cases] == [6, 0, 3, 1, 2, 5, 4]
