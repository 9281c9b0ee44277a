"""Traces: one run is one trace, from the call that started it to its last score.

Off unless an OTLP endpoint is named: then nothing is made, carried or sent. The context travels as W3C traceparent: in gRPC
metadata, in the field `trace` of every event (so it survives whatever happens to NATS), and in calls to targets and judges.
Sampling and batching are the SDK's own, by its OTEL_ settings.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from opentelemetry import context as contexts, trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
HEADER = "traceparent"
OURS = "assay"
OUR_FAULT = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
# A collector that is away must not hold up a drain: by itself the SDK waits for 30 s.
LAST_WORDS_SECONDS = 2.0

_PROPAGATOR = TraceContextTextMapPropagator()


@dataclass
class _Tracing:
    tracer: Tracer | None = None
    finish: Callable[[], None] = lambda: None


_TRACING = _Tracing()
# Run id -> the span under which its events are being handled.
_HEARD: ContextVar[Mapping[str, Span] | None] = ContextVar("heard", default=None)


def start(service: str, instance: str, environment: Mapping[str, str]) -> None:
    """Sends spans to the endpoint that the environment names; does nothing where it names none."""
    if not any(environment.get(name) for name in ENDPOINTS):
        return
    # Imported here alone: whoever doesn't trace pays neither their memory nor their time.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider as Provider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    resource = Resource.create({"service.name": service, "service.namespace": OURS, "service.instance.id": instance})
    provider, exporter = Provider(resource=resource, shutdown_on_exit=False), OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    use(provider)

    def finish() -> None:
        sending = threading.Thread(target=provider.shutdown, daemon=True)
        sending.start()
        sending.join(LAST_WORDS_SECONDS)
        exporter.shutdown()

    _TRACING.finish = finish


def stop() -> None:
    """Sends what is left, for 2 s at most; the last thing that a process does."""
    use(None)
    _TRACING.finish()


def use(provider: TracerProvider | None) -> None:
    """Makes all further spans with this provider; None ends tracing."""
    _TRACING.tracer = provider.get_tracer(OURS) if provider else None


def serving(path: str, metadata: Sequence[tuple[str, str | bytes]], *, internal: bool) -> Span | None:
    """The span of a call that begins, made current for the rest of its task; None if it isn't traced.

    Without a caller's trace an internal call is no part of anything: neighbours look every 2 s whether they missed an event.
    """
    tracer = _TRACING.tracer
    if tracer is None:
        return None
    carrier = {name: value for name, value in metadata if name in {HEADER, "tracestate"} and isinstance(value, str)}
    if internal and HEADER not in carrier:
        return None
    parent = _PROPAGATOR.extract(carrier, contexts.Context())
    service, _, method = path.strip("/").partition("/")
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    span = tracer.start_span(path.strip("/"), parent, SpanKind.SERVER, attributes)
    # Never detached: each call is a task of its own, and a stream that is closed from another one could not detach.
    contexts.attach(trace.set_span_in_context(span, parent))
    return span


def served(span: Span | None, code: str) -> None:
    """Ends the span of a call with the name of its status code."""
    if span is None:
        return
    span.set_attribute("rpc.grpc.status_code", code)
    if code in OUR_FAULT:
        span.set_status(Status(StatusCode.ERROR, code))
    span.end()


def about(**attributes: str) -> None:
    """Adds ids to the span that is current, each as assay.<name>."""
    if _TRACING.tracer is not None and (span := trace.get_current_span()).is_recording():
        span.set_attributes({f"{OURS}.{name}": value for name, value in attributes.items()})


@contextlib.contextmanager
def calling(name: str, **attributes: str) -> Iterator[None]:
    """A span around a call to an endpoint that isn't ours."""
    if _TRACING.tracer is None:
        yield
        return
    # What the endpoint said, and with it what it was sent, may stand in an exception: only the kind of the fault is told.
    with _TRACING.tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except BaseException as fault:
            span.set_status(Status(StatusCode.ERROR, type(fault).__name__))
            raise


@contextlib.contextmanager
def hearing(topic: str, messages: Sequence[Any]) -> Iterator[None]:
    """Spans around the handling of events: one for each trace among them, since they are handled together.

    What is appended to the outbox meanwhile goes on with the trace of its own run.
    """
    tracer = _TRACING.tracer
    if tracer is None:
        yield
        return
    spans: dict[int, Span] = {}
    by_run: dict[str, Span] = {}
    for message in messages:
        parent = _parent(message.trace)
        if parent is None:
            continue
        if parent.trace_id not in spans:
            attributes = {"messaging.system": "nats", "messaging.destination.name": topic, "assay.run_id": run_of(message)}
            within = trace.set_span_in_context(NonRecordingSpan(parent), contexts.Context())
            spans[parent.trace_id] = tracer.start_span(f"process {topic}", within, SpanKind.CONSUMER, attributes)
        by_run[run_of(message)] = spans[parent.trace_id]
    heard = _HEARD.set(by_run)
    current = contexts.attach(_only(list(spans.values())))
    try:
        yield
    except BaseException as fault:
        for span in spans.values():
            span.set_status(Status(StatusCode.ERROR, type(fault).__name__))
        raise
    finally:
        contexts.detach(current)
        _HEARD.reset(heard)
        for span in spans.values():
            span.end()


def _only(spans: Sequence[Span]) -> contexts.Context:
    """A context with the span, if it is the only one: of several none may claim what is done for all."""
    none = contexts.Context()
    return trace.set_span_in_context(spans[0], none) if len(spans) == 1 else none


@contextlib.contextmanager
def of_run(run_id: str) -> Iterator[None]:
    """Makes current the span under which this run's events are handled, for work on one of several."""
    span = (_HEARD.get() or {}).get(run_id)
    if span is None:
        yield
        return
    with trace.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
        yield


def run_of(message: Any) -> str:
    """The run that an event tells of; "" if of none."""
    fields = message.DESCRIPTOR.fields_by_name
    if "run_id" in fields:
        return str(message.run_id)
    return str(message.run.id) if "run" in fields else ""


def workspace_of(message: Any) -> str:
    """The workspace that an event belongs to."""
    return str(message.workspace_id if "workspace_id" in message.DESCRIPTOR.fields_by_name else message.run.workspace_id)


def stamp(message: Message) -> None:
    """Writes the trace into an event that is about to be stored, unless it has one: that of its run, else the current one."""
    if _TRACING.tracer is None or message.trace:  # type: ignore[attr-defined]  # every topic's message has it
        return
    span = (_HEARD.get() or {}).get(run_of(message))
    message.trace = headers(span).get(HEADER, "")  # type: ignore[attr-defined]  # the same


def headers(span: Span | None = None) -> dict[str, str]:
    """What tells a callee of the span, or of the current one; empty without."""
    if _TRACING.tracer is None:
        return {}
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, None if span is None else trace.set_span_in_context(span, contexts.Context()))
    return carrier


def on() -> bool:
    """Whether spans are made at all."""
    return _TRACING.tracer is not None


def log_ids() -> dict[str, str]:
    """The current trace as a log line names it; empty without."""
    if _TRACING.tracer is None:
        return {}
    found = trace.get_current_span().get_span_context()
    return {"trace_id": trace.format_trace_id(found.trace_id), "span_id": trace.format_span_id(found.span_id)} if found.is_valid else {}


def _parent(traceparent: str) -> SpanContext | None:
    if not traceparent:
        return None
    found = trace.get_current_span(_PROPAGATOR.extract({HEADER: traceparent}, contexts.Context())).get_span_context()
    return found if found.is_valid else None
