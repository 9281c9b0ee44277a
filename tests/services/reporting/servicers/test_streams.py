"""The event stream of a run: complete, in order, resumable, and quiet when nothing happens."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from assay.reporting.internal.v1 import reporting_pb2
from assay.reporting.v1 import reports_pb2 as pb
from services.reporting.operations import following
from shared.ids import new_id
from tests.services.reporting.builders import Facts, case_id, in_parts, scored
from tests.services.reporting.conftest import Bench
from tests.services.reporting.servicers.conftest import Service, as_service, as_user, refused
from tests.shared.waiting import until


@dataclass(frozen=True)
class Heard:
    """One event as an EventSource hears it; `id` is None where it has none."""

    kind: str
    data: Any
    id: int | None = None


class Stream:
    """Reads a stream as an EventSource would, comments and retry apart."""

    def __init__(self, service: Service, run: Facts, last_event_id: str | None = None) -> None:
        sent = () if last_event_id is None else (("last-event-id", last_event_id),)
        self.call = service.reports.StreamRunEvents(pb.StreamRunEventsRequest(run_id=str(run.id)), metadata=as_user(run.workspace, *sent))
        self.events: list[Heard] = []
        self.asides: list[str] = []
        self.content_types: set[str] = set()

    async def heard(self) -> AsyncIterator[Heard]:
        async for body in self.call:
            self.content_types.add(body.content_type)
            for block in body.data.decode().split("\n\n")[:-1]:
                fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
                if "event" in fields:
                    self.events.append(Heard(fields["event"], json.loads(fields["data"]), int(fields["id"]) if "id" in fields else None))
                    yield self.events[-1]
                else:
                    self.asides.append(block)

    async def all(self) -> list[Heard]:
        return [event async for event in self.heard()]

    async def numbered(self) -> list[Heard]:
        return [event async for event in self.heard() if event.id is not None]


async def a_completed_run(bench: Bench, total: int = 3) -> Facts:
    run = Facts(total=total)
    await bench.completed(run, *(scored(n, "passed" if n % 2 == 0 else "error") for n in range(total)))
    return run


async def test_a_late_reader_gets_the_whole_history(service: Service, bench: Bench) -> None:
    run = await a_completed_run(bench)
    stream = Stream(service, run)
    heard = await stream.all()
    assert [(event.id, event.kind) for event in heard] == [
        (1, "run.started"), (2, "case.scored"), (3, "case.scored"), (4, "case.scored"), (5, "run.completed")
    ]  # fmt: skip
    assert heard[1].data == {"test_case_id": str(case_id(0)), "repeat": 1, "status": "passed", "score": 1.0}
    assert heard[2].data == {"test_case_id": str(case_id(1)), "repeat": 1, "status": "error"}
    assert (heard[0].data["status"], heard[0].data["completed_cases"]) == ("pending", 0)
    assert (heard[4].data["status"], heard[4].data["completed_cases"], heard[4].data["tags"]) == ("completed", 3, [])
    assert stream.asides == ["retry: 1000"]
    assert stream.content_types == {"text/event-stream"}


async def test_a_history_longer_than_a_page_is_complete(service: Service, bench: Bench) -> None:
    run = await a_completed_run(bench, 1203)
    assert [event.id for event in await Stream(service, run).all()] == list(range(1, 1206))


@pytest.mark.parametrize("last", range(1, 5))
async def test_it_resumes_with_nothing_missed_or_repeated(service: Service, bench: Bench, last: int) -> None:
    run = await a_completed_run(bench)
    assert [event.id for event in await Stream(service, run, str(last)).all()] == list(range(last + 1, 6))


@pytest.mark.parametrize("last", ["5", "6", "999999999999999999999999"])
async def test_at_or_past_the_end_of_a_finished_run_there_is_nothing(service: Service, bench: Bench, last: str) -> None:
    stream = Stream(service, await a_completed_run(bench), last)
    assert await stream.all() == []
    assert (dict(await stream.call.initial_metadata())["x-http-code"], stream.asides) == ("204", [])


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "0x1", "+1"])
async def test_an_id_that_is_no_number_is_refused(service: Service, bench: Bench, last: str) -> None:
    run = await a_completed_run(bench)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "Last-Event-ID"):
        await Stream(service, run, last).all()


async def test_an_unknown_run_has_no_stream(service: Service) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, "run not found"):
        await Stream(service, Facts()).all()


async def test_a_run_that_was_just_accepted_can_be_followed_at_once(service: Service, bench: Bench) -> None:
    run = Facts(total=2)
    bench.peers.runner.knows(run.state("pending", started_at=None))
    events = Stream(service, run).heard()
    assert (await anext(events)).kind == "run.started"
    assert await anext(events) == Heard(
        "run.progress", {"total_cases": 2, "completed_cases": 0, "passed_cases": 0, "failed_cases": 0, "error_cases": 0}
    )


def without_polls(service: Service, patch: pytest.MonkeyPatch) -> None:
    """What wakes a stream from now on has told it."""

    async def sees_nothing() -> None:
        pass

    patch.setattr(service.feed, "_look", sees_nothing)


async def test_what_happens_is_heard_as_it_happens(service: Service, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Facts(total=2)
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    events = Stream(service, run).heard()
    assert [(await anext(events)).kind, (await anext(events)).kind] == ["run.started", "run.progress"]
    with monkeypatch.context() as patch:
        without_polls(service, patch)
        await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(0))))
        await service.feed.tell([run.id])
        assert (await asyncio.wait_for(anext(events), 10)).id == 2
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(1, "failed"))))
    await bench.projection.runs_finished(bench.numbers.heard(run.finished()))
    # Nobody tells of this: the poll is the net.
    rest = await asyncio.wait_for(_rest(events), 10)
    assert [event.id for event in rest if event.id] == [3, 4]
    assert rest[-1].kind == "run.completed"


async def _rest(events: AsyncIterator[Heard]) -> list[Heard]:
    return [event async for event in events]


async def test_progress_comes_at_most_twice_a_second(service: Service, bench: Bench) -> None:
    run = Facts(total=60)
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    stream = Stream(service, run)

    def progress() -> list[int]:
        return [event.data["completed_cases"] for event in stream.events if event.kind == "run.progress"]

    began = asyncio.get_running_loop().time()
    reading = asyncio.create_task(stream.all())
    await until(lambda: len(progress()) == 1)
    for part in in_parts([scored(n) for n in range(60)], 2):
        await bench.projection.cases_scored(bench.numbers.heard(run.scored(*part)))
        await service.feed.tell([run.id])
        await asyncio.sleep(0.04)
    await until(lambda: len(progress()) >= 2)
    await bench.projection.runs_finished(bench.numbers.heard(run.finished()))
    await service.feed.tell([run.id])
    heard = await asyncio.wait_for(reading, 10)
    lasted = asyncio.get_running_loop().time() - began
    assert len(progress()) <= 2 * lasted + 1
    assert progress() == sorted(set(progress()))
    assert [event.id for event in heard if event.id] == list(range(1, 63))


async def test_the_stream_of_a_deleted_run_ends(service: Service, bench: Bench) -> None:
    run = Facts()
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    events = Stream(service, run).heard()
    assert [(await anext(events)).kind, (await anext(events)).kind] == ["run.started", "run.progress"]
    await service.internal.Forget(reporting_pb2.ForgetRequest(run_ids=[str(run.id)]), metadata=as_service(run.workspace))
    assert await asyncio.wait_for(_rest(events), 10) == []


async def test_streams_end_when_the_process_drains(service: Service, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    without_polls(service, monkeypatch)
    run = Facts()
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    events = Stream(service, run).heard()
    assert [(await anext(events)).kind, (await anext(events)).kind] == ["run.started", "run.progress"]
    service.feed.stop()
    assert await asyncio.wait_for(_rest(events), 10) == []


async def test_a_comment_comes_every_so_often(service: Service, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "COMMENT_SECONDS", 0.1)
    run = Facts()
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    stream, loop = Stream(service, run), asyncio.get_running_loop()
    began = loop.time()
    reading = asyncio.create_task(stream.all())
    await until(lambda: stream.asides.count(": still here") >= 10)
    assert stream.asides.count(": still here") <= (loop.time() - began) / 0.1 + 1
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def test_idle_streams_ask_the_database_for_nothing(service: Service, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "COMMENT_SECONDS", 0.3)
    run = Facts()
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    readings = [asyncio.create_task(Stream(service, run).all()) for _ in range(50)]
    await until(lambda: len(service.feed._followers.get(run.id, ())) == len(readings))
    await asyncio.sleep(1.5)
    asked = 0
    whole = bench.database.connection

    def counting() -> Any:
        nonlocal asked
        asked += 1
        return whole()

    monkeypatch.setattr(bench.database, "connection", counting)
    await asyncio.sleep(2.2)
    for reading in readings:
        reading.cancel()
    await asyncio.gather(*readings, return_exceptions=True)
    # The first poll has news for all of them, once, and may come late.
    assert asked < 2 * len(readings)


async def test_readers_that_leave_and_come_again_miss_and_repeat_nothing(service: Service, bench: Bench) -> None:
    run = Facts(total=120)
    await bench.projection.runs_started(bench.numbers.heard(run.started()))

    async def read() -> list[int]:
        seen: list[int] = []
        for patience in (7, 31, 1, 50, 1000):
            stream = Stream(service, run, str(seen[-1]) if seen else None)
            async for event in stream.heard():
                seen += [event.id] if event.id else []
                patience -= 1  # noqa: PLW2901 it wears out
                if not patience:
                    break
            stream.call.cancel()
        return seen

    readings = [asyncio.create_task(read()) for _ in range(5)]
    for part in in_parts([scored(n) for n in range(120)], 5):
        await bench.projection.cases_scored(bench.numbers.heard(run.scored(*part)))
        await service.feed.tell([run.id])
        await asyncio.sleep(0.01)
    await bench.projection.runs_finished(bench.numbers.heard(run.finished()))
    for seen in await asyncio.wait_for(asyncio.gather(*readings), 20):
        assert seen == list(range(1, 123))


async def test_an_id_beyond_what_an_open_run_told_waits_for_what_follows(service: Service, bench: Bench) -> None:
    run = Facts(total=2)
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    reading = asyncio.create_task(Stream(service, run, "2").numbered())
    await asyncio.sleep(0.1)
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(0), scored(1))))
    await bench.projection.runs_finished(bench.numbers.heard(run.finished()))
    assert [event.id for event in await asyncio.wait_for(reading, 10)] == [3, 4]


async def test_an_open_run_followed_from_past_its_later_end_just_ends(service: Service, bench: Bench) -> None:
    run = Facts(total=1)
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    reading = asyncio.create_task(Stream(service, run, "77").numbered())
    await asyncio.sleep(0.1)
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(scored(0))))
    await bench.projection.runs_finished(bench.numbers.heard(run.finished()))
    assert await asyncio.wait_for(reading, 10) == []


async def test_another_workspace_cannot_follow(service: Service, bench: Bench) -> None:
    run = await a_completed_run(bench)
    with refused(grpc.StatusCode.NOT_FOUND):
        await Stream(service, run.but(workspace=new_id())).all()
