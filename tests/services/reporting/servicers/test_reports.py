"""Reads about runs, through a real stub and the real boundary."""

import csv
import io
from dataclasses import replace

import grpc
import pytest

from assay.reporting.v1 import reports_pb2 as pb
from assay.runner.v1 import runs_pb2
from shared.ids import new_id
from tests.services.reporting.builders import ENDED_AT, STARTED_AT, Facts, case_id, scored
from tests.services.reporting.conftest import Bench, Peers
from tests.services.reporting.servicers.conftest import Service, as_user, refused

NOT_FOUND, INVALID, UNAVAILABLE = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE
RUNS_PENDING, RUNS_RUNNING, RUNS_CANCELLED = runs_pb2.Run.pending, runs_pb2.Run.running, runs_pb2.Run.cancelled


async def get(service: Service, run: Facts) -> runs_pb2.Run:
    found: runs_pb2.Run = await service.reports.GetRun(pb.GetRunRequest(run_id=str(run.id)), metadata=as_user(run.workspace))
    return found


class TestGetRun:
    async def test_a_completed_run_is_read_with_its_counts_and_rates(self, service: Service, bench: Bench) -> None:
        run = Facts(total=4, tags=("a", "b"))
        await bench.completed(run, scored(0), scored(1, "failed"), scored(2, "unscored"), scored(3))
        found = await get(service, run)
        assert (found.status, found.total_cases, found.completed_cases) == (runs_pb2.Run.completed, 4, 4)
        assert (found.passed_cases, found.failed_cases, found.error_cases) == (2, 1, 1)
        assert (found.pass_rate, found.average_score) == (0.5, 0.75)
        assert (list(found.tags), found.triggered_by, found.test_set_id) == (["a", "b"], "api", str(run.test_set))
        assert found.stream_url == f"/v1/evaluation/runs/{run.id}/events"
        assert found.completed_at.ToJsonString() == "2026-11-03T09:31:15.250Z"

    async def test_a_completed_run_is_read_without_asking_the_runner(self, service: Service, bench: Bench) -> None:
        run = Facts(total=1)
        await bench.completed(run, scored(0))
        await get(service, run)
        assert bench.peers.runner.asked == []

    async def test_a_run_that_nobody_told_of_is_asked_for(self, service: Service, bench: Bench) -> None:
        run = Facts(total=9)
        bench.peers.runner.knows(run.state("starting", started_at=None))
        found = await get(service, run)
        assert (found.status, found.total_cases, found.HasField("started_at")) == (runs_pb2.Run.starting, 9, False)
        assert not found.HasField("pass_rate")
        assert await bench.events(run) == [(1, "run.started")]

    @pytest.mark.parametrize(
        ("said", "read"),
        [
            ("pending", RUNS_PENDING),
            ("running", RUNS_RUNNING),
            ("cancelling", RUNS_CANCELLED),
            ("cancelled", RUNS_CANCELLED),
            ("completed", RUNS_RUNNING),
            ("error", RUNS_PENDING),
        ],
    )
    async def test_what_the_runner_says_is_taken_over_but_never_an_end(self, service: Service, bench: Bench, said: str, read: int) -> None:
        run = Facts()
        await bench.projection.runs_started(bench.numbers.heard(run.started()))
        bench.peers.runner.knows(run.state(said))
        found = await get(service, run)
        assert (found.status, found.HasField("completed_at")) == (read, False)
        assert found.started_at.ToDatetime() == STARTED_AT.replace(tzinfo=None)

    async def test_a_run_never_goes_back(self, service: Service, bench: Bench) -> None:
        run = Facts()
        bench.peers.runner.knows(run.state("cancelling"))
        await get(service, run)
        bench.peers.runner.knows(run.state("running"))
        assert (await get(service, run)).status == RUNS_CANCELLED

    @pytest.mark.parametrize("run_id", ["", "nonsense", "{0}", "019a0000-0000-7000-8000-000000000009"])
    async def test_unknown_and_malformed_ids_answer_alike(self, service: Service, run_id: str) -> None:
        with refused(NOT_FOUND, "run not found"):
            await service.reports.GetRun(pb.GetRunRequest(run_id=run_id), metadata=as_user(new_id()))

    async def test_another_workspace_has_no_such_run(self, service: Service, bench: Bench) -> None:
        run = Facts(total=1)
        await bench.completed(run, scored(0))
        bench.peers.runner.knows(run.state("completed"))
        with refused(NOT_FOUND, "run not found"):
            await get(service, replace(run, workspace=new_id()))

    async def test_an_open_run_that_the_runner_deleted_is_gone(self, service: Service, bench: Bench) -> None:
        run = Facts()
        await bench.projection.runs_started(bench.numbers.heard(run.started()))
        with refused(NOT_FOUND):
            await get(service, run)

    async def test_the_scope_studio_is_needed(self, service: Service) -> None:
        with refused(grpc.StatusCode.PERMISSION_DENIED):
            await service.reports.GetRun(pb.GetRunRequest(run_id=str(new_id())), metadata=as_user(new_id(), scopes=("other",)))


