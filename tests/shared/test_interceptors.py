"""The boundary around every call: in-process servers, real stubs."""

import asyncio
import contextlib
import typing
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from assay.catalog.v1.contexts_pb2 import Context, CreateContextRequest, GetContextRequest
from assay.catalog.v1.contexts_pb2_grpc import ContextServiceServicer, ContextServiceStub, add_ContextServiceServicer_to_server
from shared import identity
from shared.errors import Invalid, KeyInFlight, NotFound, TooLarge
from shared.identity import Credential, Identifier, Principal
from shared.ids import new_id
from shared.interceptors import Boundary
from shared.postgres import Database
from shared.server import OPTIONS

WORKSPACE = new_id()
US = (("authorization", "Bearer ours"),)
SERVICE = "assay.test.v1.Kinds"
Handler = Callable[[Any, Any], Any]


async def authenticate(credential: Credential) -> Principal | None:
    """Who has the token "ours" is ours."""
    return Principal(WORKSPACE, frozenset({"studio"})) if credential.token == "ours" else None


@contextlib.asynccontextmanager
async def serving(register: Callable[[grpc.aio.Server], None]) -> AsyncIterator[grpc.aio.Channel]:
    """A server behind the boundary, and a channel to it."""
    server = grpc.aio.server(interceptors=[Boundary(Identifier((), "", authenticate))], options=OPTIONS)
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield channel
        finally:
            await server.stop(None)


def kinds(**handlers: Any) -> Callable[[grpc.aio.Server], None]:
    """Registers handlers by kind: one, many, collect, chat."""
    made: dict[str, Callable[..., Any]] = {
        "one": grpc.unary_unary_rpc_method_handler,
        "many": grpc.unary_stream_rpc_method_handler,
        "collect": grpc.stream_unary_rpc_method_handler,
        "chat": grpc.stream_stream_rpc_method_handler,
    }
    read, write = CreateContextRequest.FromString, Context.SerializeToString
    table = {name: made[name](handler, read, write) for name, handler in handlers.items()}
    return lambda server: server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, table)])


# Without a serializer bytes are sent as they are, which a channel's types don't know: hence Any.
async def ask(channel: Any, kind: str, *requests: bytes, metadata: Any = US) -> list[str]:
    """The names that a handler of any kind answers to serialized requests."""
    path, read = f"/{SERVICE}/{kind}", Context.FromString
    if kind == "one":
        return [(await channel.unary_unary(path, None, read)(requests[0], metadata=metadata)).name]
    if kind == "many":
        return [each.name async for each in channel.unary_stream(path, None, read)(requests[0], metadata=metadata)]
    if kind == "collect":
        return [(await channel.stream_unary(path, None, read)(iter(requests), metadata=metadata)).name]
    return [each.name async for each in channel.stream_stream(path, None, read)(iter(requests), metadata=metadata)]


async def _one(request: CreateContextRequest, _context: Any) -> Context:
    return Context(name=f"{request.name} of {identity.workspace() == WORKSPACE}")


async def _many(request: CreateContextRequest, context: Any) -> AsyncIterator[Context]:
    for _ in range(2):
        yield await _one(request, context)


async def _collect(requests: AsyncIterator[CreateContextRequest], context: Any) -> Context:
    return await _one(CreateContextRequest(name="+".join([each.name async for each in requests])), context)


async def _chat(requests: AsyncIterator[CreateContextRequest], context: Any) -> AsyncIterator[Context]:
    async for request in requests:
        yield await _one(request, context)


ALL: dict[str, Handler] = {"one": _one, "many": _many, "collect": _collect, "chat": _chat}
FINE = CreateContextRequest(name="x").SerializeToString()
ANSWERS = {"one": ["x of True"], "many": ["x of True"] * 2, "collect": ["x+x of True"], "chat": ["x of True"] * 2}


def _buried(levels: int) -> bytes:
    """A request whose parameters nest deeper than any parser reads, made by hand."""
    data = b""
    for _ in range(levels):  # Value.list_value of ListValue.values
        data = _field(1, _field(6, data))
    entry = _field(1, b"a") + _field(2, _field(6, data))
    return _field(5, _field(1, entry))


def _field(number: int, data: bytes) -> bytes:
    size, length = b"", len(data)
    while length > 127:
        size += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + data


@contextlib.contextmanager
def refused(code: grpc.StatusCode) -> Any:
    """The block ends with this refusal, which is handed out afterwards: [refusal]."""
    found: list[grpc.aio.AioRpcError] = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield found
    assert caught.value.code() == code, caught.value
    found.append(caught.value)


def trailers(refusal: grpc.aio.AioRpcError) -> dict[str, Any]:
    return dict(refusal.trailing_metadata() or ())


