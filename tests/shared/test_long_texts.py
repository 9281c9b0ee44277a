"""Long texts are fetched portion by portion, and no more of them are held at a time than there is room for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import grpc
import pytest

from assay.runner.internal.v1 import runner_pb2, runner_pb2_grpc
from shared import long_texts
from shared.channels import ServiceIdentity, open_channel
from shared.errors import NotFound, Unavailable
from shared.ids import new_id
from shared.interceptors import Context
from shared.long_texts import LongTexts
from tests.services.reporting.peers import SERVICE_KEY, serving

PORTION = 1000
OURS, RUN = new_id(), str(new_id())


@dataclass
class Peer(runner_pb2_grpc.RunnerInternalServiceServicer):
    """Texts by ord, of one run; none: there is no such run."""

    texts: dict[int, runner_pb2.CaseTexts] = field(default_factory=dict)
    asked: list[Sequence[int]] = field(default_factory=list)
    away: bool = False

    def keeps(self, sizes: dict[int, int]) -> None:
        self.texts = {ord_: runner_pb2.CaseTexts(ord=ord_, question="q" * size) for ord_, size in sizes.items()}

    async def ReadTexts(self, request: runner_pb2.ReadTextsRequest, context: Context) -> AsyncIterator[runner_pb2.CaseTexts]:  # noqa: ARG002 gRPC's signature
        self.asked.append(list(request.ords))
        if self.away:
            raise Unavailable("the database can't be reached right now")
        if not self.texts:
            raise NotFound("run")
        for ord_ in request.ords:
            if ord_ in self.texts:
                yield self.texts[ord_]


@pytest.fixture
def runner() -> Peer:
    return Peer()  # type: ignore[abstract]


@pytest.fixture
async def long(runner: Peer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LongTexts]:
    monkeypatch.setattr(long_texts, "PORTION_BYTES", PORTION)
    monkeypatch.setattr(long_texts, "ROOM_BYTES", 2 * PORTION)
    async with serving(lambda server: runner_pb2_grpc.add_RunnerInternalServiceServicer_to_server(runner, server)) as address:
        channel = open_channel(address)
        yield LongTexts(runner_pb2_grpc.RunnerInternalServiceStub(channel), ServiceIdentity("scoring", SERVICE_KEY))
        await channel.close()


async def test_a_portion_ends_with_the_case_that_fills_it(runner: Peer, long: LongTexts) -> None:
    runner.keeps({1: 400, 2: 400, 3: 400, 5: 5000, 6: 10})
    rest, found = [1, 2, 3, 4, 5, 6], []
    while rest:
        async with long.portion(OURS, RUN, rest) as portion:
            found.append(list(portion.texts))
            rest = portion.rest
    assert found == [[1, 2, 3], [5], [6]]
    assert runner.asked == [[1, 2, 3, 4, 5, 6], [4, 5, 6], [6]]


async def test_a_run_that_is_deleted_in_between_has_nothing_left(runner: Peer, long: LongTexts) -> None:
    runner.keeps({1: 1000, 2: 1000})
    async with long.portion(OURS, RUN, [1, 2]) as portion:
        assert (list(portion.texts), portion.rest, portion.deleted) == ([1], [2], False)
    runner.keeps({})
    async with long.portion(OURS, RUN, [2]) as portion:
        assert (portion.texts, portion.rest, portion.deleted) == ({}, [], True)


async def test_what_else_the_runner_answers_is_passed_on(runner: Peer, long: LongTexts) -> None:
    runner.away = True
    for _ in range(3):  # and no room is lost by it
        with pytest.raises(grpc.aio.AioRpcError, match="can't be reached"):
            async with long.portion(OURS, RUN, [1]):
                pass


async def test_who_finds_no_room_asks_later(runner: Peer, long: LongTexts) -> None:
    runner.keeps({1: 1200, 2: 10})

    async def read() -> None:
        async with long.portion(OURS, RUN, [2]) as portion:
            assert list(portion.texts) == [2]

    async with long.portion(OURS, RUN, [1]):
        waiting = asyncio.create_task(read())
        await asyncio.sleep(0.2)
        assert runner.asked == [[1]]
    await asyncio.wait_for(waiting, 10)
    assert runner.asked == [[1], [2]]


async def test_what_is_small_leaves_its_room_to_others(runner: Peer, long: LongTexts) -> None:
    runner.keeps(dict.fromkeys(range(1, 5), 200))
    async with asyncio.timeout(10), contextlib.AsyncExitStack() as held:
        for ords in ([1], [2], [3, 4]):  # three portions, where there is room for two full ones
            portion = await held.enter_async_context(long.portion(OURS, RUN, ords))
            assert list(portion.texts) == ords