class TestRunnerAway:
    @pytest.fixture
    def peers(self, nobody_there: Peers) -> Peers:
        return nobody_there

    async def test_a_projected_run_is_read_as_it_is(self, service: Service, bench: Bench) -> None:
        run = Facts()
        await bench.projection.runs_started(bench.numbers.heard(run.started()))
        assert (await get(service, run)).status == RUNS_PENDING

    async def test_one_that_is_not_projected_is_unavailable_and_never_unknown(self, service: Service) -> None:
        with refused(UNAVAILABLE):
            await get(service, Facts())

    async def test_a_deleted_one_is_not_found(self, service: Service, bench: Bench) -> None:
        run = Facts()
        await bench.forgetting.forget(run.workspace, [run.id], [])
        with refused(NOT_FOUND):
            await get(service, run)


class TestListResults:
    async def test_results_stand_in_order_of_their_cases(self, service: Service, bench: Bench) -> None:
        run = Facts(total=5)
        await bench.completed(run, *(scored(n) for n in (3, 0, 4, 1, 2)))
        page = await self.page(service, run, page=2, page_size=2)
        assert [item.question for item in page.items] == ["question 2", "question 3"]
        assert (page.total, page.page, page.page_size, page.total_pages) == (5, 2, 2, 3)

    async def test_a_result_says_all_that_was_found(self, service: Service, bench: Bench) -> None:
        run = Facts(total=1)
        told = scored(
            0, "failed", 0.5, executed={"repeat": 2, "attempts": 3, "warnings": ["cleaned"]}, score={"reason": "half", "warnings": ["weak"]}
        )
        await bench.completed(run, told)
        (found,) = (await self.page(service, run)).items
        assert (found.run_id, found.test_case_id, found.repeat) == (str(run.id), str(case_id(0)), 2)
        assert (found.status, found.score, found.reasoning) == (pb.Outcome.failed, 0.5, "half (threshold 0.7)")
        assert (found.test_method, found.method, found.scored_by) == ("exact_match", "deterministic", "exact_match@1")
        assert (found.attempts, found.execution_time_ms, list(found.warnings)) == (3, 12, ["cleaned", "weak"])
        assert found.created_at.ToDatetime() == ENDED_AT.replace(tzinfo=None)
        assert not found.HasField("error")

    @pytest.mark.parametrize(
        ("status", "score", "executed", "error"),
        [
            ("error", {"error": "judge said nonsense"}, {}, "judge said nonsense"),
            ("error", {"error": None}, {"error": "connection refused", "output": None}, "connection refused"),
            ("unscored", {"error": None, "reason": "no judge"}, {}, "no judge"),
            ("not_applicable", {"error": None, "reason": "no tool call expected"}, {}, "no tool call expected"),
        ],
    )
    async def test_what_has_no_verdict_reads_error_with_the_reason(
        self, service: Service, bench: Bench, status: str, score: dict[str, str], executed: dict[str, str], error: str
    ) -> None:
        run = Facts(total=1)
        await bench.completed(run, scored(0, status, executed=executed, score=score))
        (found,) = (await self.page(service, run)).items
        assert (found.status, found.error, found.HasField("score")) == (pb.Outcome.error, error, False)
        assert found.HasField("actual_response") is ("output" not in executed)

    async def test_there_are_none_before_the_first(self, service: Service, bench: Bench) -> None:
        run = Facts()
        await bench.projection.runs_started(bench.numbers.heard(run.started()))
        page = await self.page(service, run)
        assert (len(page.items), page.total, page.total_pages, page.page, page.page_size) == (0, 0, 0, 1, 20)

    async def test_a_page_after_the_last_is_empty(self, service: Service, bench: Bench) -> None:
        run = Facts(total=1)
        await bench.completed(run, scored(0))
        page = await self.page(service, run, page=3)
        assert (len(page.items), page.total) == (0, 1)

    @pytest.mark.parametrize("wrong", [{"page": 0}, {"page_size": 0}, {"page_size": 101}, {"status": "ok"}, {"status": ""}])
    async def test_wrong_parameters_are_named(self, service: Service, wrong: dict[str, int]) -> None:
        with refused(INVALID, next(iter(wrong))):
            await self.page(service, Facts(), **wrong)

    async def test_texts_that_postgres_refuses_are_replaced(self, service: Service, bench: Bench) -> None:
        run = Facts(total=1)
        await bench.completed(run, scored(0, score={"reason": "because\0"}))
        (found,) = (await self.page(service, run)).items
        assert found.reasoning == "because\ufffd (threshold 0.7)"

    async def page(self, service: Service, run: Facts, **wanted: object) -> pb.ListResultsResponse:
        request = pb.ListResultsRequest(run_id=str(run.id), **wanted)  # type: ignore[arg-type]
        page: pb.ListResultsResponse = await service.reports.ListResults(request, metadata=as_user(run.workspace))
        return page


