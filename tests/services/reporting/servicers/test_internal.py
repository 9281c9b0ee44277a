"""What the owners of runs and test sets tell."""

import grpc

from assay.reporting.internal.v1 import reporting_pb2 as pb
from assay.reporting.v1 import reports_pb2
from shared.ids import new_id
from tests.services.reporting.builders import Facts, scored
from tests.services.reporting.conftest import Bench
from tests.services.reporting.servicers.conftest import Service, as_service, as_user, refused


async def forget(service: Service, run: Facts, **what: list[str]) -> None:
    await service.internal.Forget(pb.ForgetRequest(**what), metadata=as_service(run.workspace))


async def test_a_forgotten_run_is_not_found_at_once_anywhere(service: Service, bench: Bench) -> None:
    run = Facts(total=1)
    await bench.completed(run, scored(0))
    bench.peers.runner.knows(run.state())
    await forget(service, run, run_ids=[str(run.id)])
    for method, request in (
        (service.reports.GetRun, reports_pb2.GetRunRequest(run_id=str(run.id))),
        (service.reports.ListResults, reports_pb2.ListResultsRequest(run_id=str(run.id))),
        (service.reports.CompareRuns, reports_pb2.CompareRunsRequest(run_a=str(run.id), run_b=str(run.id))),
    ):
        with refused(grpc.StatusCode.NOT_FOUND, "run not found"):
            await method(request, metadata=as_user(run.workspace))
    bench.peers.catalog.test_sets.add((str(run.workspace), str(run.test_set)))
    history = reports_pb2.ListRunHistoryRequest(test_set_id=str(run.test_set))
    assert (await service.reports.ListRunHistory(history, metadata=as_user(run.workspace))).total == 0


async def test_a_forgotten_set_takes_its_runs_with_it(service: Service, bench: Bench) -> None:
    run = Facts(total=1)
    await bench.completed(run, scored(0))
    bench.peers.catalog.test_sets.add((str(run.workspace), str(run.test_set)))
    await forget(service, run, subject_ids=[str(run.test_set)])
    with refused(grpc.StatusCode.NOT_FOUND, "run not found"):
        await service.reports.GetRun(reports_pb2.GetRunRequest(run_id=str(run.id)), metadata=as_user(run.workspace))
    with refused(grpc.StatusCode.NOT_FOUND, "test set not found"):
        await service.reports.ListRunHistory(
            reports_pb2.ListRunHistoryRequest(test_set_id=str(run.test_set)), metadata=as_user(run.workspace)
        )


async def test_what_another_workspace_forgets_stays_here(service: Service, bench: Bench) -> None:
    run = Facts(total=1)
    await bench.completed(run, scored(0))
    await forget(service, run.but(workspace=new_id()), run_ids=[str(run.id)], subject_ids=[str(run.test_set)])
    found = await service.reports.GetRun(reports_pb2.GetRunRequest(run_id=str(run.id)), metadata=as_user(run.workspace))
    assert found.completed_cases == 1


async def test_the_closed_ones_of_a_workspaces_runs_are_told(service: Service, bench: Bench) -> None:
    workspace = new_id()
    closed, gone, open_, theirs = (Facts(workspace=workspace, total=1) for workspace in (workspace, workspace, workspace, new_id()))
    for run in (closed, gone, theirs):
        await bench.completed(run, scored(0))
    await bench.projection.runs_started(bench.numbers.heard(open_.started()))
    await forget(service, gone, run_ids=[str(gone.id)])
    asked = [str(run.id) for run in (closed, open_, gone, theirs)]
    told = await service.internal.ListSettledRuns(pb.ListSettledRunsRequest(run_ids=[*asked, "x"]), metadata=as_service(workspace))
    assert list(told.run_ids) == [str(closed.id)]


async def test_users_cannot_make_it_forget(service: Service) -> None:
    with refused(grpc.StatusCode.UNAUTHENTICATED):
        await service.internal.Forget(pb.ForgetRequest(), metadata=as_user(new_id()))
