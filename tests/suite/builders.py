"""What tests build before they look: each has defaults, so that a test says only what matters to it."""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.suite.client import Answer, Client, File
from tests.suite.contract import CONNECTION, CONTEXT, ENDED, RUN, TEST_CASE, TEST_SET, UPLOADED_CSV, conform

SETS = "/v1/evaluation/test-sets"
RUNS = "/v1/evaluation/runs"
FILES = "/v1/evaluation/files"
COMPARE = "/v1/evaluation/compare"
TEMPLATE = "/v1/evaluation/template-csv"
CONTEXTS = "/v1/contexts"
CONNECTIONS = "/v1/connections"

# Well formed, and nobody's.
UNKNOWN = "01890000-0000-7000-8000-000000000000"
ENDS_WITHIN = 30.0

Json = dict[str, Any]
_numbers = itertools.count(1)


def made(answer: Answer, status: int = 201) -> Json:
    """The body of a success. Raises AssertionError for any other status."""
    assert answer.status == status, answer
    body: Json = answer.json
    return body


def unique(word: str) -> str:
    """A name that no other test uses."""
    return f"{word} {next(_numbers)}"


def csv_of(*rows: str, header: str = "question,expected_response,test_method", end: str = "\r\n") -> bytes:
    """A CSV file of these lines."""
    return (end.join([header, *rows]) + end).encode()


@dataclass(frozen=True)
class Builders:
    """Makes things through the gateway as `client`."""

    client: Client

    def connection(self, **fields: object) -> Json:
        """One of `echo`, unless it says otherwise."""
        body = {"name": unique("connection"), "kind": "builtin", "model": "echo", **fields}
        return dict(conform(made(self.client.post(CONNECTIONS, body)), CONNECTION))

    def endpoint(self, base_url: str, **fields: object) -> Json:
        """A connection to an OpenAI-compatible endpoint."""
        return self.connection(kind="openai", base_url=base_url, model=fields.pop("model", "local"), **fields)

    def context(self, connection: Mapping[str, Any] | None = None, **fields: object) -> Json:
        """One with a connection of its own, unless one is given."""
        connection_id = (connection or self.connection())["id"]
        body = {"name": unique("context"), "connection_id": connection_id, **fields}
        return dict(conform(made(self.client.post(CONTEXTS, body)), CONTEXT))

    def test_set(self, context: Mapping[str, Any] | None = None, **fields: object) -> Json:
        """An independent one without cases."""
        body = {"context_id": (context or self.context())["id"], "name": unique("set"), "mode": "independent", **fields}
        return dict(conform(made(self.client.post(SETS, body)), TEST_SET))

    def case(self, test_set: Mapping[str, Any], **fields: object) -> Json:
        """One that `echo` passes."""
        body = {"question": "Paris", "expected_response": "Paris", "test_method": "exact_match", **fields}
        return dict(conform(made(self.client.post(f"{SETS}/{test_set['id']}/cases", body)), TEST_CASE))

    def cases(self, test_set: Mapping[str, Any], *pairs: tuple[str, str]) -> None:
        """exact_match cases of (question, expected response), by one CSV."""
        self.rows(test_set, [f"{question},{expected},exact_match" for question, expected in pairs])

    def rows(self, test_set: Mapping[str, Any], rows: Sequence[str]) -> None:
        """Cases of CSV rows: question, expected_response, test_method."""
        answer = self.client.upload(f"{SETS}/{test_set['id']}/upload-csv", File(csv_of(*rows)))
        found = conform(made(answer, 200), UPLOADED_CSV)
        assert found["created_count"] == len(rows), found

    def a_set_of(self, *pairs: tuple[str, str], context: Mapping[str, Any] | None = None, **fields: object) -> Json:
        """An independent set with these exact_match cases."""
        test_set = self.test_set(context, **fields)
        self.cases(test_set, *pairs)
        return test_set

    def run(self, test_set: Mapping[str, Any], context_id: str | None = None, **fields: object) -> Json:
        """A run that was accepted, against the set's own context."""
        body = {"test_set_id": test_set["id"], "context_id": context_id or test_set["context_id"], **fields}
        return dict(conform(made(self.client.post(RUNS, body)), RUN))

    def read(self, run: Mapping[str, Any]) -> Json:
        """The run as it reads now."""
        return dict(conform(made(self.client.get(f"{RUNS}/{run['id']}"), 200), RUN))

    def ended(self, run: Mapping[str, Any], within: float = ENDS_WITHIN) -> Json:
        """The run once it has ended. Raises AssertionError if it hasn't in time."""
        ends = time.monotonic() + within
        while (now := self.read(run))["status"] not in ENDED:
            assert time.monotonic() < ends, now
            time.sleep(0.05)
        return now

    def finished(self, test_set: Mapping[str, Any], context_id: str | None = None, **fields: object) -> Json:
        """A run that is completed."""
        run = self.ended(self.run(test_set, context_id, **fields))
        assert run["status"] == "completed", run
        return run

    def results(self, run: Mapping[str, Any], **parameters: object) -> list[Json]:
        """A page of results, 100 at most."""
        items: list[Json] = made(self.client.get(f"{RUNS}/{run['id']}/results", {"page_size": 100, **parameters}), 200)["items"]
        return items
