"""Traces: what carries them on, and that nothing does while they are off."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from assay.runner.internal.v1 import events_pb2
from deploy.local import ports
from shared import observe, outbox, tracing
from shared.channels import ServiceIdentity
from shared.outbox import Event
from shared.postgres import Database
from shared.topics import RUN_DELETED, TOPICS
from tests.servers import NatsProcess
from tests.shared.hop import Hop, hop
from tests.shared.waiting import until

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = int("0af7651916cd43dd8448eb211c80319c", 16)
PATH = "/assay.runner.v1.RunService/StartRun"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)
    observe.forget_names()


@pytest.fixture
async def running(ends: tuple[str, str], nats_server: NatsProcess) -> AsyncIterator[Hop]:
    nats_server.wipe()
    async with hop(ends, nats_server.url) as made:
        yield made


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


async def under(trace: str, said: Hop, *names: str) -> None:
    """Says events as a call with this traceparent would."""

    async def call() -> None:
        span = tracing.serving(PATH, [("traceparent", trace)], internal=False)
        await said.say(*names)
        tracing.served(span, "OK")

    await asyncio.create_task(call())


def test_every_event_has_a_field_for_its_trace() -> None:
    assert [name for name, topic in TOPICS.items() if "trace" not in topic.message.DESCRIPTOR.fields_by_name] == []


async def test_a_call_continues_the_trace_of_its_caller(spans: InMemorySpanExporter) -> None:
    span = tracing.serving(PATH, [("traceparent", CALLER), ("authorization", "Bearer x")], internal=False)
    metadata = dict(ServiceIdentity("runner", "k" * 32).metadata())
    tracing.served(span, "UNAVAILABLE")
    (told,) = spans.get_finished_spans()
    assert told.context is not None
    assert (told.name, told.context.trace_id) == (PATH[1:], TRACE)
    assert told.attributes == {
        "rpc.system": "grpc",
        "rpc.service": "assay.runner.v1.RunService",
        "rpc.method": "StartRun",
        "rpc.grpc.status_code": "UNAVAILABLE",
    }
    assert not told.status.is_ok
    assert metadata["traceparent"] == f"00-{TRACE:032x}-{told.context.span_id:016x}-01"


async def test_a_call_without_a_trace_begins_one_unless_it_is_internal(spans: InMemorySpanExporter) -> None:
    assert tracing.serving("/assay.common.internal.v1.OutboxService/Head", (), internal=True) is None
    tracing.served(tracing.serving(PATH, (), internal=False), "NOT_FOUND")
    (told,) = spans.get_finished_spans()
    assert told.parent is None
    assert told.status.is_unset


async def test_while_off_nothing_is_made_or_carried(database: Database) -> None:
    tracing.use(None)
    assert tracing.serving(PATH, [("traceparent", CALLER)], internal=False) is None
    assert tracing.headers() == {}
    assert tracing.log_ids() == {}
    message = events_pb2.RunDeleted(run_id="r")
    async with database.transaction() as connection:
        await outbox.append(connection, [Event(RUN_DELETED, message)])
    assert message.trace == ""


async def test_an_event_takes_its_trace_to_its_consumer(running: Hop, spans: InMemorySpanExporter) -> None:
    await under(CALLER, running, "a")
    running.begin(running.ear.hear(running.hearing()))
    await running.until_effects(["a"])
    await until(lambda: bool(named(spans, "process runner.run_deleted")))  # it ends after the transaction
    (call,), (processed,) = named(spans, PATH[1:]), named(spans, "process runner.run_deleted")
    assert call.context is not None
    assert processed.parent is not None
    assert (processed.parent.trace_id, processed.parent.span_id) == (TRACE, call.context.span_id)
    assert (processed.attributes or {})["assay.run_id"] == "a"


async def test_an_event_that_nats_lost_keeps_its_trace(running: Hop, spans: InMemorySpanExporter, nats_server: NatsProcess) -> None:
    await under(CALLER, running, "a")
    await asyncio.sleep(0.5)
    nats_server.wipe()
    running.begin(running.watch(0.5).watch([running.hearing()]))
    await running.until_effects(["a"])
    await until(lambda: bool(named(spans, "process runner.run_deleted")))
    assert [span.context.trace_id for span in named(spans, "process runner.run_deleted") if span.context] == [TRACE]


async def test_of_events_handled_together_each_goes_on_with_its_own(spans: InMemorySpanExporter) -> None:
    other = CALLER.replace("0af7", "1bf8")
    heard = [events_pb2.RunDeleted(run_id="a", trace=CALLER), events_pb2.RunDeleted(run_id="b", trace=other)]
    heard.append(events_pb2.RunDeleted(run_id="c"))
    next_ = [events_pb2.CasesExecuted(run_id=name) for name in "abc"]
    with tracing.hearing("t", heard):
        assert tracing.headers() == {}
        with tracing.of_run("b"):
            assert other[:35] in tracing.headers()["traceparent"]
        for message in next_:
            tracing.stamp(message)
    assert [message.trace[:35] for message in next_] == [CALLER[:35], other[:35], ""]
    assert len(named(spans, "process t")) == 2


def test_a_fault_is_told_by_its_kind_alone(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="sk-secret"), tracing.calling("call target"):
        raise ValueError("the endpoint repeated sk-secret")
    (span,) = spans.get_finished_spans()
    assert (span.status.description, span.events) == ("ValueError", ())
    assert "sk-secret" not in span.to_json()


@pytest.mark.usefixtures("spans")
async def test_log_lines_name_run_workspace_and_trace(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        observe.configure_logs("runner", "runner-1", "info")
        tracing.served(tracing.serving(PATH, [("traceparent", CALLER)], internal=False), "OK")
        observe.name(run_id="r", workspace_id="w", nobody=None)
        logging.getLogger("x").warning("said", extra={"run_id": "another"})
    finally:
        root.handlers[:], root.level = before
    line = capsys.readouterr().out
    assert '"workspace_id": "w"' in line
    assert '"run_id": "another"' in line
    assert f'"trace_id": "{TRACE:032x}"' in line
    assert "nobody" not in line


def test_a_collector_that_is_away_holds_up_no_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports.any_free()}"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    tracing.start("runner", "runner-1", told)
    assert tracing.on()
    tracing.served(tracing.serving(PATH, (), internal=False), "OK")
    began = time.monotonic()
    tracing.stop()
    assert time.monotonic() - began < tracing.LAST_WORDS_SECONDS + 3
    assert not tracing.on()


def test_without_an_endpoint_nothing_is_started() -> None:
    tracing.start("runner", "runner-1", {"OTEL_EXPORTER_OTLP_ENDPOINT": ""})
    assert not tracing.on()
