"""Runs that are ended by hand, cancelled and deleted; and those that can't be executed at all."""

import time

import asyncpg
import pytest

from deploy.local.stack import Stack
from tests.suite.builders import COMPARE, RUNS, SETS, Builders, Json, made
from tests.suite.client import Client, stream
from tests.suite.contract import RUN, conform, refused
from tests.suite.endpoint import Endpoint

# Seconds after which the runner that asks, which may be another one, has heard by NATS that a run was ended.
HEARD_WITHIN = 1


def half_done(build: Builders, endpoint: Endpoint, name: str) -> Json:
    """A running run: one case is scored, another one is being asked, and two more wait."""
    test_set = build.test_set(build.context(build.endpoint(endpoint.base_url, max_concurrency=1)))
    build.cases(test_set, *[(f"gate {name}", f"gate {name}")] * 4)
    run, gate = build.run(test_set), endpoint.gate(name)
    assert gate.arrived.acquire(timeout=10)
    gate.let_one_through()
    assert gate.arrived.acquire(timeout=10)
    ends = time.monotonic() + 10
    while build.read(run)["completed_cases"] == 0 and time.monotonic() < ends:
        time.sleep(0.05)
    return run


def settled(build: Builders, run: Json) -> Json:
    """A cancelled run once what was executed has been scored."""
    ends = time.monotonic() + 20
    while "completed_at" not in (now := build.read(run)):
        assert time.monotonic() < ends, now
        time.sleep(0.05)
    return now


def test_a_cancel_stops_new_calls_at_once_and_keeps_what_is_done(client: Client, build: Builders, endpoint: Endpoint) -> None:
    run = half_done(build, endpoint, "cancelled")
    answer = conform(made(client.post(f"{RUNS}/{run['id']}/cancel"), 200), RUN)
    assert (answer["id"], answer["status"]) == (run["id"], "cancelled")
    assert build.read(run)["status"] == "cancelled"
    time.sleep(HEARD_WITHIN)
    endpoint.gate("cancelled").open()
    ended = settled(build, run)
    assert (ended["status"], ended["total_cases"]) == ("cancelled", 4)
    assert 1 <= ended["completed_cases"] == ended["passed_cases"] == len(build.results(run)) <= 2
    assert len(endpoint.asked("gate cancelled")) == 2
    again = conform(made(client.post(f"{RUNS}/{run['id']}/cancel"), 200), RUN)
    assert again == ended
    test_set = made(client.get(f"{SETS}/{run['test_set_id']}"), 200)
    assert "last_run_at" not in test_set


def test_a_cancel_right_after_the_start_ends_the_run(client: Client, build: Builders) -> None:
    run = build.run(build.a_set_of(*[("a", "a")] * 50))
    answer = client.post(f"{RUNS}/{run['id']}/cancel", {})
    assert answer.status in (200, 409), answer
    ended = settled(build, run)
    assert ended["status"] == ("cancelled" if answer.status == 200 else "completed")
    assert len(build.results(run)) == ended["completed_cases"]


def test_a_completed_run_cannot_be_cancelled(client: Client, build: Builders) -> None:
    run = build.finished(build.a_set_of(("a", "a")))
    refused(client.post(f"{RUNS}/{run['id']}/cancel"), 409, reason="WRONG_STATE")
    assert build.read(run) == run


@pytest.mark.parametrize("state", ["completed", "running", "cancelled", "just started"])
def test_a_deleted_run_is_unknown_to_every_read_at_once(client: Client, build: Builders, endpoint: Endpoint, state: str) -> None:
    other = build.finished(build.a_set_of(("a", "a")))
    if state == "completed":
        run = build.finished(build.a_set_of(("a", "a")))
    elif state == "just started":
        run = build.run(build.a_set_of(*[("a", "a")] * 20))
    else:
        run = half_done(build, endpoint, state)
    if state == "cancelled":
        made(client.post(f"{RUNS}/{run['id']}/cancel"), 200)
    gone = client.delete(f"{RUNS}/{run['id']}")
    assert (gone.status, gone.body) == (204, b"")
    for _ in range(2):
        for below in ("", "/results", "/export", "/events"):
            refused(client.get(f"{RUNS}/{run['id']}{below}"), 404, reason="NOT_FOUND")
        refused(client.get(COMPARE, {"run_a": other["id"], "run_b": run["id"]}), 404)
        refused(client.post(f"{RUNS}/{run['id']}/cancel"), 404)
        refused(client.delete(f"{RUNS}/{run['id']}"), 404)
        assert made(client.get(f"{SETS}/{run['test_set_id']}/history"), 200)["total"] == 0
        endpoint.gate(state).open()
        time.sleep(0.3)


def test_a_stream_of_a_run_that_is_deleted_ends(client: Client, build: Builders, endpoint: Endpoint) -> None:
    run = half_done(build, endpoint, "deleted")
    with stream(client, run["stream_url"], timeout=20) as events:
        seen = events.events()
        assert next(seen).event == "run.started"
        assert client.delete(f"{RUNS}/{run['id']}").status == 204
        endpoint.gate("deleted").open()
        assert "run.completed" not in [event.event for event in seen]


def test_deleting_the_set_of_a_running_run_ends_it(client: Client, build: Builders, endpoint: Endpoint) -> None:
    run = half_done(build, endpoint, "set gone")
    assert client.delete(f"{SETS}/{run['test_set_id']}").status == 204
    refused(client.get(f"{RUNS}/{run['id']}"), 404)
    time.sleep(HEARD_WITHIN)
    endpoint.gate("set gone").open()
    time.sleep(0.5)
    refused(client.get(f"{RUNS}/{run['id']}"), 404)
    assert len(endpoint.asked("gate set gone")) == 2


async def test_a_run_whose_cases_cannot_be_read_ends_in_error_and_says_so_everywhere(stack: Stack, client: Client, build: Builders) -> None:
    test_set = build.a_set_of(("a", "a"), ("b", "b"))
    database = await asyncpg.connect(stack.env()["ASSAY_DATABASE_URL"])
    try:
        # A case that the set counts is gone; of the five refusals, four are behind us.
        await database.execute("DELETE FROM catalog.test_cases WHERE test_set_id = $1 AND question = 'b'", test_set["id"])
        run = build.run(test_set)
        await database.execute("UPDATE runner.runs SET freeze_failures = freeze_failures + 4 WHERE id = $1", run["id"])
    finally:
        await database.close()
    ended = build.ended(run, within=60)
    assert (ended["status"], ended["total_cases"], ended["completed_cases"]) == ("error", 2, 0)
    assert {"completed_at"} <= set(ended)
    assert build.results(run) == []
    with stream(client, f"{RUNS}/{run['id']}/events") as events:
        assert [event.event for event in events.events()] == ["run.started", "run.error"]
    refused(client.post(f"{RUNS}/{run['id']}/cancel"), 409, reason="WRONG_STATE")
    assert [each["status"] for each in made(client.get(f"{SETS}/{test_set['id']}/history"), 200)["items"]] == ["error"]
    assert "last_run_at" not in made(client.get(f"{SETS}/{test_set['id']}"), 200)
    assert client.delete(f"{RUNS}/{run['id']}").status == 204
