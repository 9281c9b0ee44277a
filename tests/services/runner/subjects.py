"""Stands where the catalog stands when it opens what runs execute."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from assay.catalog.internal.v1 import catalog_pb2, parts_pb2, subjects_pb2 as pb, subjects_pb2_grpc
from shared.errors import Invalid, NotFound
from shared.identity import workspace
from shared.ids import new_id
from shared.json_values import struct

VERSION, OTHER_VERSION = new_id(), new_id()


def a_conversation(*script: str, scenario: str = "", **said: Any) -> catalog_pb2.Case:
    """A case whose user reads out a script."""
    simulation = parts_pb2.Simulation(script=script, **{"max_turns": max(1, len(script)), **said})
    content = struct({"scenario_id": scenario} if scenario else {})
    return catalog_pb2.Case(id=str(new_id()), question=script[0] if script else "", simulation=simulation, content=content)


@dataclass
class Subjects(subjects_pb2_grpc.SubjectInternalServiceServicer):
    """Opens whatever it holds for the one workspace that it knows, subject id → cases."""

    workspace_id: UUID
    held: dict[str, list[catalog_pb2.Case]] = field(default_factory=dict)
    suites: dict[str, list[str]] = field(default_factory=dict)
    criteria: tuple[str, ...] = ("kind", "short")
    simulator: catalog_pb2.Target | None = None
    refusal: Exception | None = None
    opened: list[pb.OpenSubjectRequest] = field(default_factory=list)

    def a_subject(self, *cases: catalog_pb2.Case) -> str:
        """Holds a subject with these cases, and tells its id."""
        subject_id = str(new_id())
        self.held[subject_id] = list(cases) or [a_conversation("hi")]
        return subject_id

    async def OpenSubject(self, request: pb.OpenSubjectRequest, context: Any) -> AsyncIterator[pb.SubjectPart]:  # noqa: ARG002
        self.opened.append(request)
        if self.refusal is not None:
            raise self.refusal
        if workspace() != self.workspace_id or request.subject_id not in self.held:
            raise NotFound(request.family.replace("_", " "))
        if request.version_id not in {"", str(VERSION)}:
            raise Invalid({"destination_version_id": "must be a version of the test's assistant"})
        cases = self.held[request.subject_id]
        echo = catalog_pb2.Target(connection_id=str(new_id()), kind="builtin", model="echo", max_concurrency=8, timeout_ms=1000)
        scenarios = dict.fromkeys(case.content["scenario_id"] for case in cases if "scenario_id" in case.content)
        yield pb.SubjectPart(
            subject=pb.Subject(
                subject_id=request.subject_id,
                target_id=request.version_id or str(VERSION),
                mode="conversation",
                target=None if request.client_driven else echo,
                simulator=self.simulator,
                evaluators=[parts_pb2.Evaluator(name=name, template="rubric_criterion") for name in self.criteria],
                details=struct({"scenario_ids": list(scenarios)} if scenarios else {}),
            )
        )
        yield pb.SubjectPart(cases=catalog_pb2.CaseBatch(cases=cases))

    async def CheckSubject(self, request: pb.CheckSubjectRequest, context: Any) -> pb.CheckSubjectResponse:  # noqa: ARG002
        if workspace() != self.workspace_id or request.subject_id not in self.held:
            raise NotFound(request.family.replace("_", " "))
        return pb.CheckSubjectResponse()

    async def ReadSuite(self, request: pb.ReadSuiteRequest, context: Any) -> pb.ReadSuiteResponse:  # noqa: ARG002
        if self.refusal is not None:
            raise self.refusal
        if workspace() != self.workspace_id or request.suite not in self.suites:
            raise NotFound("test suite")
        return pb.ReadSuiteResponse(test_ids=self.suites[request.suite])
