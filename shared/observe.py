"""Logs and figures: JSON lines on standard output, Prometheus metrics on a port of their own."""

import asyncio
import logging
import sys
from collections import deque

import structlog
from prometheus_client import Counter, Gauge, Histogram, start_http_server

from shared import tracing

# What these mean to an operator, and what to alert on: deploy/OBSERVABILITY.md.
LOOKS = 10
LONG = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

CALLS = Counter("assay_grpc_calls", "Calls served, by method and status code.", ["method", "code"])
CALL_SECONDS = Histogram("assay_grpc_call_seconds", "Seconds that a call took.", ["method"])
CALLS_IN_PROGRESS = Gauge("assay_grpc_calls_in_progress", "Calls being served, open streams among them.")
LOOP_LAG = Gauge("assay_event_loop_lag_seconds", "How late the event loop woke up at worst, of ten looks a second apart.")
POOL_CONNECTIONS = Gauge("assay_postgres_connections", "Connections of the pool, by state: used, idle, or room for more.", ["state"])
EVENTS_HEARD = Counter("assay_events_heard", "Events that were handled, by topic.", ["topic"])
EVENTS_FAILED = Counter("assay_events_failed", "Times that events were not handled, and stay to be delivered again, by topic.", ["topic"])
EVENT_SECONDS = Histogram("assay_event_seconds", "Seconds that a batch of events took to handle.", ["topic"], buckets=LONG)
CONSUMER_LAG = Gauge("assay_consumer_lag", "Events from the first that had no effect here to the newest, by topic.", ["topic"])
EVENTS_FETCHED = Counter("assay_events_fetched", "Events that NATS lost and that were read from an outbox, by topic.", ["topic"])
OUTBOX_BEHIND = Gauge("assay_outbox_behind", "Outbox rows that the relay has tried and not yet published.")
OUTBOX_UNPUBLISHED = Gauge(
    "assay_outbox_unpublished", "Outbox rows that are not published yet, at most 10,000; told by the relay that leads."
)
OUTBOX_AGE = Gauge("assay_outbox_oldest_seconds", "Age of the oldest of these rows; 0 without any.")
OUTBOX_PARKED = Gauge("assay_outbox_parked", "Outbox rows that can never be published; counted when a relay begins to lead.")
LEASES_EXPIRED = Counter("assay_leases_expired", "Cases whose lease ran out.")
NATS_CONNECTED = Gauge("assay_nats_connected", "1 while connected to NATS.")
TICKETS_OUT = Gauge("assay_tickets_outstanding", "Tickets that are issued and not done, of all runs.")
SLOTS_USED = Gauge("assay_governor_slots_in_use", "Slots that this runner holds: calls to targets under way, or waiting for their minute.")
SLOTS_WANTED = Gauge("assay_governor_slots_waiting", "Cases of this runner that wait for a slot of their run or connection.")
TARGET_CALLS = Counter("assay_target_calls", "Calls to targets, by outcome: answered, throttled, failed or refused.", ["outcome"])
TARGET_SECONDS = Histogram("assay_target_call_seconds", "Seconds that a call to a target took.", buckets=LONG)
JUDGE_CALLS = Counter("assay_judge_calls", "Calls to judges, by HTTP status; 0 where none came.", ["status"])
JUDGE_SECONDS = Histogram("assay_judge_call_seconds", "Seconds that a call to a judge took.", buckets=LONG)


def name(**ids: object) -> None:
    """Ids that every further log line and the current span of this task have, say run_id and workspace_id; empty ones aren't said."""
    said = {key: str(value) for key, value in ids.items() if value}
    structlog.contextvars.bind_contextvars(**said)
    tracing.about(**said)


def forget_names() -> None:
    """Takes back all that `name` said in this task."""
    structlog.contextvars.clear_contextvars()


def configure_logs(service: str, instance: str, level: str) -> None:
    """Makes every log record one JSON line with the service's name; `extra` becomes keys."""

    def name_us(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**event, **tracing.log_ids(), "service": service, "instance": instance}

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.contextvars.merge_contextvars,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                name_us,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # nats-py logs every failed reconnection with a traceback; our own line says as much.
    logging.getLogger("nats").setLevel(logging.CRITICAL)


async def watch_loop() -> None:
    """Measures until cancelled how late the event loop is: whatever computes in it makes every call wait."""
    loop = asyncio.get_running_loop()
    late = deque[float](maxlen=LOOKS)
    while True:
        due = loop.time() + 1.0
        await asyncio.sleep(1.0)
        late.append(loop.time() - due)
        LOOP_LAG.set(max(late))


def serve_metrics(listen: str) -> None:
    """Serves /metrics in a thread of its own; nothing when `listen` is empty."""
    if listen:
        host, _, port = listen.rpartition(":")
        start_http_server(int(port), host)
