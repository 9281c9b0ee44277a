"""Reads about runs of assistant tests, under /v2/ai/assistants/tests."""

from typing import Any

import grpc
import pytest

from assay.reporting.v1 import assistant_test_runs_pb2 as pb, reports_pb2
from assay.runner.v1.assistant_test_runs_pb2 import TestRun as Run
from assay.scoring.internal.v1.events_pb2 import ScoredCase
from services.reporting.convert import assistant_test_runs as convert
from shared.ids import new_id
from tests.services.reporting.builders import ENDED_AT, Facts, a_score, judged
from tests.services.reporting.conftest import Bench, Peers
from tests.services.reporting.servicers.conftest import Service, as_user, refused

NOT_FOUND, INVALID = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT
RUBRIC = ("greets", "resolves")
TRANSCRIPT = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "name": "look_up", "arguments": {"order": 7}}]},
    {"role": "tool", "tool_call_id": "1", "content": "sent"},
    {"role": "assistant", "content": "It was sent."},
]


def a_test_run(**more: Any) -> Facts:
    return Facts(total=1, family="assistant_test", evaluators=RUBRIC, group_key="", **more)


def held(*statuses: str, **more: Any) -> ScoredCase:
    """The conversation, with the verdicts on the rubric."""
    scores = [a_score(status, evaluator=name) for name, status in zip(RUBRIC, statuses, strict=True)]
    return judged(0, *scores, record={"transcript": TRANSCRIPT, "termination_reason": "script_ended"}, **more)


async def finished(bench: Bench, run: Facts, case: ScoredCase) -> None:
    await bench.projection.runs_started(bench.numbers.heard(run.started()))
    await bench.projection.cases_scored(bench.numbers.heard(run.scored(case)))
    await bench.projection.runs_finished(bench.numbers.heard(run.finished(len(case.scores))))


async def get(service: Service, run: Facts, **other: Any) -> Run:
    request = pb.GetTestRunRequest(**{"test_id": str(run.test_set), "run_id": str(run.id), **other})
    found: Run = await service.tests.GetTestRun(request, metadata=as_user(run.workspace, scopes=()))
    return found


async def page(service: Service, run: Facts, **wanted: Any) -> pb.ListTestRunsResponse:
    request = pb.ListTestRunsRequest(test_id=str(run.test_set), **wanted)
    found: pb.ListTestRunsResponse = await service.tests.ListTestRuns(request, metadata=as_user(run.workspace))
    return found


async def suite(service: Service, run: Facts, name: str, **wanted: Any) -> pb.ListTestRunsResponse:
    request = pb.ListSuiteRunsRequest(suite_name=name, **wanted)
    found: pb.ListTestRunsResponse = await service.tests.ListSuiteRuns(request, metadata=as_user(run.workspace))
    return found


def details(run: Run) -> list[tuple[str, str]]:
    return [(detail.name, Run.Status.Name(detail.status)) for detail in run.detail_status]