def fields(refusal: grpc.aio.AioRpcError) -> dict[str, str]:
    status = status_pb2.Status.FromString(trailers(refusal)["grpc-status-details-bin"])
    bad = error_details_pb2.BadRequest()
    status.details[1].Unpack(bad)
    return {each.field: each.description for each in bad.field_violations}


@pytest.mark.parametrize("kind", ALL)
async def test_a_handler_of_any_kind_answers_and_knows_its_caller(kind: str) -> None:
    async with serving(kinds(**ALL)) as channel:
        assert await ask(channel, kind, FINE, FINE) == ANSWERS[kind]


@pytest.mark.parametrize("kind", ALL)
async def test_a_handler_of_any_kind_is_never_reached_without_credentials(kind: str) -> None:
    reached = []

    async def one(request: Any, context: Any) -> Context:
        reached.append(request)
        return await _one(request, context)

    async with serving(kinds(**{**ALL, "one": one})) as channel:
        with refused(grpc.StatusCode.UNAUTHENTICATED):
            await ask(channel, kind, FINE, metadata=())
    assert not reached


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("body", [b"\xff\xff", b"\x0a\x02\xff\xfe", b"\x0a\x7f", _buried(300)])
async def test_what_cannot_be_read_is_invalid_in_every_kind(kind: str, body: bytes) -> None:
    async with serving(kinds(**ALL)) as channel:
        with refused(grpc.StatusCode.INVALID_ARGUMENT) as found:
            await ask(channel, kind, body)
    assert fields(found[0]) == {"body": "can't be read: malformed, or nested too deeply"}


@pytest.mark.parametrize("kind", ALL)
async def test_unclean_requests_are_invalid_in_every_kind(kind: str) -> None:
    async with serving(kinds(**ALL)) as channel:
        with refused(grpc.StatusCode.INVALID_ARGUMENT) as found:
            await ask(channel, kind, CreateContextRequest(name="\0").SerializeToString())
    assert fields(found[0]) == {"name": "must not contain U+0000"}


@pytest.mark.parametrize("kind", ["collect", "chat"])
async def test_later_requests_of_a_stream_are_checked_too(kind: str) -> None:
    async with serving(kinds(**ALL)) as channel:
        with refused(grpc.StatusCode.INVALID_ARGUMENT):
            await ask(channel, kind, FINE, CreateContextRequest(name="\0").SerializeToString())


def _raising(error: Exception) -> dict[str, Handler]:
    async def one(_request: Any, _context: Any) -> Context:
        raise error

    async def many(_request: Any, _context: Any) -> AsyncIterator[Context]:
        yield Context(name="first")
        raise error

    async def collect(requests: AsyncIterator[Any], _context: Any) -> Context:
        _ = [each async for each in requests]
        raise error

    async def chat(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Context]:
        async for _ in requests:
            yield Context(name="first")
            raise error

    return {"one": one, "many": many, "collect": collect, "chat": chat}


@pytest.mark.parametrize("kind", ALL)
async def test_an_error_of_the_domain_crosses_in_every_kind(kind: str) -> None:
    async with serving(kinds(**_raising(NotFound("test set")))) as channel:
        with refused(grpc.StatusCode.NOT_FOUND) as found:
            await ask(channel, kind, FINE)
    assert found[0].details() == "test set not found"
    assert status_pb2.Status.FromString(trailers(found[0])["grpc-status-details-bin"]).message == "test set not found"


@pytest.mark.parametrize("kind", ALL)
async def test_what_nobody_foresaw_is_internal_without_its_text(kind: str) -> None:
    async with serving(kinds(**_raising(RuntimeError("password=hunter2")))) as channel:
        with refused(grpc.StatusCode.INTERNAL) as found:
            await ask(channel, kind, FINE)
    assert found[0].details() == "an internal error occurred"
    assert "hunter2" not in str(found[0]) + str(trailers(found[0]))


@pytest.mark.parametrize(
    ("error", "trailer"), [(TooLarge("too large"), ("x-http-code", "413")), (KeyInFlight("wait"), ("retry-after", "1"))]
)
async def test_http_status_and_seconds_to_wait_go_along(error: Exception, trailer: tuple[str, str]) -> None:
    async with serving(kinds(**_raising(error))) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(channel, "one", FINE)
    assert trailer in trailers(caught.value).items()


async def test_the_largest_error_still_crosses_whole() -> None:
    error = Invalid({f"{number}é" * 60: "ü" * 500 for number in range(20)})
    async with serving(kinds(**_raising(error))) as channel:
        with refused(grpc.StatusCode.INVALID_ARGUMENT) as found:
            await ask(channel, "one", FINE)
    assert fields(found[0])


class Contexts(ContextServiceServicer):
    """Answers what it is asked for."""

    async def GetContext(self, request: GetContextRequest, context: Any) -> Context:  # noqa: ARG002
        return Context(id=request.context_id)


