"""A run that begins with its cases."""

import pytest

from assay.catalog.internal.v1 import catalog_pb2, parts_pb2, subjects_pb2
from services.runner.operations import opening
from services.runner.operations.opening import Accepting
from services.runner.subjects import Opened
from shared.errors import EmptySet, Invalid
from shared.ids import new_id
from shared.postgres import Database
from tests.services.runner.datasets import EQUALS, PROJECT, a_dataset_case, an_opened, begun, neighbourhood
from tests.services.runner.house import NOW, OURS, rows, said, states, tickets_out


def a_request(name: str = "sums") -> subjects_pb2.OpenSubjectRequest:
    return subjects_pb2.OpenSubjectRequest(family="dataset", name=name, project_id=str(PROJECT))


async def read(cases: int, **subject: object) -> Opened:
    async with neighbourhood() as asked:
        asked.datasets.hold("sums", cases, **subject)
        return await opening.read(asked.catalog, OURS, a_request())


async def test_ten_thousand_cases_are_opened_and_frozen_in_order(database: Database) -> None:
    run = await begun(database, await read(10_000))
    assert (run.state, run.total_cases, run.started_at, run.group_key) == ("running", 10_000, NOW, str(PROJECT))
    found = await rows(database, "SELECT ord, case_id, question, awaited, state FROM run_cases WHERE run_id = $1 ORDER BY ord", run.id)
    assert [(row["ord"], row["case_id"].int, row["question"]) for row in found] == [(n, n, f"question {n}") for n in range(10_000)]
    assert {(row["awaited"], row["state"]) for row in found} == {(True, "queued")}
    assert (await tickets_out(database, run), await said(database, "runner.tickets")) == ([], [])


async def test_others_hear_of_the_run_with_what_its_family_shows(database: Database) -> None:
    run = await begun(database, an_opened(2, evaluators=[EQUALS]))
    [started] = await said(database, "runner.run_started")
    assert (started.run.id, started.run.family, started.run.state, started.run.client_driven) == (str(run.id), "dataset", "running", True)
    assert (list(started.run.evaluators), started.run.target_id, started.run.total_cases) == (["right"], "", 2)
    assert (started.run.details["name"], started.run.details["dataset_name"]) == ("run", "sums")


async def test_a_run_with_a_target_goes_out_as_tickets(database: Database) -> None:
    echo = catalog_pb2.Target(connection_id=str(new_id()), kind="builtin", model="echo", max_concurrency=8, timeout_ms=1000)
    version = str(new_id())
    opened = await read(5, target=echo, target_id=version, evaluators=[parts_pb2.Evaluator(name="a"), parts_pb2.Evaluator(name="b")])
    run = await begun(database, opened)
    assert (run.client_driven, await tickets_out(database, run)) == (False, [(0, 4, 1)])
    [kept] = await rows(database, "SELECT evaluators, client_driven, details FROM runs")
    assert ([each["name"] for each in kept["evaluators"]], kept["client_driven"]) == (["a", "b"], False)
    assert [row["awaited"] for row in await rows(database, "SELECT awaited FROM run_cases")] == [None] * 5


async def test_without_cases_there_is_no_run(database: Database) -> None:
    with pytest.raises(EmptySet, match="dataset has no test cases"):
        await begun(database, await read(0))
    assert await rows(database, "SELECT FROM runs") == await rows(database, "SELECT FROM outbox") == []


async def test_too_many_cases_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_OPENED_CASES", 9)
    assert len((await read(9)).cases) == 9
    with pytest.raises(Invalid, match="at most 9"):
        await read(10)


async def test_a_run_and_its_cases_come_together_or_not_at_all(database: Database) -> None:
    broken = an_opened([a_dataset_case(0), catalog_pb2.Case(id="no id")])
    with pytest.raises(ValueError, match="badly formed"):
        await begun(database, broken)
    assert await rows(database, "SELECT FROM runs") == []


async def test_the_details_of_the_caller_outweigh_those_of_the_subject(database: Database) -> None:
    async with database.transaction() as connection:
        run = await opening.begin(connection, an_opened(), Accepting(OURS, "cron", NOW, {"dataset_name": "mine"}, ("nightly",)))
    assert (run.details["dataset_name"], run.details["kind"], run.triggered_by, run.tags) == ("mine", "prompt", "cron", ("nightly",))
    assert await states(database, run) == ["queued"] * 3
