"""Reads about test runs of projects, under /api/v2/projects."""

from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from assay.reporting.v1 import project_test_runs_pb2 as pb
from assay.runner.v1.project_test_run_pb2 import ProjectTestRun
from shared.ids import new_id
from tests.services.reporting.builders import Facts, a_score, judged
from tests.services.reporting.conftest import Bench
from tests.services.reporting.servicers.conftest import Service, as_user, refused

NOT_FOUND = grpc.StatusCode.NOT_FOUND


def a_project_run(**more: Any) -> Facts:
    known: dict[str, Any] = {
        "family": "dataset",
        "group_key": str(new_id()),
        "evaluators": ("polite", "short"),
        "details": {"name": "Friday", "description": None, "kind": "prompt"},
    }
    return Facts(**{**known, **more})


async def get(service: Service, run: Facts, **other: Any) -> ProjectTestRun:
    request = pb.GetProjectTestRunRequest(**{"project_id": run.group_key, "test_run_id": str(run.id), **other})
    found: ProjectTestRun = await service.project_runs.GetProjectTestRun(request, metadata=as_user(run.workspace, scopes=()))
    return found


async def listed(service: Service, run: Facts, **wanted: Any) -> list[ProjectTestRun]:
    request = pb.ListProjectTestRunsRequest(project_id=run.group_key, **wanted)
    return list((await service.project_runs.ListProjectTestRuns(request, metadata=as_user(run.workspace))).test_runs)


async def test_a_run_is_summed_up_by_evaluation(service: Service, bench: Bench) -> None:
    run = a_project_run(total=3)
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    cases = [
        judged(0, a_score("passed", 1.0, evaluator="polite"), a_score("failed", 0.5, evaluator="short"), a_score(evaluator="client:liked")),
        judged(1, a_score("failed", 0.5, evaluator="polite"), a_score("passed", 1.0, evaluator="short")),
        judged(2, a_score("error", evaluator="polite"), a_score("error", evaluator="short"), output=None, error="never recorded"),
    ]
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(*cases)))
    await bench.projection.runs_finished(bench.numbers.heard(run.finished(7)))
    told = json_format.MessageToDict(await get(service, run), always_print_fields_with_no_presence=True)
    assert told == {
        "id": str(run.id),
        "test_run_id": str(run.id),
        "name": "Friday",
        "description": "",
        "created_at": "2026-11-03T09:30:00.250Z",
        "sessions_count": 2,
        "status": "completed",
        "summary_statistics": {
            "human_evaluation": {},
            "auto_evaluation": {
                "polite": {"passed": 1, "failed": 1, "error": 1, "average_score": 0.75},
                "short": {"passed": 1, "failed": 1, "error": 1, "average_score": 0.75},
            },
            "client_evaluation": {"liked": {"passed": 1, "failed": 0, "error": 0, "average_score": 1.0}},
        },
    }


async def test_an_open_run_counts_what_the_runner_was_told(service: Service, bench: Bench) -> None:
    run = a_project_run(total=5)
    bench.peers.runner.knows(run.state(executed_cases=3, client_driven=True))
    for found in (await get(service, run), *await listed(service, run)):
        assert (found.sessions_count, found.status) == (3, ProjectTestRun.running)
        polite = found.summary_statistics.auto_evaluation["polite"]
        assert (polite.passed, polite.failed, polite.error, json_format.MessageToJson(polite.average_score)) == (0, 0, 0, "null")


async def test_that_an_output_was_recorded_is_no_evaluation(service: Service, bench: Bench) -> None:
    run = a_project_run(total=1, evaluators=())
    await bench.completed(run, judged(0))
    found = await get(service, run)
    assert (found.status, found.sessions_count, dict(found.summary_statistics.auto_evaluation)) == (ProjectTestRun.completed, 1, {})


async def test_the_runs_of_a_project_are_listed_newest_first(service: Service, bench: Bench) -> None:
    runs = [a_project_run(total=1)]
    runs += [runs[0].but(id=new_id(), test_set=new_id()) for _ in range(3)]
    elsewhere = a_project_run(total=1, workspace=runs[0].workspace)
    for run in (*runs[:3], elsewhere):
        await bench.completed(run, judged(0))
    bench.peers.runner.knows(runs[3].state())
    assert [item.id for item in await listed(service, runs[0])] == [str(run.id) for run in reversed(runs)]
    assert [item.id for item in await listed(service, runs[0], page=2, page_size=3)] == [str(runs[0].id)]


async def test_a_project_without_runs_has_none_and_an_unknown_one_is_not_found(service: Service, bench: Bench) -> None:
    run = a_project_run()
    with refused(NOT_FOUND, "project not found"):
        await listed(service, run)
    bench.peers.catalog.subjects.add((str(run.workspace), "project", run.group_key))
    assert await listed(service, run) == []
    with refused(NOT_FOUND, "project not found"):
        await listed(service, run.but(group_key="nonsense"))


async def test_a_run_belongs_to_its_project_and_its_workspace(service: Service, bench: Bench) -> None:
    run = a_project_run(total=1)
    await bench.completed(run, judged(0))
    for facts in (run.but(group_key=str(new_id())), run.but(group_key="x"), run.but(workspace=new_id()), run.but(id=new_id())):
        with refused(NOT_FOUND, "run not found"):
            await get(service, facts)


@pytest.mark.parametrize("wrong", [{"page": 0}, {"page_size": 101}])
async def test_wrong_parameters_are_named(service: Service, wrong: dict[str, int]) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, next(iter(wrong))):
        await listed(service, a_project_run(), **wrong)
