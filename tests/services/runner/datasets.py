"""Datasets and prompts as the catalog opens them, and runs of them."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import grpc

from assay.catalog.internal.v1 import catalog_pb2, parts_pb2, subjects_pb2 as pb, subjects_pb2_grpc
from assay.reporting.internal.v1 import reporting_pb2, reporting_pb2_grpc
from assay.runner.v1.project_test_run_pb2 import ProjectTestRun
from services.runner import convert
from services.runner.clients import Catalog, Reporting
from services.runner.entities import Run
from services.runner.operations import opening
from services.runner.operations.opening import Accepting
from services.runner.operations.recording import Whose
from services.runner.subjects import Opened, Recording
from shared.channels import ServiceIdentity
from shared.errors import Invalid, NotFound
from shared.identity import Credential, Identifier, Principal, workspace
from shared.ids import new_id
from shared.interceptors import Boundary
from shared.json_values import struct
from shared.postgres import Database
from tests.services.runner.house import NOW, OURS, SERVICE_KEY

PROJECT, OTHER_PROJECT = new_id(), new_id()
EQUALS = parts_pb2.Evaluator(name="right", id=str(new_id()), template="equals", mapping={"output": "output"}, passing_score=0.5)
BATCH = 500


def a_dataset_case(number: int, **content: Any) -> catalog_pb2.Case:
    said = {"values": {"q": f"question {number}"}, "output": f"answer {number}", "kind": "prompt", **content}
    return catalog_pb2.Case(id=str(UUID(int=number)), question=f"question {number}", expected=f"answer {number}", content=struct(said))


def a_subject(kind: str = "prompt", evaluators: Sequence[parts_pb2.Evaluator] = (), **said: Any) -> pb.Subject:
    details = struct({"dataset_id": str(new_id()), "dataset_name": "sums", "kind": kind})
    known: dict[str, Any] = {"subject_id": str(new_id()), "group_key": str(PROJECT), "mode": "independent", "language": "en"}
    return pb.Subject(**{**known, "evaluators": evaluators, "details": details, **said})


def an_opened(cases: int | Sequence[catalog_pb2.Case] = 3, family: str = "dataset", **subject: Any) -> Opened:
    """A dataset of so many cases, or of these."""
    made = [a_dataset_case(number) for number in range(cases)] if isinstance(cases, int) else cases
    return convert.opened(family, a_subject(**subject), made)


async def begun(database: Database, opened: Opened | None = None) -> Run:
    """A run that waits for its client."""
    async with database.transaction() as connection:
        return await opening.begin(connection, opened or an_opened(), Accepting(OURS, "api", NOW, {"name": "run"}))


def whose(run: Run, **said: Any) -> Whose:
    return Whose(**{"workspace": OURS, "family": "dataset", "group_key": run.group_key, "run_id": run.id, **said})


def an_output(text: str = "out", **record: Any) -> Recording:
    return Recording(text, None, 5, record)


@dataclass
class Datasets(subjects_pb2_grpc.SubjectInternalServiceServicer, reporting_pb2_grpc.ReportingInternalServiceServicer):
    """Stands where catalog and reporting stand, for two projects of one workspace."""

    held: dict[str, list[catalog_pb2.Case]] = field(default_factory=dict)  # by the dataset's name, or the prompt case's id
    subjects: dict[str, pb.Subject] = field(default_factory=dict)
    versions: set[str] = field(default_factory=set)
    opened: list[pb.OpenSubjectRequest] = field(default_factory=list)
    statuses: list[ProjectTestRun.Status.ValueType] = field(default_factory=list)  # that reads answer, the last one for ever

    def hold(self, name: str, cases: int | Sequence[catalog_pb2.Case] = 3, **subject: Any) -> None:
        """A dataset, or a prompt's case."""
        self.held[name] = [a_dataset_case(number) for number in range(cases)] if isinstance(cases, int) else list(cases)
        self.subjects[name] = a_subject(**subject)

    async def CheckSubject(self, request: pb.CheckSubjectRequest, context: Any) -> pb.CheckSubjectResponse:  # noqa: ARG002
        if workspace() != OURS or request.subject_id.lower() not in {str(PROJECT), str(OTHER_PROJECT)}:
            raise NotFound(request.family)
        return pb.CheckSubjectResponse()

    async def OpenSubject(self, request: pb.OpenSubjectRequest, context: Any) -> AsyncIterator[pb.SubjectPart]:  # noqa: ARG002
        self.opened.append(request)
        name = request.name or request.subject_id
        if workspace() != OURS or name not in self.held:
            raise NotFound(request.family.replace("_", " "))
        if request.version_id and request.version_id not in self.versions:
            raise Invalid({"promptVersionId": "must be a version of the case's prompt"})
        subject = pb.Subject()
        subject.CopyFrom(self.subjects[name])
        subject.target_id = request.version_id
        subject.evaluators.extend([EQUALS] if request.evaluator_ids else [])
        yield pb.SubjectPart(subject=subject)
        cases = self.held[name]
        for first in range(0, len(cases), BATCH):
            yield pb.SubjectPart(cases=catalog_pb2.CaseBatch(cases=cases[first : first + BATCH]))

    async def ReadProjectTestRun(self, request: reporting_pb2.ReadProjectTestRunRequest, context: Any) -> ProjectTestRun:  # noqa: ARG002
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return ProjectTestRun(id=request.test_run_id, status=status)


@dataclass(frozen=True)
class Neighbourhood:
    """The neighbours, and the runner's own clients that ask them."""

    datasets: Datasets
    catalog: Catalog
    reporting: Reporting


async def _nobody(_credential: Credential) -> Principal | None:
    return None


@contextlib.asynccontextmanager
async def neighbourhood() -> AsyncIterator[Neighbourhood]:
    """The neighbours, served behind the real boundary."""
    datasets = Datasets()  # type: ignore[abstract]  # only what the runner calls
    server = grpc.aio.server(interceptors=[Boundary(Identifier((), SERVICE_KEY, _nobody))])
    subjects_pb2_grpc.add_SubjectInternalServiceServicer_to_server(datasets, server)
    reporting_pb2_grpc.add_ReportingInternalServiceServicer_to_server(datasets, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    identity = ServiceIdentity("runner", SERVICE_KEY)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Neighbourhood(datasets, Catalog(channel, identity), Reporting(channel, identity))
        await server.stop(None)
