"""Datasets as what a run executes: the client brings the outputs, so there is no target."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from assay.catalog.internal.v1 import subjects_pb2 as pb
from services.catalog.convert import dataset_cases, evaluators as convert
from services.catalog.entities.datasets import Dataset, DatasetRef
from services.catalog.entities.evaluators import Evaluator
from services.catalog.operations.datasets import Datasets
from services.catalog.store import datasets, evaluators, workspaces
from shared.errors import Invalid
from shared.ids import canonical_id, parse_id
from shared.json_values import struct
from shared.postgres import Database


@dataclass(frozen=True)
class DatasetSubjects:
    """How datasets are opened."""

    datasets: Datasets

    async def open(self, workspace_id: UUID, request: pb.OpenSubjectRequest) -> AsyncIterator[pb.SubjectPart]:
        """The dataset, by id or by name, and its cases. Raises NotFound, Invalid for evaluators that nobody may name."""
        dataset = await self.datasets.get(workspace_id, _ref(request))
        async with self.datasets.database.connection() as sql:
            ids = _known(request.evaluator_ids)
            judges = await evaluators.many(sql, workspace_id, dataset.project_id, ids)
        _refuse_unknown(request.evaluator_ids, judges)
        yield pb.SubjectPart(subject=_subject(dataset, judges))
        async for batch in self.datasets.cases(dataset):
            yield pb.SubjectPart(cases=dataset_cases.batch(batch))

    async def check(self, workspace_id: UUID, subject_id: str) -> None:
        """Raises NotFound if the workspace has no such dataset."""
        async with self.datasets.database.connection() as sql:
            await datasets.check(sql, workspace_id, parse_id(subject_id, datasets.KIND))


@dataclass(frozen=True)
class ProjectSubjects:
    """Projects, which runs are listed by; nobody executes one."""

    database: Database

    async def check(self, workspace_id: UUID, subject_id: str) -> None:
        """Raises NotFound if the workspace has no such project."""
        async with self.database.connection() as sql:
            await workspaces.require_project(sql, workspace_id, parse_id(subject_id, workspaces.PROJECT))


def _ref(request: pb.OpenSubjectRequest) -> DatasetRef:
    project = parse_id(request.project_id, workspaces.PROJECT)
    if request.subject_id:
        return DatasetRef(project, parse_id(request.subject_id, datasets.KIND))
    return DatasetRef(project, name=request.name)


def _known(texts: Sequence[str]) -> list[UUID]:
    """The ids among these, each once."""
    found: dict[UUID, None] = {}
    for text in texts:
        try:
            found[canonical_id(text)] = None
        except ValueError:
            continue
    return list(found)


def _refuse_unknown(texts: Sequence[str], judges: Sequence[Evaluator]) -> None:
    usable = {str(judge.id) for judge in judges if judge.rule.is_enabled}
    wrong = [text for text in dict.fromkeys(texts) if text.lower() not in usable]
    if wrong:
        raise Invalid({"target_evaluation_ids": f"unknown or disabled: {', '.join(wrong)}"})


def _subject(dataset: Dataset, judges: Sequence[Evaluator]) -> pb.Subject:
    return pb.Subject(
        subject_id=str(dataset.id),
        group_key=str(dataset.project_id),
        mode=datasets.MODE,
        language=datasets.LANGUAGE,
        evaluators=[convert.part(judge.rule, str(judge.id)) for judge in judges],
        details=struct(
            {"dataset_id": str(dataset.id), "dataset_name": dataset.outline.name, "kind": dataset.kind.removesuffix("_dataset")}
        ),
    )