class TestGetTestRun:
    @pytest.mark.parametrize("state", ["pending", "starting", "running"])
    async def test_every_criterion_is_there_from_the_start(self, service: Service, bench: Bench, state: str) -> None:
        run = a_test_run()
        bench.peers.runner.knows(run.state(state, started_at=None, triggered_by="manual"))
        found = await get(service, run)
        assert (Run.Status.Name(found.status), found.triggered_by) == (state, "manual")
        assert details(found) == [("greets", state), ("resolves", state)]
        assert [found.HasField(name) for name in ("completed_at", "logs", "conversation_id", "conversation_insights_id")] == [False] * 4

    @pytest.mark.parametrize(
        ("verdicts", "status"),
        [(("passed", "passed"), "passed"), (("failed", "passed"), "failed"), (("failed", "unscored"), "error")],
    )
    async def test_a_completed_run_stands_where_its_criteria_do(
        self, service: Service, bench: Bench, verdicts: tuple[str, str], status: str
    ) -> None:
        run = a_test_run(details={"test_suite_run_id": "019a0000-0000-7000-8000-000000000001"})
        await finished(bench, run, held(*verdicts))
        found = await get(service, run)
        assert Run.Status.Name(found.status) == status
        assert details(found) == [(name, "error" if said == "unscored" else said) for name, said in zip(RUBRIC, verdicts, strict=True)]
        assert found.completed_at.ToDatetime() == ENDED_AT.replace(tzinfo=None)
        assert found.test_suite_run_id == "019a0000-0000-7000-8000-000000000001"
        again = await get(service, run)
        assert (found.conversation_id, found.conversation_insights_id) == (again.conversation_id, again.conversation_insights_id)
        assert len({found.conversation_id, found.conversation_insights_id, ""}) == 3

    async def test_logs_hold_the_conversation_and_each_verdict_with_its_reason(self, service: Service, bench: Bench) -> None:
        run = a_test_run()
        await finished(bench, run, held("passed", "unscored"))
        assert (await get(service, run)).logs.split("\n") == [
            "user: Hello",
            'assistant calls look_up({"order":7})',
            "tool: sent",
            "assistant: It was sent.",
            "conversation ended: script_ended",
            "criterion greets: passed (equal (threshold 0.7))",
            "criterion resolves: error (no verdict)",
        ]

    async def test_a_conversation_too_long_to_show_loses_its_middle(
        self, service: Service, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(convert, "LOG_CHARACTERS", 40)
        run = a_test_run()
        await finished(bench, run, held("passed", "passed"))
        logs = (await get(service, run)).logs
        assert logs.startswith("user: Hello\n")
        assert "characters are left out here" in logs
        assert logs.endswith("criterion resolves: passed (equal (threshold 0.7))")

    async def test_a_verdict_is_read_before_the_run_ends(self, service: Service, bench: Bench) -> None:
        run = a_test_run()
        bench.peers.runner.knows(run.state())
        await bench.projection.cases_scored(bench.numbers.heard(run.scored(judged(0, a_score("failed", evaluator="greets")))))
        found = await get(service, run)
        assert (found.status, details(found)) == (Run.running, [("greets", "failed"), ("resolves", "running")])

    async def test_a_run_that_could_not_be_executed_has_every_criterion_in_error(self, service: Service, bench: Bench) -> None:
        run = a_test_run()
        await bench.projection.runs_finished(bench.numbers.heard(run.finished(0, "error", started_at=None, reason="the model is gone")))
        found = await get(service, run)
        assert (found.status, details(found)) == (Run.error, [("greets", "error"), ("resolves", "error")])
        assert found.logs == "the run could not be executed: the model is gone"
        assert not found.HasField("conversation_id")

    async def test_a_run_belongs_to_its_test_its_family_and_its_workspace(self, service: Service, bench: Bench) -> None:
        run, other = a_test_run(), Facts(total=1)
        await finished(bench, run, held("passed", "passed"))
        await bench.completed(other, judged(0))
        for test_id, run_id, facts in (
            (str(new_id()), str(run.id), run),
            (str(other.test_set), str(other.id), other),
            ("nonsense", str(run.id), run),
            (str(run.test_set), "nonsense", run),
            (str(run.test_set), str(run.id), run.but(workspace=new_id())),
        ):
            with refused(NOT_FOUND, "run not found"):
                await get(service, facts, test_id=test_id, run_id=run_id)

    async def test_reads_of_test_sets_know_nothing_of_it(self, service: Service, bench: Bench) -> None:
        run = a_test_run()
        await finished(bench, run, held("passed", "passed"))
        bench.peers.runner.knows(run.state("completed"))
        name = str(run.id)
        for read, request in (
            (service.reports.GetRun, reports_pb2.GetRunRequest(run_id=name)),
            (service.reports.ListResults, reports_pb2.ListResultsRequest(run_id=name)),
            (service.reports.CompareRuns, reports_pb2.CompareRunsRequest(run_a=name, run_b=name)),
        ):
            with refused(NOT_FOUND, "run not found"):
                await read(request, metadata=as_user(run.workspace))
        for call in (
            service.reports.ExportResults(reports_pb2.ExportResultsRequest(run_id=name), metadata=as_user(run.workspace)),
            service.reports.StreamRunEvents(reports_pb2.StreamRunEventsRequest(run_id=name), metadata=as_user(run.workspace)),
        ):
            with refused(NOT_FOUND, "run not found"):
                _ = [body async for body in call]
        with refused(NOT_FOUND, "test set not found"):
            await service.reports.ListRunHistory(
                reports_pb2.ListRunHistoryRequest(test_set_id=str(run.test_set)), metadata=as_user(run.workspace)
            )


class TestListTestRuns:
    async def test_runs_stand_newest_first_the_open_ones_too(self, service: Service, bench: Bench) -> None:
        runs = [a_test_run()]
        runs += [runs[0].but(id=new_id()) for _ in range(4)]
        for run in runs[:3]:
            await finished(bench, run, held("passed", "passed"))
        bench.peers.runner.knows(*(run.state() for run in runs[3:]))
        found = await page(service, runs[0], page_number=2, page_size=2)
        assert [item.run_id for item in found.data] == [str(runs[2].id), str(runs[1].id)]
        assert found.data[0].logs
        assert (found.meta.page_number, found.meta.page_size, found.meta.total_pages, found.meta.total_results) == (2, 2, 3, 5)

    async def test_a_status_is_filtered_before_pages_are_cut(self, service: Service, bench: Bench) -> None:
        runs = [a_test_run()]
        runs += [runs[0].but(id=new_id()) for _ in range(6)]
        verdicts = [("passed", "passed"), ("failed", "passed"), ("error", "failed"), ("passed", "passed"), ("passed", "passed")]
        for run, said in zip(runs, verdicts, strict=False):
            await finished(bench, run, held(*said))
        await bench.projection.runs_finished(bench.numbers.heard(runs[5].finished(0, "error")))
        bench.peers.runner.knows(runs[6].state())
        bench.peers.catalog.subjects.add((str(runs[0].workspace), "assistant_test", str(runs[0].test_set)))
        for status, expected in (("passed", [4, 3, 0]), ("failed", [1]), ("error", [5, 2]), ("running", [6]), ("pending", [])):
            found = await page(service, runs[0], status=status)
            assert [item.run_id for item in found.data] == [str(runs[n].id) for n in expected], status
            assert {Run.Status.Name(item.status) for item in found.data} <= {status}
        second = await page(service, runs[0], status="passed", page_number=2, page_size=2)
        assert ([item.run_id for item in second.data], second.meta.total_results) == ([str(runs[0].id)], 3)

    async def test_a_test_without_such_runs_has_an_empty_page(self, service: Service, bench: Bench) -> None:
        run = a_test_run()
        bench.peers.catalog.subjects.add((str(run.workspace), "assistant_test", str(run.test_set)))
        found = await page(service, run, status="failed")
        assert (len(found.data), found.meta.total_results, found.meta.total_pages) == (0, 0, 0)

    async def test_an_unknown_test_is_not_found(self, service: Service, bench: Bench) -> None:
        run = a_test_run()
        await finished(bench, run, held("passed", "passed"))
        for facts in (a_test_run(), run.but(workspace=new_id())):
            with refused(NOT_FOUND, "assistant test not found"):
                await page(service, facts)
        with refused(NOT_FOUND, "assistant test not found"):
            await service.tests.ListTestRuns(pb.ListTestRunsRequest(test_id="x"), metadata=as_user(new_id()))

    async def test_runs_of_a_deleted_test_are_gone(self, service: Service, bench: Bench) -> None:
        run = a_test_run()
        await finished(bench, run, held("passed", "passed"))
        await bench.forgetting.forget(run.workspace, [], [run.test_set])
        with refused(NOT_FOUND, "assistant test not found"):
            await page(service, run)
        with refused(NOT_FOUND, "run not found"):
            await get(service, run)

    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            ({"page_number": 0}, r"page[number]"),
            ({"page_size": 101}, "page[size]"),
            ({"page_size": 0}, "page[size]"),
            ({"status": "ok"}, "status"),
        ],
    )
    async def test_wrong_parameters_are_named(self, service: Service, wrong: dict[str, Any], named: str) -> None:
        with refused(INVALID, named):
            await page(service, a_test_run(), **wrong)
        with refused(INVALID, named):
            await suite(service, a_test_run(), "s", **wrong)


