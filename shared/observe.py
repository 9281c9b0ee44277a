"""Logs and figures: JSON lines on standard output, Prometheus metrics on a port of their own."""

import logging
import sys

import structlog
from prometheus_client import Counter, Gauge, Histogram, start_http_server

CALLS = Counter("assay_grpc_calls", "Calls served, by method and status code.", ["method", "code"])
CALL_SECONDS = Histogram("assay_grpc_call_seconds", "Seconds that a call took.", ["method"])
EVENTS_HEARD = Counter("assay_events_heard", "Events that were handled, by topic.", ["topic"])
EVENTS_FETCHED = Counter("assay_events_fetched", "Events that NATS lost and that were read from an outbox, by topic.", ["topic"])
OUTBOX_BEHIND = Gauge("assay_outbox_behind", "Outbox rows that the relay has tried and not yet published.")
LEASES_EXPIRED = Counter("assay_leases_expired", "Cases whose lease ran out.")
NATS_CONNECTED = Gauge("assay_nats_connected", "1 while connected to NATS.")


def configure_logs(service: str, instance: str, level: str) -> None:
    """Makes every log record one JSON line with the service's name; `extra` becomes keys."""

    def name_us(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**event, "service": service, "instance": instance}

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
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


def serve_metrics(listen: str) -> None:
    """Serves /metrics in a thread of its own; nothing when `listen` is empty."""
    if listen:
        host, _, port = listen.rpartition(":")
        start_http_server(int(port), host)
