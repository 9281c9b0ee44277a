"""What happens around every call: identity, input hygiene, errors, figures. One interceptor for all four handler kinds."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import grpc
from google.protobuf.message import DecodeError, Message

from shared import hygiene, observe, tracing
from shared.errors import DomainError, Invalid, Unavailable, to_status
from shared.identity import Identifier
from shared.limits import RateLimit
from shared.methods import Method, method_of
from shared.postgres import CONFLICTS, OUTAGES

DETAILS = "grpc-status-details-bin"
# The gateway says so of every call that it transcoded; clients can't send it.
REST_HEADER = "x-envoy-original-path"
# No message: the gateway can't decode it, and resets the HTTP stream. Once a body has begun there is no status left to tell
# of a failure, and an export that was cut short would look complete.
CUT = b"\xff\xff\xff"
PASSED_ON = ("x-http-code", "retry-after", DETAILS)

Context = grpc.aio.ServicerContext[Any, Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Malformed:
    """Stands for a request that couldn't be read: an error in a deserializer would come out as 500 with its text."""

    fault: str


class Boundary(grpc.aio.ServerInterceptor):
    """Wraps every handler of a service."""

    def __init__(self, identifier: Identifier, requests_per_second: float = 0.0) -> None:
        self._identifier = identifier
        self._limit = RateLimit(requests_per_second)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Returns the handler with its boundary around it."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:  # answered UNIMPLEMENTED; its path must not fill a cache
            return handler
        method = method_of(handler_call_details.method)
        if method.open:
            return handler
        read = _read_or_malformed(handler.request_deserializer)
        write = _written_or_cut(handler.response_serializer)
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._one(method, handler.unary_unary), read, write)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(self._many(method, handler.unary_stream), read, write)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(self._one(method, handler.stream_unary), read, write)
        return grpc.stream_stream_rpc_method_handler(self._many(method, handler.stream_stream), read, write)

    def _one(self, method: Method, behavior: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def wrapped(request: Any, context: Context) -> Any:
            async with self._boundary(method, request, context):
                return await behavior(_each_checked(request, method), context)

        return wrapped

    def _many(self, method: Method, behavior: Callable[..., AsyncGenerator[Any, None]]) -> Callable[..., AsyncIterator[Any]]:
        async def wrapped(request: Any, context: Context) -> AsyncIterator[Any]:
            begun = False
            # Closed here rather than by the garbage collector: a handler may hold a connection of the pool.
            async with (
                self._boundary(method, request, context),
                contextlib.aclosing(behavior(_each_checked(request, method), context)) as answers,
            ):
                try:
                    async for answer in answers:
                        begun = True
                        yield answer
                except Exception:
                    if begun and _came_as_rest(context):
                        yield CUT
                    raise

        return wrapped

    @contextlib.asynccontextmanager
    async def _boundary(self, method: Method, request: object, context: Context) -> AsyncIterator[None]:
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        metadata = tuple(context.invocation_metadata() or ())
        span = tracing.serving(method.path, metadata, internal=method.internal)
        observe.CALLS_IN_PROGRESS.inc()
        try:
            caller = await self._identifier.identify(method, metadata)
            observe.name(workspace_id=caller.workspace_id, run_id=getattr(request, "run_id", None))
            if not method.internal:
                self._limit.spend(caller.credential_id)
            _check(request, method)
            yield
        except grpc.aio.AbortError:
            raise
        except (asyncio.CancelledError, GeneratorExit):
            code = grpc.StatusCode.CANCELLED
            raise
        except Exception as error:  # noqa: BLE001 told apart in _refusal
            refusal = _refusal(error, method)
            code = refusal.code
            await context.abort(refusal.code, refusal.message, refusal.trailers)
        finally:
            observe.CALLS.labels(method.path, code.name).inc()
            observe.CALL_SECONDS.labels(method.path).observe(time.perf_counter() - started)
            observe.CALLS_IN_PROGRESS.dec()
            tracing.served(span, code.name)


def _came_as_rest(context: Context) -> bool:
    return any(name == REST_HEADER for name, _ in context.invocation_metadata() or ())


def _written_or_cut(write: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    return lambda answer: CUT if answer is CUT else write(answer)


def _read_or_malformed(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def reading(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError as fault:
            return Malformed(str(fault))

    return reading


def _check(request: object, method: Method) -> None:
    if isinstance(request, Malformed):
        raise Invalid({"body": "can't be read: malformed, or nested too deeply"})
    if isinstance(request, Message) and not method.internal:
        faults = dict(hygiene.faults(request))
        if faults:
            raise Invalid(faults)


def _each_checked(request: Any, method: Method) -> Any:
    """A stream of requests is checked message by message, as the handler reads it."""
    if not isinstance(request, AsyncIterable):
        return request

    async def checked() -> AsyncIterator[Any]:
        async for message in request:
            _check(message, method)
            yield message

    return checked()


@dataclass(frozen=True)
class _Refusal:
    code: grpc.StatusCode
    message: str
    trailers: tuple[tuple[str, str | bytes], ...]


def _refusal(error: Exception, method: Method) -> _Refusal:
    if isinstance(error, grpc.aio.AioRpcError):
        return _of_peer(error, method)
    if isinstance(error, (*OUTAGES, *CONFLICTS, asyncpg.LockNotAvailableError)):
        log.warning("answered unavailable", extra={"method": method.path, "fault": repr(error)})
        error = Unavailable("a part of the service can't be reached right now")
    if isinstance(error, DomainError):
        return _of_domain(error)
    log.error("answered internal", extra={"method": method.path}, exc_info=error)
    return _Refusal(grpc.StatusCode.INTERNAL, "an internal error occurred", ())


def _of_domain(error: DomainError) -> _Refusal:
    status = to_status(error)
    trailers: list[tuple[str, str | bytes]] = [(DETAILS, status.SerializeToString())]
    if error.http_status is not None:
        trailers.append(("x-http-code", str(error.http_status)))
    if error.retry_after is not None:
        trailers.append(("retry-after", str(error.retry_after)))
    return _Refusal(error.code, status.message, tuple(trailers))


def _of_peer(error: grpc.aio.AioRpcError, method: Method) -> _Refusal:
    """What another service of ours refused is refused here in the same words; that it is away is a 503."""
    trailers = tuple((name, value) for name, value in error.trailing_metadata() or () if name in PASSED_ON)
    if any(name == DETAILS for name, _ in trailers):
        return _Refusal(error.code(), error.details() or "", trailers)
    log.warning("a peer failed", extra={"method": method.path, "fault": f"{error.code()} {error.details()}"})
    return _of_domain(Unavailable("a part of the service can't be reached right now"))
