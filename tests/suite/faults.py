"""What the fault tests do to a stack, and how they start and follow runs while it is being hurt."""

import asyncio
import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from deploy.local.stack import Stack
from tests.suite import oracle

PATIENCE = 30.0
ENDED = ("completed", "error", "cancelled")


class UnavailableError(Exception):
    """The stack is being hurt right now; every request may be repeated."""


@dataclass(frozen=True)
class Client:
    """A REST client that repeats what was answered 503, or not at all, as a client of a clustered service does."""

    url: str
    token: str

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON; the same Idempotency-Key on every repetition. Raises HTTPError for a refusal."""
        key = str(uuid.uuid4())
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                return self.once(method, path, body, key)
            except UnavailableError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.2)

    def once(self, method: str, path: str, body: object = None, key: str = "") -> Any:
        """The same, not repeated. Raises UnavailableError too."""
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json", "idempotency-key": key}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 our own gateway
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310 as above
                content = answer.read()
                return json.loads(content) if content else None
        except urllib.error.HTTPError as refusal:
            refusal.read()
            if refusal.code in (503, 504):
                raise UnavailableError from refusal
            raise
        except (OSError, ValueError) as fault:
            raise UnavailableError from fault


@dataclass(frozen=True)
class Scene:
    """A test set against a target, on a stack."""

    client: Client
    test_set_id: str
    context_id: str

    def start(self, runs: int) -> list[str]:
        """Ids of accepted runs."""
        body = {"test_set_id": self.test_set_id, "context_id": self.context_id}
        return [self.client.call("POST", "/v1/evaluation/runs", body)["id"] for _ in range(runs)]

    def run(self, run_id: str) -> Any:
        """A run as it reads now."""
        return self.client.call("GET", f"/v1/evaluation/runs/{run_id}")

    def unfinished(self, run_ids: Sequence[str]) -> list[str]:
        """Those that haven't ended."""
        return [run_id for run_id in run_ids if self.run(run_id)["status"] not in ENDED]

    def await_end(self, run_ids: Sequence[str], within: float) -> None:
        """Raises AssertionError with the laggards' counts when the time is over."""
        left = wait_for(lambda: self.unfinished(run_ids), lambda rest: not rest, within)
        assert not left, [self.run(run_id) for run_id in left]


def wait_for(look: Callable[[], Any], good: Callable[[Any], bool], within: float) -> Any:
    """What was seen last, once it is good or the time is over."""
    ends = time.monotonic() + within
    while not good(seen := look()) and time.monotonic() < ends:
        time.sleep(0.3)
    return seen


def a_scene(stack: Stack, base_url: str, cases: int, concurrency: int) -> Scene:
    """A set of independent exact_match cases on an openai connection."""
    env = stack.env()
    client = Client(env["ASSAY_URL"], env["ASSAY_TOKEN"])
    connection = {"name": "target", "kind": "openai", "base_url": base_url, "max_concurrency": concurrency}
    connection_id = client.call("POST", "/v1/connections", connection)["id"]
    context_id = client.call("POST", "/v1/contexts", {"name": "context", "connection_id": connection_id})["id"]
    new_set = {"context_id": context_id, "name": "set", "mode": "independent"}
    test_set_id = client.call("POST", "/v1/evaluation/test-sets", new_set)["id"]
    for number in range(cases):
        case = {"question": f"question {number}", "expected_response": "x", "test_method": "exact_match"}
        client.call("POST", f"/v1/evaluation/test-sets/{test_set_id}/cases", case)
    return Scene(client, test_set_id, context_id)


def findings(stack: Stack, run_ids: Sequence[str]) -> dict[str, list[str]]:
    """What the oracle finds once its events have settled: at most 25 s later, the time that lost events take."""

    def look() -> dict[str, list[str]]:
        database = stack.env()["ASSAY_DATABASE_URL"]
        return asyncio.run(oracle.findings(database, [UUID(run_id) for run_id in run_ids], settled=False))

    seen: dict[str, list[str]] = wait_for(look, lambda found: not found, 25)
    return seen
