"""Targets over HTTP, against a real server on loopback."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import orjson
import pytest

from services.runner.entities import Turn
from services.runner.targets import Call, Failed, Refused, Throttled
from services.runner.targets.http import Http
from services.runner.targets.openai import MAX_ANSWER_BYTES, OpenAI, parsed
from shared.guard import Guard, open_session
from tests.services.runner.endpoint import Answer, Endpoint, chat, endpoint


@pytest.fixture
async def there() -> AsyncIterator[Endpoint]:
    async with endpoint() as made:
        yield made


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(Guard(["127.0.0.0/8"])) as opened:
        yield opened


@pytest.fixture
def openai(session: aiohttp.ClientSession) -> OpenAI:
    return OpenAI(session)


@pytest.fixture
def http(session: aiohttp.ClientSession) -> Http:
    return Http(session)


def a_call(there: Endpoint, **said: object) -> Call:
    default = Call("why?", (), "Be brief.", "gpt", {"max_tokens": 100, "temperature": 0.5}, there.url, "sk-1", 20.0, "run:case:1")
    return replace(default, **said)  # type: ignore[arg-type]


async def test_an_openai_endpoint_is_asked_as_it_expects(there: Endpoint, openai: OpenAI) -> None:
    call = a_call(there, history=[Turn("a?", "b.")])
    assert (await openai.ask(call)).text == "hello"
    assert there.paths == ["/chat/completions"]
    assert there.asked == [
        {
            "model": "gpt",
            "max_tokens": 100,
            "temperature": 0.5,
            "stream": False,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "a?"},
                {"role": "assistant", "content": "b."},
                {"role": "user", "content": "why?"},
            ],
        }
    ]
    headers = there.headers[0]
    assert (headers["authorization"], headers["idempotency-key"], headers["content-type"]) == (
        "Bearer sk-1",
        "run:case:1",
        "application/json",
    )


async def test_a_long_conversation_is_sent_without_a_warning(there: Endpoint, openai: OpenAI) -> None:
    await openai.ask(a_call(there, history=[Turn("a?", "b" * (2 << 20))]))
    assert (len(there.asked[0]["messages"][2]["content"]), there.headers[0]["content-type"]) == (2 << 20, "application/json")
    assert "content-disposition" not in there.headers[0]
    assert int(there.headers[0]["content-length"]) > 2 << 20


async def test_what_is_absent_is_not_sent(there: Endpoint, openai: OpenAI) -> None:
    await openai.ask(a_call(there, statement="", model="", api_key="", parameters={}))
    assert there.asked == [{"messages": [{"role": "user", "content": "why?"}], "stream": False}]
    assert "authorization" not in there.headers[0]


@pytest.mark.parametrize(
    ("mime", "part"),
    [
        ("image/png", {"type": "image_url", "image_url": {"url": "https://x/y"}}),
        ("application/pdf", {"type": "text", "text": "Attached file: https://x/y"}),
        (None, {"type": "text", "text": "Attached file: https://x/y"}),
    ],
)
async def test_a_file_goes_with_its_question(there: Endpoint, openai: OpenAI, mime: str | None, part: dict[str, object]) -> None:
    await openai.ask(a_call(there, file_url="https://x/y", file_mime_type=mime))
    assert there.asked[0]["messages"][-1]["content"] == [{"type": "text", "text": "why?"}, part]


async def test_parameters_cannot_replace_the_question_or_turn_on_streaming(there: Endpoint, openai: OpenAI) -> None:
    await openai.ask(a_call(there, parameters={"messages": [], "stream": True, "model": "other"}))
    assert (there.asked[0]["stream"], there.asked[0]["model"], len(there.asked[0]["messages"])) == (False, "gpt", 2)


async def test_an_answer_cut_off_is_said_to_be(there: Endpoint, openai: OpenAI) -> None:
    there.says(chat("half an", finish_reason="length"))
    reply = await openai.ask(a_call(there))
    assert (reply.text, reply.warnings) == ("half an", ("the answer was cut off at the endpoint's length limit",))


async def test_a_json_endpoint_is_asked_as_documented(there: Endpoint, http: Http) -> None:
    there.says(b'{"output": "42"}')
    assert (await http.ask(a_call(there, base_url=f"{there.url}/answer", history=[Turn("a?", "b.")]))).text == "42"
    assert there.paths == ["/answer"]
    assert there.asked == [
        {
            "question": "why?",
            "history": [{"question": "a?", "answer": "b."}],
            "statement": "Be brief.",
            "model": "gpt",
            "parameters": {"max_tokens": 100, "temperature": 0.5},
            "file_url": None,
        }
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"null",
        b"[]",
        b'"x"',
        b"7",
        b"{}",
        b'{"choices": []}',
        b'{"choices": {}}',
        b'{"choices": [{}]}',
        b'{"choices": ["x"]}',
        b'{"choices": [{"message": null}]}',
        b'{"output": null}',
        b'{"output": 7}',
        chat(None),
        chat(["part"]),
        b"[" * 100_000,
        b'{"choices":' * 5000,
        b"\xff\xfe",
    ],
)
async def test_what_is_no_answer_is_final(there: Endpoint, openai: OpenAI, http: Http, body: bytes) -> None:
    there.says(body)
    for target in (openai, http):
        with pytest.raises(Refused):
            await target.ask(a_call(there))


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (b'"a\\u0000b"', "a\0b"),
        (b'"\\ud800"', "\ud800"),
        (b'"x\xffy"', "x\udcffy"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\xf0\x9f\x98\x80"', "\U0001f600"),
    ],
)
async def test_characters_that_cannot_be_stored_do_not_lose_the_answer(
    there: Endpoint, openai: OpenAI, http: Http, escaped: bytes, text: str
) -> None:
    there.says(b'{"output": ' + escaped + b', "choices": [{"message": {"content": ' + escaped + b"}}]}")
    for target in (openai, http):
        assert (await target.ask(a_call(there))).text == text


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 451, 201 + 100, 302, 304, 307])
async def test_a_no_is_final(there: Endpoint, openai: OpenAI, status: int) -> None:
    there.says(Answer(b"because", status))
    with pytest.raises(Refused, match=rf"^HTTP {status}"):
        await openai.ask(a_call(there))


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599])
async def test_a_server_error_may_pass(there: Endpoint, openai: OpenAI, status: int) -> None:
    there.says(status)
    with pytest.raises(Failed, match=rf"^HTTP {status}$"):
        await openai.ask(a_call(there))


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        (None, None),
        ("7", 7),
        ("0.25", 0.25),
        ("-3", 0),
        ("nan", 0),
        pytest.param(format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True), 86400, id="in a day"),
        pytest.param(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True), 0, id="a day ago"),
        ("soon", None),
        ("", None),
    ],
)
async def test_a_target_says_how_long_to_wait(there: Endpoint, openai: OpenAI, retry_after: str | None, seconds: float | None) -> None:
    there.says(Answer(status=429, headers={} if retry_after is None else {"Retry-After": retry_after}))
    with pytest.raises(Throttled) as caught:
        await openai.ask(a_call(there))
    # The date was made when the tests were collected, long ago on a slow machine.
    assert caught.value.seconds == (None if seconds is None else pytest.approx(seconds, rel=0.3))


@pytest.mark.parametrize("before", [0, 290, 298])
@pytest.mark.parametrize("status", [400, 200])
async def test_what_it_says_is_cut_after_the_key_is_out_of_it(
    there: Endpoint, openai: OpenAI, http: Http, before: int, status: int
) -> None:
    there.says(Answer(b"x" * before + b"key/with-a-tail, or key\\/with-a-tail", status))
    for target in (openai, http):
        with pytest.raises(Refused) as refused:
            await target.ask(a_call(there, api_key="key/with-a-tail"))
        assert "key" not in str(refused.value)
        assert str(refused.value).endswith(("•••", "•", "••", "•••, or •••", "•••, or"))


async def test_a_redirect_is_not_followed(there: Endpoint, openai: OpenAI) -> None:
    there.says(Answer(status=302, headers={"Location": f"{there.url}/elsewhere"}), Answer(chat("elsewhere")))
    with pytest.raises(Refused, match="302"):
        await openai.ask(a_call(there))
    assert there.paths == ["/chat/completions"]


async def test_a_slow_target_is_given_up(there: Endpoint, openai: OpenAI) -> None:
    there.says(Answer(chat("late"), seconds=5))
    began = time.monotonic()
    with pytest.raises(Failed, match=r"no answer within 0\.2 s"):
        await openai.ask(a_call(there, timeout=0.2))
    assert time.monotonic() - began < 4.5


async def test_an_answer_may_not_be_larger_than_it_may_be(there: Endpoint, openai: OpenAI) -> None:
    there.says(chat("x" * MAX_ANSWER_BYTES))
    with pytest.raises(Refused, match="larger than 8 MB"):
        await openai.ask(a_call(there, timeout=20))


async def test_a_closed_port_may_be_open_later(openai: OpenAI, there: Endpoint) -> None:
    with pytest.raises(Failed, match="connection failed"):
        await openai.ask(a_call(there, base_url="http://127.0.0.1:1"))


@pytest.mark.parametrize(
    "base_url",
    [
        "http://10.0.0.1",
        "http://[::1]",
        "http://169.254.169.254",
        "http://2130706433",
        "ftp://127.0.0.1",
        "http://[::1",
        "x",
        "http://a..b",
    ],
)
async def test_a_forbidden_address_is_final(openai: OpenAI, there: Endpoint, base_url: str) -> None:
    with pytest.raises(Refused):
        await openai.ask(a_call(there, base_url=base_url))


async def test_a_name_that_leads_inside_is_final(there: Endpoint) -> None:
    async with open_session(Guard()) as session:
        with pytest.raises(Refused, match="may not be called"):
            await OpenAI(session).ask(a_call(there, base_url=there.url.replace("127.0.0.1", "localhost")))
    assert not there.asked


async def test_a_key_that_no_header_can_hold_is_final(there: Endpoint, openai: OpenAI) -> None:
    with pytest.raises(Refused):
        await openai.ask(a_call(there, api_key="sk\r\nx-evil: 1"))
    assert not there.asked


def test_json_is_read_even_where_it_is_not_quite_json() -> None:
    assert parsed(orjson.dumps({"a": 1})) == {"a": 1}
    with pytest.raises(ValueError, match=r".+"):
        parsed(b"{")
