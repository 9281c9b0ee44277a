"""Reads about executions of run tests, under /simulate/run-tests."""

from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from assay.reporting.internal.v1 import reporting_pb2
from assay.reporting.v1 import simulations_pb2 as pb
from shared.ids import new_id
from tests.services.reporting.builders import Facts, a_score, judged
from tests.services.reporting.conftest import Bench
from tests.services.reporting.servicers.conftest import Service, as_service, as_user, refused

NOT_FOUND, INVALID = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT
Status = pb.TestExecution.Status


def an_execution(**more: Any) -> Facts:
    return Facts(**{"family": "run_test", "evaluators": ("polite", "tool_evaluation"), "total": 2, **more})


async def executions(service: Service, run: Facts, **wanted: Any) -> pb.ListExecutionsResponse:
    request = pb.ListExecutionsRequest(run_test_id=str(run.test_set), **wanted)
    found: pb.ListExecutionsResponse = await service.simulations.ListExecutions(request, metadata=as_user(run.workspace, scopes=()))
    return found


async def summary(service: Service, run: Facts, **wanted: Any) -> list[dict[str, Any]]:
    request = pb.GetEvalSummaryRequest(run_test_id=str(run.test_set), **wanted)
    answer = await service.simulations.GetEvalSummary(request, metadata=as_user(run.workspace))
    evaluations: list[dict[str, Any]] = json_format.MessageToDict(answer, always_print_fields_with_no_presence=True)["evaluations"]
    return evaluations


async def newest(service: Service, run: Facts, *more: str) -> dict[str, tuple[str, str]]:
    request = reporting_pb2.ReadNewestRunsRequest(subject_ids=[str(run.test_set), *more])
    answer = await service.internal.ReadNewestRuns(request, metadata=as_service(run.workspace))
    return {one.subject_id: (one.run_id, one.status) for one in answer.runs}


@pytest.mark.parametrize(
    ("state", "executed", "status"),
    [
        ("pending", 0, "pending"),
        ("running", 1, "running"),
        ("running", 2, "evaluating"),
        ("cancelling", 2, "cancelled"),
    ],
)
async def test_an_open_execution_stands_where_its_calls_do(service: Service, bench: Bench, state: str, executed: int, status: str) -> None:
    run = an_execution()
    bench.peers.runner.knows(run.state(state, executed_cases=executed))
    (found,) = (await executions(service, run)).results
    assert (Status.Name(found.status), found.total_calls, found.completed_calls) == (status, 2, executed)
    assert not found.HasField("completed_at")
    assert await newest(service, run) == {str(run.test_set): (str(run.id), status)}


@pytest.mark.parametrize(("state", "status"), [("completed", "completed"), ("error", "failed"), ("cancelled", "cancelled")])
async def test_a_closed_execution_has_its_end_and_its_calls(service: Service, bench: Bench, state: str, status: str) -> None:
    run = an_execution()
    case = judged(0, a_score(evaluator="polite"), a_score(evaluator="tool_evaluation"))
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(case)))
    await bench.projection.runs_finished(bench.numbers.heard(run.finished(2, state)))
    (found,) = (await executions(service, run)).results
    assert (Status.Name(found.status), found.total_calls, found.completed_calls, found.HasField("completed_at")) == (status, 2, 1, True)
    assert (await newest(service, run))[str(run.test_set)] == (str(run.id), status)


async def test_executions_are_paged_with_links_to_the_pages_beside(service: Service, bench: Bench) -> None:
    runs = [an_execution(total=1)]
    runs += [runs[0].but(id=new_id()) for _ in range(4)]
    for run in runs:
        await bench.completed(run, judged(0))
    found = await executions(service, runs[0], page=2, limit=2)
    assert [item.id for item in found.results] == [str(runs[2].id), str(runs[1].id)]
    assert (found.count, found.total_pages, found.current_page) == (5, 3, 2)
    here = f"https://assay.example/simulate/run-tests/{runs[0].test_set}/executions/"
    assert (found.next.string_value, found.previous.string_value) == (f"{here}?page=3&limit=2", f"{here}?page=1&limit=2")
    beyond = await executions(service, runs[0], page=9, limit=2)
    assert (len(beyond.results), beyond.next.WhichOneof("kind"), beyond.previous.string_value) == (
        0,
        "null_value",
        f"{here}?page=3&limit=2",
    )
    whole = await executions(service, runs[0])
    assert (whole.next.WhichOneof("kind"), whole.previous.WhichOneof("kind")) == ("null_value", "null_value")
    assert await newest(service, runs[0]) == {str(runs[0].test_set): (str(runs[4].id), "completed")}


async def test_a_run_test_without_executions_has_none_and_an_unknown_one_is_not_found(service: Service, bench: Bench) -> None:
    run = an_execution()
    for read in (executions, summary):
        with refused(NOT_FOUND, "run test not found"):
            await read(service, run)
    bench.peers.catalog.subjects.add((str(run.workspace), "run_test", str(run.test_set)))
    assert (await executions(service, run)).count == 0
    assert await summary(service, run) == []
    assert await newest(service, run, "nonsense", str(new_id())) == {}


async def test_each_evaluation_is_summed_up_in_the_newest_execution_or_in_any(service: Service, bench: Bench) -> None:
    first = an_execution()
    second = first.but(id=new_id())
    cases = [
        judged(0, a_score("passed", 1.0, evaluator="polite"), a_score("unscored", evaluator="tool_evaluation")),
        judged(1, a_score("failed", 0.5, evaluator="polite"), a_score("not_applicable", evaluator="tool_evaluation")),
    ]
    await bench.projection.runs_started(bench.numbers.heard(first.started()))
    await bench.projection.cases_scored(bench.numbers.heard(first.scored(*cases)))
    await bench.projection.runs_finished(bench.numbers.heard(first.finished(4)))
    found = [
        {"name": "polite", "average_score": 0.75, "total_runs": 2, "passed": 1, "failed": 1},
        {"name": "tool_evaluation", "total_runs": 2, "passed": 0, "failed": 0},
    ]
    assert await summary(service, first) == found
    bench.peers.runner.knows(second.state())
    nothing_yet = [{"name": name, "total_runs": 0, "passed": 0, "failed": 0} for name in ("polite", "tool_evaluation")]
    assert await summary(service, first) == nothing_yet
    assert await summary(service, first, execution_id=str(first.id)) == found


async def test_an_execution_of_another_run_test_is_not_found_and_a_malformed_one_invalid(service: Service, bench: Bench) -> None:
    run = an_execution(total=1)
    other = an_execution(total=1, workspace=run.workspace)
    for facts in (run, other):
        await bench.completed(facts, judged(0))
        bench.peers.catalog.subjects.add((str(facts.workspace), "run_test", str(facts.test_set)))
    for execution_id in (str(other.id), str(new_id())):
        with refused(NOT_FOUND, "execution not found"):
            await summary(service, run, execution_id=execution_id)
    with refused(INVALID, "execution_id"):
        await summary(service, run, execution_id="x")


@pytest.mark.parametrize("wrong", [{"page": 0}, {"limit": 0}, {"limit": 101}])
async def test_wrong_parameters_are_named(service: Service, wrong: dict[str, int]) -> None:
    with refused(INVALID, next(iter(wrong))):
        await executions(service, an_execution(), **wrong)


async def test_users_cannot_ask_what_services_ask(service: Service) -> None:
    with refused(grpc.StatusCode.UNAUTHENTICATED):
        await service.internal.ReadNewestRuns(reporting_pb2.ReadNewestRunsRequest(), metadata=as_user(new_id()))
