"""ProjectTestRunService behind the real boundary: runs that the client drives."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.protobuf import json_format

from assay.runner.v1 import project_test_runs_pb2 as pb, project_test_runs_pb2_grpc
from assay.runner.v1.project_test_run_pb2 import ProjectTestRun
from services.runner.operations import projects as operations
from services.runner.projects import FLAVORS
from services.runner.servicers.projects import ProjectTestRunServicer
from services.runner.servicers.runs import Parts
from shared.identity import Identifier
from shared.ids import new_id
from shared.interceptors import Boundary
from shared.json_values import plain
from shared.postgres import Database
from tests.services.runner.datasets import OTHER_PROJECT, PROJECT, Datasets, a_dataset_case, neighbourhood
from tests.services.runner.house import NOW, SERVICE_KEY, rows, said
from tests.services.runner.servicers.test_runs import PLAIN, THEM, US, authenticate, http_code, refused

RUNNING, COMPLETED = ProjectTestRun.running, ProjectTestRun.completed


@dataclass
class Served:
    """The servicer, and the datasets that there are."""

    database: Database
    datasets: Datasets
    runs: Any

    async def create(self, metadata: Any = US, project: str = str(PROJECT), **wish: Any) -> pb.CreatedTestRun:
        body = json_format.ParseDict({"dataset_name": "sums", **wish}, pb.CreateProjectTestRunRequest(project_id=project))
        made: pb.CreatedTestRun = await self.runs.CreateProjectTestRun(body, metadata=metadata)
        return made

    def recording(self, run_id: str, case: int = 0, metadata: Any = US, **said: Any) -> Any:
        body = {
            "project_id": str(PROJECT),
            "session_id": "s",
            "messages": [{"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": "5"}],
            "test_run_info": {"test_run_id": run_id, "test_case_id": str(UUID(int=case))},
            **said,
        }
        return self.runs.RecordCompletion(json_format.ParseDict(body, pb.RecordCompletionRequest()), metadata=metadata)

    def trace(self, run_id: str, case: int = 0, **said: Any) -> Any:
        info = {"test_run_id": run_id, "test_case_id": str(UUID(int=case))}
        body = {"project_id": str(PROJECT), "session_id": "s", "trace_id": "t", "input": {"q": 1}, "test_run_info": info, **said}
        return self.runs.RecordTrace(json_format.ParseDict(body, pb.RecordTraceRequest()), metadata=US)

    def close(self, run_id: str, project: str = str(PROJECT), metadata: Any = US) -> Any:
        return self.runs.CloseProjectTestRun(pb.CloseProjectTestRunRequest(project_id=project, test_run_id=run_id), metadata=metadata)

    async def executed(self) -> list[Any]:
        return [case for event in await said(self.database, "runner.cases_executed") for case in event.cases]


async def nobody(_run_id: UUID) -> None:
    """Nobody waits for a cancel here."""


@pytest.fixture
async def served(database: Database) -> AsyncIterator[Served]:
    async with neighbourhood() as asked:
        asked.datasets.hold("sums")
        asked.datasets.statuses = [COMPLETED]
        parts = Parts(database, asked.catalog, asked.reporting, lambda _: None, nobody, lambda: NOW)
        server = grpc.aio.server(interceptors=[Boundary(Identifier((), SERVICE_KEY, authenticate))])
        project_test_runs_pb2_grpc.add_ProjectTestRunServiceServicer_to_server(ProjectTestRunServicer(parts), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        unlimited = [("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", unlimited) as channel:
            yield Served(database, asked.datasets, project_test_runs_pb2_grpc.ProjectTestRunServiceStub(channel))
            await server.stop(None)


async def test_a_run_is_answered_with_its_cases_in_both_spellings(served: Served) -> None:
    case = a_dataset_case(7, metadata={"tier": 1}, history=[{"role": "user", "content": "hi"}], media_variables={"picture": {}})
    served.datasets.hold("sums", [case, a_dataset_case(8)])
    made = await served.create(PLAIN, test_run_name="mine", test_run_description="why", include_outputs=True, flavor_name="openai_chat")
    assert (made.test_run_name, made.test_run_description, len(made.trace_test_cases)) == ("mine", "why", 0)
    first, second = (json_format.MessageToDict(each, always_print_fields_with_no_presence=True) for each in made.test_cases)
    assert first == {
        "id": str(UUID(int=7)),
        "test_case_id": str(UUID(int=7)),
        "values": {"q": "question 7"},
        "variables": {"q": "question 7"},
        "output": "answer 7",
        "output_message": None,
        "history": [{"role": "user", "content": "hi"}],
        "metadata": {"tier": 1},
        "custom_metadata": {"tier": 1},
        "media_variables": {"picture": {}},
        "test_case_type": "completion",
    }
    assert (second["metadata"], second["history"], second["media_variables"]) == (None, None, None)
    [run] = await rows(served.database, "SELECT id, details, triggered_by FROM runs")
    assert (str(run["id"]), run["triggered_by"]) == (made.test_run_id, "api")
    assert {name: run["details"][name] for name in ("name", "description", "flavor_name", "include_outputs", "kind")} == {
        "name": "mine",
        "description": "why",
        "flavor_name": "openai_chat",
        "include_outputs": True,
        "kind": "prompt",
    }


async def test_the_gateway_answers_201(served: Served) -> None:
    request = pb.CreateProjectTestRunRequest(project_id=str(PROJECT), dataset_name="sums")
    call = served.runs.CreateProjectTestRun(request, metadata=US)
    assert await http_code(call) == "201"
    run_id = (await call).test_run_id
    assert await http_code(served.recording(run_id)) == "201"
    assert await http_code(served.trace(run_id, output="5")) == "201"
    assert await http_code(served.close(run_id)) == ""


@pytest.mark.parametrize(
    "absent", [{}, {"include_outputs": None, "test_run_name": None, "target_evaluation_ids": None}, {"flavor_name": None}]
)
async def test_what_may_be_absent_may_be_null(served: Served, absent: dict[str, Any]) -> None:
    made = await served.create(**absent)
    assert (made.test_run_name, made.test_run_description) == ("sums 2026-01-02 03:04:05", "")
    assert [(plain(case.output), plain(case.output_message)) for case in made.test_cases] == [(None, None)] * 3


async def test_the_cases_of_an_agent_dataset_are_traces(served: Served) -> None:
    agent = a_dataset_case(1, input=[1, {"a": None}], output={"done": True}, metadata={"tier": 2}, kind="agent")
    served.datasets.hold("sums", [agent, a_dataset_case(2, input="x", kind="agent")], kind="agent")
    made = await served.create(include_outputs=True)
    assert len(made.test_cases) == 0
    assert json_format.MessageToDict(made.trace_test_cases[0]) == {
        "test_case_id": str(UUID(int=1)),
        "input": [1, {"a": None}],
        "output": {"done": True},
        "custom_metadata": {"tier": 2},
        "test_case_type": "trace",
    }
    assert plain(made.trace_test_cases[1].custom_metadata) is None
    assert [plain(case.output) for case in (await served.create()).trace_test_cases] == [None, None]


async def test_ten_thousand_cases_are_answered_at_once(served: Served) -> None:
    served.datasets.hold("sums", 10_000)
    made = await served.create()
    assert [UUID(case.id).int for case in made.test_cases] == list(range(10_000))


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        ({"dataset_name": ""}, "dataset_name"),
        ({"flavor_name": "smoke_signals"}, "flavor_name"),
        ({"flavor_name": ""}, "flavor_name"),
        ({"target_evaluation_ids": [str(new_id()), "x"]}, r"target_evaluation_ids[1]"),
    ],
)
async def test_a_wrong_wish_is_refused_by_name(served: Served, wish: dict[str, Any], named: str) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, named):
        await served.create(**wish)
    assert served.datasets.opened == []


@pytest.mark.parametrize("flavor", FLAVORS)
async def test_every_documented_flavor_is_taken(served: Served, flavor: str) -> None:
    assert (await served.create(flavor_name=flavor)).test_run_id


async def test_unknown_projects_and_datasets_are_not_found(served: Served) -> None:
    for wrong in ({"project": "x"}, {"project": str(new_id())}, {"metadata": THEM}):
        with refused(grpc.StatusCode.NOT_FOUND, "project not found"):
            await served.create(**wrong)
    with refused(grpc.StatusCode.NOT_FOUND, "dataset not found"):
        await served.create(dataset_name="unknown")
    served.datasets.hold("empty", 0)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "no test cases"):
        await served.create(dataset_name="empty")
    assert await rows(served.database, "SELECT FROM runs") == []


async def test_the_same_key_makes_one_run(served: Served) -> None:
    keyed = (*US, ("idempotency-key", "k"))
    made = await asyncio.gather(*(served.create(keyed) for _ in range(4)))
    assert all(each == made[0] for each in made)
    assert len(await rows(served.database, "SELECT FROM runs")) == 1
    served.datasets.held.clear()
    assert await served.create(keyed) == made[0]  # though the dataset is gone
    with refused(grpc.StatusCode.ABORTED, "another body"):
        await served.create(keyed, include_outputs=True)


async def test_a_refused_run_frees_its_key(served: Served) -> None:
    keyed = (*US, ("idempotency-key", "k"))
    served.datasets.hold("sums", 0)
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        await served.create(keyed)
    served.datasets.hold("sums", 2)
    assert len((await served.create(keyed)).test_cases) == 2


async def test_target_evaluations_reach_scoring(served: Served) -> None:
    served.datasets.hold("sums", 1)
    wanted = str(new_id())
    run_id = (await served.create(target_evaluation_ids=[wanted])).test_run_id
    assert list(served.datasets.opened[0].evaluator_ids) == [wanted]
    await served.recording(run_id, eval_results={"nice": True})
    [event] = await said(served.database, "runner.cases_executed")
    assert ([each.name for each in event.evaluators], event.cases[0].output) == (["right"], "5")
    assert event.cases[0].record["client_evaluations"]["nice"] is True


async def test_every_case_in_both_ways_completes_the_run(served: Served) -> None:
    run_id = (await served.create()).test_run_id
    first = await served.recording(run_id, 0, completion_id="mine")
    second = await served.recording(run_id, 1)
    third = await served.trace(run_id, 2, output={"answer": 5})
    assert (first.completion_id, UUID(second.completion_id).version, third.trace_id) == ("mine", 7, "t")
    assert [case.output for case in await served.executed()] == ["5", "5", '{"answer": 5}']
    with refused(grpc.StatusCode.ABORTED, "complete"):
        await served.recording(run_id)


@pytest.mark.parametrize(
    ("info", "named"),
    [
        (None, "test_run_info"),
        ({"test_run_id": "x", "test_case_id": str(new_id())}, "test_run_info.test_run_id"),
        ({"test_run_id": str(new_id()), "test_case_id": ""}, "test_run_info.test_case_id"),
    ],
)
async def test_a_recording_names_its_case(served: Served, info: Any, named: str) -> None:
    for call in (served.recording("", test_run_info=info), served.trace("", test_run_info=info)):
        with refused(grpc.StatusCode.INVALID_ARGUMENT, named):
            await call


async def test_a_recording_of_nothing_known_is_not_found(served: Served) -> None:
    run_id = (await served.create()).test_run_id
    for call, text in (
        (served.recording(str(new_id())), "run not found"),
        (served.recording(run_id, 99), "test case not found"),
        (served.recording(run_id, metadata=THEM), "project not found"),
        (served.recording(run_id, project_id=str(new_id())), "project not found"),
        (served.recording(run_id, project_id=str(OTHER_PROJECT)), "run not found"),
    ):
        with refused(grpc.StatusCode.NOT_FOUND, text):
            await call
    assert (await served.recording(run_id.upper(), project_id=str(PROJECT).upper())).completion_id


async def test_closing_waits_for_the_verdicts(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = (await served.create()).test_run_id
    served.datasets.statuses = [RUNNING, RUNNING, COMPLETED]
    assert (await served.close(run_id)).status == COMPLETED
    assert [bool(case.error) for case in await served.executed()] == [True] * 3
    monkeypatch.setattr(operations, "SCORED_SECONDS", 0.1)
    served.datasets.statuses = [RUNNING]
    assert (await served.close(run_id)).status == RUNNING  # a judge takes its time


async def test_only_a_run_of_the_project_is_closed(served: Served) -> None:
    run_id = (await served.create()).test_run_id
    for call, text in (
        (served.close("x"), "run not found"),
        (served.close(str(new_id())), "run not found"),
        (served.close(run_id, metadata=THEM), "project not found"),
        (served.close(run_id, project=str(new_id())), "project not found"),
        (served.close(run_id, project=str(OTHER_PROJECT)), "run not found"),
    ):
        with refused(grpc.StatusCode.NOT_FOUND, text):
            await call
    found = await rows(served.database, "SELECT r.state, c.awaited FROM runs r JOIN run_cases c ON c.run_id = r.id")
    assert [(row["state"], row["awaited"]) for row in found] == [("running", True)] * 3
