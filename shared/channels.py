"""Calling other services: one channel per peer for the life of the process, with a service JWT on every call."""

import json
import time
from collections.abc import Callable
from typing import Any

import grpc
import jwt

from shared import tls, tracing

# Tried again, since every internal call is idempotent: UNAVAILABLE, and the CANCELLED of a server that stops as a call arrives.
RETRIES = {
    "name": [{}],
    "retryPolicy": {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
    },
}
SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [RETRIES]})
OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.service_config", SERVICE_CONFIG),
)
ISSUER = "assay-services"
LIFETIME_SECONDS = 300
WORKSPACE_NONE = ""


class ServiceIdentity:
    """Makes the short-lived JWTs by which services know each other; each names the workspace it acts for, or none."""

    def __init__(self, service: str, key: str, now: Callable[[], float] = time.time) -> None:
        self._service, self._key, self._now = service, key, now
        self._made: dict[str, tuple[str, float]] = {}

    def metadata(self, workspace: object = WORKSPACE_NONE) -> tuple[tuple[str, str], ...]:
        """Call metadata for this workspace."""
        name = str(workspace)
        token, until = self._made.get(name, ("", 0.0))
        if self._now() > until:
            if len(self._made) > 10_000:  # noqa: PLR2004 workspaces remembered; a bound, not a tuning
                self._made.clear()
            token, until = self._token(name), self._now() + LIFETIME_SECONDS / 2
            self._made[name] = (token, until)
        return (("authorization", f"Bearer {token}"), *tracing.headers().items())

    def _token(self, workspace: str) -> str:
        now = int(self._now())
        claims = {
            "iss": ISSUER,
            "sub": self._service,
            "workspace_id": workspace,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        }
        return jwt.encode(claims, self._key, algorithm="HS256")


def open_channel(address: str, files: tls.Files | None = None) -> grpc.aio.Channel:
    """A channel to a peer; `address` is any gRPC target, several replicas included. Without `files` in plaintext."""
    if files is None:
        return grpc.aio.insecure_channel(address, options=OPTIONS)
    return tls.RotatingChannel(files, lambda credentials: grpc.aio.secure_channel(address, credentials, options=OPTIONS))


class Authenticated:
    """A stub whose calls carry a service JWT without naming a workspace: for calls that concern none, as reading an outbox."""

    def __init__(self, stub: Any, identity: ServiceIdentity) -> None:
        self._stub, self._identity = stub, identity

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._stub, name)
        return lambda request, **options: method(request, metadata=self._identity.metadata(), **options)
