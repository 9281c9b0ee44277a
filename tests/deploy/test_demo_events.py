"""A run's events as the demo reads them: the decoder, the progress, and a stream that breaks."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import aiohttp
import pytest
from aiohttp import web

from deploy.demo.events import Decoder, Event, Progress, follow
from deploy.demo.gateway import DemoFailedError, Gateway

RUN = {"total_cases": 3, "passed_cases": 2, "failed_cases": 0, "error_cases": 1, "status": "completed"}
STARTED = b'id: 1\nevent: run.started\ndata: {"status": "pending"}\n\n'


def scored(number: int, status: str) -> bytes:
    return f'id: {number}\nevent: case.scored\ndata: {{"status": "{status}"}}\n\n'.encode()


def completed(number: int) -> bytes:
    return f"id: {number}\nevent: run.completed\ndata: {json.dumps(RUN)}\n\n".encode()


def test_an_event_is_read_wherever_its_bytes_are_cut() -> None:
    stream = 'retry: 250\n\n: still here\n\nid: 7\nevent: case.scored\ndata: {"status": "passed", "question": "Où?"}\n\n'.encode()
    for cut in range(len(stream)):
        decoder = Decoder()
        events = decoder.feed(stream[:cut]) + decoder.feed(stream[cut:])
        assert events == [Event("case.scored", {"status": "passed", "question": "Où?"}, "7")]
        assert (decoder.last_id, decoder.retry_seconds) == ("7", 0.25)


def test_lines_may_end_in_crlf_and_data_may_span_lines() -> None:
    assert Decoder().feed(b"event: note\r\ndata: [1,\r\ndata: 2]\r\n\r\n") == [Event("note", [1, 2])]  # type: ignore[arg-type] # any JSON


def test_an_event_without_id_leaves_the_last_one() -> None:
    decoder = Decoder()
    decoder.feed(scored(4, "passed") + b'event: run.progress\ndata: {"completed_cases": 1}\n\n')
    assert decoder.last_id == "4"


def test_half_an_event_is_forgotten_with_its_connection() -> None:
    decoder = Decoder()
    decoder.feed(scored(4, "passed") + b"id: 5\nevent: case.scored\nda")
    decoder.reconnected()
    assert decoder.last_id == "4"
    assert [event.id for event in decoder.feed(scored(5, "failed"))] == ["5"]


def test_scored_cases_move_the_progress_by_what_became_of_them() -> None:
    progress = Progress(total=5)
    for status in ("passed", "failed", "passed", "error"):
        progress = progress.after(Event("case.scored", {"status": status}))
    assert progress == Progress(5, passed=2, failed=1, errors=1, status="running")
    assert progress.done == 4


def test_run_progress_is_not_counted_again() -> None:
    told = Event("run.progress", {"total_cases": 5, "completed_cases": 1, "passed_cases": 1})
    assert Progress(5, passed=1, status="running").after(told) == Progress(5, passed=1, status="running")


@pytest.mark.parametrize("name", ["run.completed", "run.error", "run.cancelled"])
def test_the_last_event_has_the_last_word(name: str) -> None:
    event = Event(name, {**RUN, "status": name.removeprefix("run.")})
    assert event.is_final
    assert Progress(3, passed=1).after(event) == Progress(3, 2, 0, 1, name.removeprefix("run."))


async def served(answers: Sequence[bytes | int], then: Callable[[Gateway, list[str]], Awaitable[None]]) -> None:
    """A server that gives each connection the next answer: bytes of a stream that it cuts, or a status."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("last-event-id", ""))
        given = answers[min(len(asked), len(answers)) - 1]
        if isinstance(given, int):
            return web.json_response({"code": 5, "message": "run not found", "details": []}, status=given)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"retry: 1\n\n" + given)
        if request.transport:
            request.transport.abort()
        return response

    app = web.Application()
    app.router.add_get("/events", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with aiohttp.ClientSession() as session:
            await then(Gateway(session, f"http://127.0.0.1:{runner.addresses[0][1]}"), asked)
    finally:
        await runner.cleanup()


async def ids(events: AsyncIterator[Event]) -> list[str]:
    return [event.id async for event in events]


async def test_a_stream_that_breaks_is_taken_up_after_the_last_event_seen() -> None:
    async def check(gateway: Gateway, asked: list[str]) -> None:
        assert await ids(follow(gateway, "/events")) == ["1", "2", "3", "4"]
        assert asked == ["", "2", "2", "3"]

    await served([STARTED + scored(2, "passed") + b"id: 3\nev", 503, scored(3, "passed"), completed(4)], check)


async def test_a_stream_that_is_refused_is_not_asked_for_again() -> None:
    async def check(gateway: Gateway, asked: list[str]) -> None:
        with pytest.raises(DemoFailedError, match="404: run not found"):
            await ids(follow(gateway, "/events"))
        assert len(asked) == 1

    await served([404], check)


async def test_a_stream_without_news_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.demo.events.MOST_FAILURES", 3)

    async def check(gateway: Gateway, asked: list[str]) -> None:
        with pytest.raises(DemoFailedError, match="could not be taken up again"):
            await ids(follow(gateway, "/events"))
        assert asked == ["", "1", "1", "1"]

    await served([STARTED, b""], check)