class TestListSuiteRuns:
    async def test_a_suite_lists_the_runs_of_all_its_tests(self, service: Service, bench: Bench) -> None:
        executions = [str(new_id()) for _ in range(3)]
        first = a_test_run().but(group_key="nightly", details={"test_suite_run_id": executions[0]})
        second = first.but(id=new_id(), test_set=new_id())
        third = first.but(id=new_id(), details={"test_suite_run_id": executions[1]})
        for run in (first, second):
            await finished(bench, run, held("passed", "passed"))
        bench.peers.runner.knows(third.state())
        assert [item.run_id for item in (await suite(service, first, "nightly")).data] == [str(run.id) for run in (third, second, first)]
        one = await suite(service, first, "nightly", test_suite_run_id=executions[0], status="passed")
        assert ([item.run_id for item in one.data], one.meta.total_results) == ([str(second.id), str(first.id)], 2)
        assert (await suite(service, first, "nightly", test_suite_run_id=executions[2])).meta.total_results == 0
        with pytest.raises(grpc.aio.AioRpcError, match="test_suite_run_id"):
            await suite(service, first, "nightly", test_suite_run_id="no id")

    async def test_an_unknown_suite_is_not_found_and_one_without_runs_is_empty(self, service: Service, bench: Bench) -> None:
        run = a_test_run()
        with refused(NOT_FOUND, "test suite not found"):
            await suite(service, run, "nightly")
        bench.peers.catalog.subjects.add((str(run.workspace), "suite", "nightly"))
        assert (await suite(service, run, "nightly")).meta.total_results == 0


class TestPeersAway:
    @pytest.fixture
    def peers(self, nobody_there: Peers) -> Peers:
        return nobody_there

    async def test_what_is_projected_is_listed_as_it_is(self, service: Service, bench: Bench) -> None:
        run = a_test_run()
        await bench.projection.runs_started(bench.numbers.heard(run.started()))
        assert [item.run_id for item in (await page(service, run)).data] == [str(run.id)]

    async def test_whether_a_test_exists_cannot_be_told(self, service: Service) -> None:
        with refused(grpc.StatusCode.UNAVAILABLE):
            await page(service, a_test_run())
