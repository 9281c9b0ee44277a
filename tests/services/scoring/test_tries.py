"""Events that come again: what an outage costs them (nothing), and what becomes of one that can't be scored."""

import asyncio
import contextlib
import multiprocessing
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime

import asyncpg
import grpc
import pytest

from assay.runner.internal.v1 import events_pb2
from services.scoring import registry
from services.scoring.embedding import Embedder
from services.scoring.entities import Cosine, Endpoint, Item, JudgeAnswer, JudgePrompt, Score
from services.scoring.evaluations import Evaluations
from services.scoring.operations import Parts, score_executed
from services.scoring.scorers import Scorers
from services.scoring.tries import MAX_TRIES, Tries
from services.scoring.verdicts import Judges
from shared.consumer import Received
from shared.long_texts import LongTexts, Portion
from shared.postgres import Database, open_pool
from tests.servers import PostgresServer
from tests.services.scoring.chat_server import ChatServer
from tests.services.scoring.events import Facts, a_case, again, heard
from tests.services.scoring.house import SCORED_AT, House, a_house

GIVEN_UP = "scoring was tried 5 times and never ended"


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.create(["scoring"])["scoring"]


@pytest.fixture
async def house(url: str, embedder: Embedder) -> AsyncIterator[House]:
    async with a_house(url, embedder) as house:
        await house.execute("TRUNCATE tries")
        yield house


async def test_without_the_catalog_an_event_comes_again_uncounted(house: House, server: ChatServer) -> None:
    run = Facts()
    house.catalog.away = True
    house.catalog.judges_for(run, server.base_url)
    events = heard(run.executed(a_case(output="It takes five days.", test_method="semantic_quality")))
    for deliveries in (1, 2, 3):
        with pytest.raises(grpc.RpcError, match="can't be reached"):
            await score_executed(house.parts, again(events, deliveries))
    assert (await house.told(run), await house.tries()) == ([], [])
    house.catalog.away = False
    await score_executed(house.parts, again(events, 9))
    assert await house.statuses(run) == [(0, "passed")]


class _Failing(LongTexts):
    """A way to a runner that fails as it is told to."""

    def __init__(self, *faults: BaseException) -> None:
        self._faults = list(faults)

    @contextlib.asynccontextmanager
    async def portion(self, *_: object) -> AsyncIterator[Portion]:
        raise self._faults.pop(0)
        yield Portion({}, [])


OUTAGES = [OSError("reset"), TimeoutError(), asyncio.CancelledError()]


@pytest.mark.parametrize("outage", OUTAGES, ids=repr)
async def test_an_outage_in_the_middle_is_not_counted(house: House, outage: BaseException) -> None:
    events = heard(Facts().executed(a_case(0, None, texts_by_id=True)), deliveries=2)
    with pytest.raises(type(outage)):
        await score_executed(replace(house.parts, long_texts=_Failing(outage)), events)
    assert await house.tries() == []


async def test_an_outage_of_postgres_itself_is_taken_back_later(url: str, house: House) -> None:
    pool = await open_pool(url, 1)
    tries = Tries(Database(pool))
    with pytest.raises(OSError, match="gone"):
        await _lose_postgres(tries, pool)
    assert await house.tries() == [1]
    tries._database = house.parts.database
    assert await tries.suspected([-1]) == set()
    async with tries.counted([-1]):
        assert await house.tries() == [1]


async def _lose_postgres(tries: Tries, pool: asyncpg.Pool) -> None:
    async with tries.counted([-1]):
        await pool.close()
        raise OSError("gone")


async def test_an_event_that_always_fails_becomes_errors(house: House) -> None:
    """Its own fault, not an outage: it must not keep its run open for ever."""
    run = Facts()
    [bad] = heard(run.executed(a_case(0), a_case(1, None, error="timed out")))
    faults = [ValueError("not to be scored")] * (MAX_TRIES + 1)
    parts = replace(house.parts, judges=replace(house.parts.judges, scorers=_Broken(faults)))
    for deliveries in range(1, MAX_TRIES + 2):
        with pytest.raises(ValueError, match="not to be scored"):
            await score_executed(parts, again([bad], deliveries))
    assert await house.tries() == [MAX_TRIES]
    await score_executed(parts, again([bad], MAX_TRIES + 2))
    [told] = await house.told(run)
    assert [each.scores[0].error for each in told.cases] == [GIVEN_UP, "timed out"]
    assert (await house.stored(run), await house.tries()) == (["error", "error"], [])


class _Broken(Scorers):
    """Scorers with a fault of their own."""

    def __init__(self, faults: list[ValueError]) -> None:
        self._faults = faults

    async def score(self, items: Sequence[Item]) -> list[Score]:  # noqa: ARG002 the real one's signature
        raise self._faults.pop()


async def test_an_event_from_an_outbox_is_counted_too(house: House) -> None:
    parts = replace(house.parts, judges=replace(house.parts.judges, scorers=_Broken([ValueError("no")])))
    with pytest.raises(ValueError, match="no"):
        await score_executed(parts, heard(Facts().executed(a_case()), deliveries=0))
    assert await house.tries() == [1]


async def test_an_event_that_kills_the_process_is_given_up_and_takes_no_other_with_it(url: str, house: House) -> None:
    before, deadly, after = Facts(), Facts(), Facts()
    events = heard(
        before.executed(a_case(test_method="similarity")),
        deadly.executed(a_case(0, "die", test_method="similarity"), a_case(1, None, error="timed out")),
        after.executed(a_case(test_method="similarity")),
    )
    ends = [await _try_in_a_process(url, again(events, deliveries)) for deliveries in range(1, MAX_TRIES + 3)]
    assert ends == [DEATH] * (MAX_TRIES + 1) + [0]
    assert (await house.statuses(before), await house.statuses(after)) == ([(0, "passed")], [(0, "passed")])
    [told] = await house.told(deadly)
    assert [each.scores[0].error for each in told.cases] == [GIVEN_UP, "timed out"]
    assert await house.tries() == []


DEATH = 9


class _Deadly:
    """Compares texts, and dies of one."""

    async def similarities(self, pairs: Sequence[tuple[str, str]]) -> list[Cosine]:
        if any(output == "die" for _, output in pairs):
            os._exit(DEATH)
        return [Cosine(1.0)] * len(pairs)

    async def ask(self, endpoint: Endpoint, prompt: JudgePrompt) -> JudgeAnswer:
        raise NotImplementedError


def _clock() -> datetime:
    return SCORED_AT


def _one_try(url: str, events: Sequence[tuple[int, bytes, int]]) -> None:
    async def attempt() -> None:
        database = Database(await open_pool(url, 2))
        scorers = Scorers(_Deadly(), _Deadly())
        judges = Judges(scorers, Evaluations(registry.load(), scorers, _Deadly()))
        parts = Parts(database, judges, None, None, Tries(database), _clock)  # type: ignore[arg-type] # nobody is asked
        await score_executed(
            parts, [Received(seq, events_pb2.CasesExecuted.FromString(payload), deliveries) for seq, payload, deliveries in events]
        )
        await database.close()

    asyncio.run(attempt())


async def _try_in_a_process(url: str, events: Sequence[Received]) -> int | None:
    # Forked from a server of its own that has seen no thread and no loop.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    spelled = [(event.seq, event.message.SerializeToString(), event.deliveries) for event in events]
    process = context.Process(target=_one_try, args=(url, spelled))
    process.start()
    await asyncio.to_thread(process.join, 30)
    return process.exitcode