class TestExport:
    async def test_one_row_a_result_with_dangerous_cells_defused(self, service: Service, bench: Bench) -> None:
        run = Facts(total=2)
        await bench.completed(
            run,
            scored(1, executed={"question": "=1+1", "output": 'say "hi",\nplease'}),
            scored(0, "error", executed={"output": None}, score={"reason": "", "error": "@away"}),
        )
        call = service.reports.ExportResults(pb.ExportResultsRequest(run_id=str(run.id)), metadata=as_user(run.workspace))
        text = b"".join([body.data async for body in call]).decode()
        assert dict(await call.initial_metadata())["content-disposition"] == f'attachment; filename="run-{run.id}.csv"'
        assert list(csv.reader(io.StringIO(text, newline=""))) == [
            ["question", "expected_response", "actual_response", "status", "score", "reasoning", "execution_time_ms", "error"],
            ["question 0", "answer 0", "", "error", "", "", "12", "'@away"],
            ["'=1+1", "answer 1", 'say "hi",\nplease', "passed", "1.0", "equal (threshold 0.7)", "12", ""],
        ]

    async def test_long_runs_and_long_texts_come_in_many_pieces(self, service: Service, bench: Bench) -> None:
        run = Facts(total=2300)
        long = "x" * 120_000
        cases = [scored(n, executed={"output": long} if n % 20 == 0 else {}) for n in range(2300) if n % 1000 < 990]
        await bench.completed(run, *cases)
        call = service.reports.ExportResults(pb.ExportResultsRequest(run_id=str(run.id)), metadata=as_user(run.workspace))
        bodies = [body async for body in call]
        rows = list(csv.DictReader(io.StringIO(b"".join(body.data for body in bodies).decode(), newline="")))
        assert [row["question"] for row in rows] == [case.executed.question for case in cases]
        assert max(len(body.data) for body in bodies) < 200_000
        assert {body.content_type for body in bodies} == {"text/csv; charset=utf-8"}

    async def test_an_unknown_run_is_refused_before_the_first_byte(self, service: Service) -> None:
        with refused(NOT_FOUND):
            _ = [body async for body in service.reports.ExportResults(pb.ExportResultsRequest(run_id="x"), metadata=as_user(new_id()))]


class TestHistory:
    async def test_runs_not_yet_started_stand_on_top_then_the_newest(self, service: Service, bench: Bench) -> None:
        first = Facts(total=1)
        second, third, waiting = (first.but(id=new_id()) for _ in range(3))
        await bench.completed(second, scored(0))
        await bench.completed(first, scored(0))
        for run, state, started in ((third, "running", ENDED_AT), (waiting, "pending", None)):
            bench.peers.runner.knows(run.state(state, started_at=started))
        page = await self.page(service, first)
        assert [item.id for item in page.items] == [str(run.id) for run in (waiting, third, second, first)]
        assert (page.total, page.total_pages) == (4, 1)

    async def test_a_run_that_ended_before_it_started_is_not_kept_on_top(self, service: Service, bench: Bench) -> None:
        failed = Facts()
        later = failed.but(id=new_id(), total=1)
        await bench.projection.runs_finished(bench.numbers.heard(failed.finished(0, "error", started_at=None)))
        await bench.completed(later, scored(0))
        assert [item.id for item in (await self.page(service, failed)).items] == [str(later.id), str(failed.id)]

    async def test_it_is_paged(self, service: Service, bench: Bench) -> None:
        runs = [Facts(total=0)]
        runs += [runs[0].but(id=new_id()) for _ in range(4)]
        for run in runs:
            await bench.projection.runs_finished(bench.numbers.heard(run.finished(0)))
        page = await self.page(service, runs[0], page=2, page_size=2)
        assert ([item.id for item in page.items], page.total, page.total_pages) == ([str(runs[2].id), str(runs[1].id)], 5, 3)

    async def test_a_set_without_runs_has_an_empty_history(self, service: Service, bench: Bench) -> None:
        run = Facts()
        bench.peers.catalog.test_sets.add((str(run.workspace), str(run.test_set)))
        page = await self.page(service, run)
        assert (len(page.items), page.total, page.total_pages) == (0, 0, 0)

    async def test_an_unknown_set_is_not_found(self, service: Service) -> None:
        with refused(NOT_FOUND, "test set not found"):
            await self.page(service, Facts())

    async def test_a_malformed_set_is_not_found(self, service: Service) -> None:
        with refused(NOT_FOUND, "test set not found"):
            await service.reports.ListRunHistory(pb.ListRunHistoryRequest(test_set_id="x"), metadata=as_user(new_id()))

    async def test_another_workspace_sees_none_of_it(self, service: Service, bench: Bench) -> None:
        run = Facts(total=1)
        await bench.completed(run, scored(0))
        with refused(NOT_FOUND, "test set not found"):
            await self.page(service, replace(run, workspace=new_id()))

    async def page(self, service: Service, run: Facts, **wanted: int) -> pb.ListRunHistoryResponse:
        request = pb.ListRunHistoryRequest(test_set_id=str(run.test_set), **wanted)
        page: pb.ListRunHistoryResponse = await service.reports.ListRunHistory(request, metadata=as_user(run.workspace))
        return page


