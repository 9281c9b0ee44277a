"""Clients that never rest: what they ask must succeed, at the second try at the latest where the first was answered 503."""

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

SERVICE_UNAVAILABLE = 503
BAD = 400
READERS = 3
STARTERS = 2
READ_PAUSE, WRITE_PAUSE, POLL = 0.05, 0.2, 0.4
RUN_WITHIN = 120.0
ENDED = frozenset({"completed", "error", "cancelled"})

Json = dict[str, Any]


class RefusedError(RuntimeError):
    """A request failed, retried where it may be; the message says how."""


@dataclass(frozen=True)
class Ended:
    """A run that ended: how, after how many seconds, with how many results of how many cases."""

    id: str
    status: str
    seconds: float
    results: int
    cases: int


@dataclass
class Tally:
    """What was asked, and what became of it."""

    requests: int = 0
    retried: int = 0
    failures: list[str] = field(default_factory=list)
    runs: list[Ended] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


class Client:
    """Asks the gateway as the first workspace."""

    def __init__(self, session: aiohttp.ClientSession, env: Mapping[str, str], tally: Tally) -> None:
        self.tally = tally
        self._session, self._url = session, env["ASSAY_URL"]
        self._headers = {"authorization": f"Bearer {env['ASSAY_TOKEN']}"}
        self._keys = itertools.count()

    async def get(self, path: str) -> Json:
        """A JSON object. Raises RefusedError, which is counted."""
        return await self._asked("GET", path, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> Json:
        """What was made; the retry has the same Idempotency-Key. Raises RefusedError, which is counted."""
        return await self._asked("POST", path, body)

    async def delete(self, path: str) -> None:
        """Deletes. Raises RefusedError, which is counted."""
        await self._asked("DELETE", path, None)

    async def _asked(self, method: str, path: str, body: Mapping[str, Any] | None) -> Json:
        key = {"idempotency-key": f"cluster-{next(self._keys)}-{random.random()}"} if body is not None else {}  # noqa: S311 - a name
        began = time.monotonic()
        self.tally.requests += 1
        try:
            status, wait, content = await self._once(method, path, body, key)
            if status == SERVICE_UNAVAILABLE:
                self.tally.retried += 1
                await asyncio.sleep(wait)
                status, _, content = await self._once(method, path, body, key)
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise self._failed(f"{method} {path}: {fault!r}") from fault
        self.tally.latencies.append(time.monotonic() - began)
        if status >= BAD:
            raise self._failed(f"{method} {path}: {status} {content[:300].decode(errors='replace')}")
        answer: Json = json.loads(content) if content else {}
        return answer

    async def _once(self, method: str, path: str, body: Mapping[str, Any] | None, key: Mapping[str, str]) -> tuple[int, float, bytes]:
        headers = {**self._headers, **key}
        async with self._session.request(method, self._url + path, json=body, headers=headers) as answer:
            self.tally.statuses[answer.status] += 1
            return answer.status, float(answer.headers.get("retry-after", 1)), await answer.read()

    def _failed(self, text: str) -> RefusedError:
        self.tally.failures.append(text)
        return RefusedError(text)


@dataclass(frozen=True)
class Subject:
    """What runs execute."""

    test_set_id: str
    context_id: str
    cases: int


async def make_subject(client: Client, base_url: str, cases: int, concurrency: int) -> Subject:
    """A test set whose context is answered by the endpoint at `base_url`: exact matches, and similarities that load the model."""
    reached = {"name": "endpoint", "kind": "openai", "base_url": base_url, "model": "any", "max_concurrency": concurrency}
    connection = await client.post("/v1/connections", reached)
    context = await client.post("/v1/contexts", {"name": "endpoint", "statement": "Answer.", "connection_id": connection["id"]})
    test_set = await client.post("/v1/evaluation/test-sets", {"context_id": context["id"], "name": "load", "mode": "independent"})
    for number in range(cases):
        method = "similarity" if number % 10 == 0 else "exact_match"
        case = {"question": f"question {number}", "expected_response": f"answer {number}", "test_method": method}
        await client.post(f"/v1/evaluation/test-sets/{test_set['id']}/cases", case)
    return Subject(test_set["id"], context["id"], cases)


async def start_run(client: Client, subject: Subject, repeats: int = 1) -> Json:
    """Starts a run."""
    body = {"test_set_id": subject.test_set_id, "context_id": subject.context_id, "repeats": repeats}
    return await client.post("/v1/evaluation/runs", body)


async def ended(client: Client, run: Json, watch: Callable[[Json], None] = lambda _: None, poll: float = POLL) -> Ended:
    """Waits for a run, handing on each state that was seen. Raises RefusedError if it takes too long."""
    began = time.monotonic()
    while (now := await client.get(f"/v1/evaluation/runs/{run['id']}"))["status"] not in ENDED:
        watch(now)
        if time.monotonic() > began + RUN_WITHIN:
            raise RefusedError(f"run {run['id']} has {now['completed_cases']} of {now['total_cases']} results after {RUN_WITHIN:g} s")
        await asyncio.sleep(poll)
    took = time.monotonic() - began
    results = await client.get(f"/v1/evaluation/runs/{run['id']}/results?page_size=1")
    return Ended(run["id"], now["status"], took, results["total"], now["total_cases"])


class Crowd:
    """Readers, a writer, and two who start runs one after another, until they are told to stop."""

    def __init__(self, client: Client, subject: Subject) -> None:
        self._client, self._subject = client, subject
        self._stop = asyncio.Event()
        self._last_run = ""
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._last_run = (await start_run(self._client, self._subject))["id"]
        works = [*[self._read] * READERS, self._write, *[self._run] * STARTERS]
        self._tasks = [asyncio.create_task(self._until_stopped(work)) for work in works]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _until_stopped(self, work: Callable[[], Awaitable[None]]) -> None:
        while not self._stop.is_set():
            try:
                await work()
            except RefusedError as fault:
                if str(fault) not in self._client.tally.failures:
                    self._client.tally.failures.append(str(fault))

    async def _read(self) -> None:
        paths = (
            "/v1/contexts",
            f"/v1/evaluation/test-sets?context_id={self._subject.context_id}",
            f"/v1/evaluation/test-sets/{self._subject.test_set_id}/cases",
            f"/v1/evaluation/test-sets/{self._subject.test_set_id}/history",
            f"/v1/evaluation/runs/{self._last_run}",
            f"/v1/evaluation/runs/{self._last_run}/results",
            "/model-hub/eval-groups/get_evals_list/",
        )
        await self._client.get(random.choice(paths))  # noqa: S311 - a choice of what to read
        await asyncio.sleep(READ_PAUSE)

    async def _write(self) -> None:
        made = await self._client.post(
            "/v1/evaluation/test-sets",
            {"context_id": self._subject.context_id, "name": "w", "mode": "scenario"},
        )
        await self._client.delete(f"/v1/evaluation/test-sets/{made['id']}")
        await asyncio.sleep(WRITE_PAUSE)

    async def _run(self) -> None:
        run = await start_run(self._client, self._subject)
        self._last_run = run["id"]
        self._client.tally.runs.append(await ended(self._client, run))