async def test_a_real_stub_gets_a_real_answer_and_an_unknown_method_is_unimplemented() -> None:
    async with serving(
        lambda server: add_ContextServiceServicer_to_server(Contexts(), server)  # type: ignore[abstract]  # what it lacks is unimplemented
    ) as channel:
        stub, anything = ContextServiceStub(channel), typing.cast("Any", channel)
        assert (await stub.GetContext(GetContextRequest(context_id="x"), metadata=US)).id == "x"
        with refused(grpc.StatusCode.UNIMPLEMENTED):
            await anything.unary_unary("/assay.catalog.v1.ContextService/Other", None, None)(b"", metadata=US)
        with refused(grpc.StatusCode.UNIMPLEMENTED):
            await anything.unary_unary("/assay.other.v1.Service/Method", None, None)(b"", metadata=US)


async def test_what_a_peer_refused_is_refused_in_the_same_words() -> None:
    async with serving(kinds(**_raising(TooLarge("the file is larger than 10 MB")))) as peer:

        async def one(_request: Any, _context: Any) -> Context:
            return Context(name=(await ask(peer, "one", FINE))[0])

        async with serving(kinds(one=one)) as channel:
            with refused(grpc.StatusCode.INVALID_ARGUMENT) as found:
                await ask(channel, "one", FINE)
    assert found[0].details() == "the file is larger than 10 MB"
    assert trailers(found[0])["x-http-code"] == "413"
    assert status_pb2.Status.FromString(trailers(found[0])["grpc-status-details-bin"]).details


async def test_a_peer_that_is_away_or_fails_unforeseen_makes_us_unavailable() -> None:
    async with serving(kinds(**_raising(RuntimeError("x")))) as failing, grpc.aio.insecure_channel("127.0.0.1:1") as away:
        for peer in (failing, away):

            async def one(_request: Any, _context: Any, peer: Any = peer) -> Context:
                return Context(name=(await ask(peer, "one", FINE))[0])

            async with serving(kinds(one=one)) as channel:
                with refused(grpc.StatusCode.UNAVAILABLE) as found:
                    await ask(channel, "one", FINE)
            assert trailers(found[0])["retry-after"] == "1"


async def test_postgres_away_makes_us_unavailable(delivery_url: str) -> None:
    async def nowhere(_request: Any, _context: Any) -> Context:
        async with await asyncpg.create_pool("postgres://127.0.0.1:1/x", min_size=0) as pool, Database(pool).connection():
            return Context()

    async def terminated(_request: Any, _context: Any) -> Context:
        async with await asyncpg.create_pool(delivery_url, min_size=0) as pool:
            async with Database(pool).transaction() as connection:
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            return Context()

    async def exhausted(_request: Any, _context: Any) -> Context:
        async with await asyncpg.create_pool(delivery_url, min_size=0, max_size=1) as pool, Database(pool).connection() as connection:
            await connection.execute("SET lock_timeout = '50ms'")
            async with connection.transaction():
                await connection.execute("SET LOCAL statement_timeout = '50ms'")
                await connection.execute("SELECT pg_sleep(10)")
            return Context()

    for handler in (nowhere, terminated, exhausted):
        async with serving(kinds(one=handler)) as channel:
            with refused(grpc.StatusCode.UNAVAILABLE):
                await ask(channel, "one", FINE)


async def test_a_caller_that_hangs_up_ends_the_handler_and_what_it_holds() -> None:
    released = asyncio.Event()

    async def many(_request: Any, _context: Any) -> AsyncIterator[Context]:
        try:
            while True:
                yield Context(name="x")
                await asyncio.sleep(0.01)
        finally:
            released.set()

    async with serving(kinds(many=many)) as channel:
        call: Any = typing.cast("Any", channel).unary_stream(f"/{SERVICE}/many", None, Context.FromString)(FINE, metadata=US)
        assert (await call.read()).name == "x"
        call.cancel()
        await asyncio.wait_for(released.wait(), 5)


async def test_callers_of_calls_side_by_side_are_not_mixed_up() -> None:
    async def one(request: CreateContextRequest, _context: Any) -> Context:
        await asyncio.sleep(0.05)
        return Context(name=str(identity.workspace()), id=request.name)

    others = {f"t{number}": new_id() for number in range(20)}

    async def known(credential: Credential) -> Principal | None:
        return Principal(others[credential.token])

    server = grpc.aio.server(interceptors=[Boundary(Identifier((), "", known))])
    kinds(one=one)(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        calls: list[Awaitable[list[str]]] = [
            ask(channel, "one", FINE, metadata=(("authorization", f"Bearer {token}"),)) for token in others
        ]
        assert [names[0] for names in await asyncio.gather(*calls)] == [str(each) for each in others.values()]
    await server.stop(None)