class TestCompare:
    async def test_what_changed_is_told_case_by_case(self, service: Service, bench: Bench) -> None:
        a = Facts(total=4)
        b = a.but(id=new_id())
        await bench.completed(a, scored(0), scored(1, "failed"), scored(2), scored(3))
        await bench.completed(b, scored(0), scored(1), scored(2, "failed"), scored(4))
        found = await self.compare(service, a, str(a.id), str(b.id))
        (better,), (worse,) = found.improved_cases, found.regressed_cases
        assert (better.test_case_id, better.question, better.status_a, better.status_b) == (str(case_id(1)), "question 1", 2, 1)
        assert (worse.test_case_id, worse.score_a, worse.score_b) == (str(case_id(2)), 1.0, 0.25)
        assert (found.unchanged, found.only_in_a, found.only_in_b) == (1, 1, 1)
        assert (found.pass_rate_diff, found.average_score_diff) == (0.0, 0.0)
        assert found.verdict == pb.Comparison.undecided
        assert found.confidence_interval.values[0].number_value < 0

    async def test_a_run_compared_with_itself_is_unchanged(self, service: Service, bench: Bench) -> None:
        run = Facts(total=3)
        await bench.completed(run, *(scored(n) for n in range(3)))
        found = await self.compare(service, run, str(run.id), str(run.id))
        assert (found.unchanged, len(found.improved_cases), len(found.regressed_cases)) == (3, 0, 0)
        assert (found.pass_rate_diff, found.p_value, list(found.warnings)) == (0.0, 1.0, [])

    async def test_differences_are_absent_where_a_run_has_no_result(self, service: Service, bench: Bench) -> None:
        a, b = Facts(total=1), Facts(total=0)
        b = replace(b, workspace=a.workspace)
        await bench.completed(a, scored(0))
        await bench.completed(b)
        found = await self.compare(service, a, str(a.id), str(b.id))
        absent = ("pass_rate_diff", "average_score_diff", "p_value", "confidence_interval")
        assert not any(found.HasField(name) for name in absent)  # type: ignore[arg-type]
        assert list(found.warnings) == ["the runs share no case"]

    @pytest.mark.parametrize(
        ("a", "b", "named"),
        [
            ("", "", ("run_a: is required", "run_b: is required")),
            ("x", "019a0000-0000-7000-8000-000000000009", ("run_a: must be",)),
            ("019a0000-0000-7000-8000-000000000009", "", ("run_b",)),
        ],
    )
    async def test_missing_and_malformed_runs_are_named(self, service: Service, a: str, b: str, named: tuple[str, ...]) -> None:
        for name in named:
            with refused(INVALID, name):
                await self.compare(service, Facts(), a, b)

    async def test_a_run_of_another_workspace_is_not_found(self, service: Service, bench: Bench) -> None:
        mine, other = Facts(total=1), Facts(total=1)
        await bench.completed(mine, scored(0))
        await bench.completed(other, scored(0))
        with refused(NOT_FOUND, "run not found"):
            await self.compare(service, mine, str(mine.id), str(other.id))

    async def compare(self, service: Service, run: Facts, a: str, b: str) -> pb.Comparison:
        found: pb.Comparison = await service.reports.CompareRuns(pb.CompareRunsRequest(run_a=a, run_b=b), metadata=as_user(run.workspace))
        return found
