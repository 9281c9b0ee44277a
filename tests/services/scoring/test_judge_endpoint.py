"""What an endpoint can do is found out once; its limits and its rests are kept."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web

from services.scoring.entities import Endpoint, JudgeError
from services.scoring.judge_endpoint import Connection, ResponseFormat
from shared.guard import Guard, open_session
from tests.services.scoring.chat_server import ChatServer, refusal

QUESTION = [{"role": "user", "content": "Well?"}]
SCHEMA = {"type": "object"}


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with open_session(Guard(["127.0.0.0/8"])) as session:
        yield session


def connect(session: ClientSession, server: ChatServer, at_once: int = 4, timeout: float = 5.0, key: str = "") -> Connection:
    async def shortly(seconds: float) -> None:
        await asyncio.sleep(seconds / 10)

    return Connection(session, Endpoint(server.base_url, "m", key, max_concurrency=at_once, timeout_seconds=timeout), shortly)


async def asked(connection: Connection, response_format: ResponseFormat = "text") -> str:
    return (await connection.complete(QUESTION, response_format, "verdict", SCHEMA)).text


@pytest.mark.parametrize(
    ("formats", "kept", "probes"),
    [
        (("json_schema", "json_object", "text"), "json_schema", 1),
        (("json_object", "text"), "json_object", 2),
        (("text",), "text", 2),
    ],
)
async def test_the_strictest_format_it_keeps_to_is_found_once(
    session: ClientSession, server: ChatServer, formats: tuple[str, ...], kept: str, probes: int
) -> None:
    server.formats = formats
    connection = connect(session, server)
    assert await asyncio.gather(*(connection.response_format() for _ in range(3))) == [kept] * 3
    assert len(server.probes) == probes


async def test_what_could_not_be_found_out_is_tried_again(session: ClientSession, server: ChatServer) -> None:
    port, server.port = server.port, 1
    connection = connect(session, server)
    with pytest.raises(JudgeError, match="4 tries"):
        await connection.response_format()
    server.port = port
    assert await connect(session, server).response_format() == "json_schema"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_passing_fault_is_tried_again(session: ClientSession, server: ChatServer, status: int) -> None:
    server.answers = [refusal(status), refusal(status), "fine"]
    assert await asked(connect(session, server)) == "fine"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 301])
async def test_a_refusal_is_not_tried_again(session: ClientSession, server: ChatServer, status: int) -> None:
    server.answers = [refusal(status, Location="http://127.0.0.1:1/")]
    with pytest.raises(JudgeError, match=f"the endpoint answered {status}: no"):
        await asked(connect(session, server))
    assert len(server.requests) == 1


async def test_after_four_tries_it_is_an_error(session: ClientSession, server: ChatServer) -> None:
    server.answers = [refusal(503)]
    with pytest.raises(JudgeError, match="answered 503: no \\(4 tries\\)"):
        await asked(connect(session, server))
    assert len(server.requests) == 4


async def test_the_rest_it_asks_for_is_given_to_all(session: ClientSession, server: ChatServer) -> None:
    server.answers = [refusal(429, Retry_After="1"), "fine"]
    connection = connect(session, server, at_once=1)
    started = time.monotonic()
    assert list(await asyncio.gather(asked(connection), asked(connection))) == ["fine", "fine"]
    assert time.monotonic() - started >= 1
    assert len(server.requests) == 3


async def test_too_long_a_rest_is_an_error_at_once(session: ClientSession, server: ChatServer) -> None:
    server.answers = [refusal(429, Retry_After="3600")]
    with pytest.raises(JudgeError, match="asks for a rest of 3600 s"):
        await asked(connect(session, server))


async def test_no_more_calls_at_once_than_it_takes(session: ClientSession, server: ChatServer) -> None:
    server.delay_seconds = 0.05
    connection = connect(session, server, at_once=3)
    await asyncio.gather(*(asked(connection) for _ in range(9)))
    assert server.most_at_once == 3


async def test_a_silent_endpoint_is_an_error_in_time(session: ClientSession, server: ChatServer) -> None:
    server.delay_seconds = 0.5
    with pytest.raises(JudgeError, match="no answer in time \\(4 tries\\)"):
        await asked(connect(session, server, timeout=0.05))


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"choices": []}', '{"choices": [{}]}', "[" * 10_000])
async def test_an_answer_that_is_no_completion_is_an_error(session: ClientSession, server: ChatServer, body: str) -> None:
    server.answers = [lambda: web.Response(text=body)]
    with pytest.raises(JudgeError, match="no chat completion"):
        await asked(connect(session, server))


async def test_an_endless_answer_is_not_read_to_its_end(session: ClientSession, server: ChatServer) -> None:
    server.answers = [lambda: web.Response(body=b" " * 2_000_000)]
    with pytest.raises(JudgeError, match="more than 1000000 bytes"):
        await asked(connect(session, server))


@pytest.mark.parametrize("host", ["10.0.0.1", "localhost"])
async def test_a_forbidden_address_is_refused_at_once_and_not_named(server: ChatServer, host: str) -> None:
    waits: list[float] = []

    async def waiting(seconds: float) -> None:
        waits.append(seconds)

    async with open_session(Guard()) as session:
        connection = Connection(session, Endpoint(f"http://{host}:{server.port}/v1", "m"), waiting)
        with pytest.raises(JudgeError, match=r"^this address may not be called$"):
            await connection.response_format()
    assert (waits, server.probes) == ([], [])


async def test_a_failed_connection_names_no_address(session: ClientSession, server: ChatServer) -> None:
    server.port = 1
    with pytest.raises(JudgeError, match=r"^the connection failed: ClientConnectorError \(4 tries\)$"):
        await asked(connect(session, server))


async def test_an_endpoint_that_cant_be_reached_rests_for_all(
    session: ClientSession, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def waiting(seconds: float) -> None:
        waits.append(seconds)

    server.port = 1
    endpoint = Endpoint(server.base_url, "m", max_concurrency=1)
    connection = Connection(session, endpoint, waiting)
    with pytest.raises(JudgeError, match="4 tries"):
        await asked(connection)
    for _ in range(5):
        with pytest.raises(JudgeError, match=r"4 tries\), and it rests for 10 s$"):
            await asked(connection)
    assert len(waits) == 3
    monkeypatch.setattr("services.scoring.judge_endpoint.AWAY_SECONDS", 0.0)
    resting = Connection(session, endpoint, waiting)
    for _ in range(2):
        with pytest.raises(JudgeError, match=r"4 tries\)$"):
            await asked(resting)
    assert len(waits) == 9


async def test_a_key_that_no_header_can_hold_is_an_error(session: ClientSession, server: ChatServer) -> None:
    with pytest.raises(JudgeError, match="can't be used for a call"):
        await asked(Connection(session, Endpoint(server.base_url, "m", "sk\r\nx-evil: 1")))


@pytest.mark.parametrize("status", [400, 401, 503])
@pytest.mark.parametrize("before", [0, 190, 198])
async def test_what_it_says_is_cut_after_the_key_is_out_of_it(session: ClientSession, server: ChatServer, status: int, before: int) -> None:
    server.answers = [lambda: web.Response(status=status, text="x" * before + "Bearer s3cret-key")]
    connection = connect(session, server, key="s3cret-key")
    with pytest.raises(JudgeError, match=f"answered {status}") as raised:
        await asked(connection)
    assert "s3" not in str(raised.value)
