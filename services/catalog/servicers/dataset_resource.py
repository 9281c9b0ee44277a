"""What the services of prompt and of agent datasets have in common: all but their messages."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message

from assay.catalog.v1.datasets_pb2 import Dataset
from services.catalog.convert import dataset_cases, datasets as convert, evaluators, fields
from services.catalog.entities.dataset_cases import DatasetCase
from services.catalog.entities.datasets import DatasetRef
from services.catalog.operations.datasets import Datasets, Examples
from services.catalog.servicers.answering import creation
from services.catalog.store import datasets as store
from shared.identity import workspace
from shared.interceptors import Context

Answer = TypeVar("Answer", bound=Message)


@dataclass(frozen=True)
class DatasetResource:
    """The datasets of some kinds. Requests are the generated messages of their service, which name the same things."""

    datasets: Datasets
    kinds: tuple[str, ...]

    async def create(self, request: Any, context: Context) -> Dataset:
        """Makes one."""
        answering = creation(context, request, Dataset, convert.message)
        ref = DatasetRef(convert.project(request.project_id), kinds=self.kinds)
        return await self.datasets.create(workspace(), ref, convert.outline(request), answering)

    async def page(self, request: Any) -> dict[str, Any]:
        """The fields of a page: `data` and `pagination`."""
        ref, wanted = (
            DatasetRef(convert.project(request.project_id), kinds=self.kinds),
            fields.wanted_page(request, fields.PROJECT_PAGE_SIZE),
        )
        async with self.datasets.database.connection() as sql:
            found = await store.page(sql, workspace(), ref, wanted)
        data = [convert.message(dataset) for dataset in found[: wanted.size]]
        return {"data": data, "pagination": evaluators.pagination(found, wanted)}

    async def get(self, request: Any) -> Dataset:
        """Raises NotFound."""
        return convert.message(await self.datasets.get(workspace(), self._named(request)))

    async def update(self, request: Any) -> Dataset:
        """Raises NotFound, Invalid, NameTaken."""
        ref = self._named(request)
        return convert.message(await self.datasets.update(workspace(), ref, convert.changes(request)))

    async def delete(self, request: Any) -> None:
        """Raises NotFound."""
        await self.datasets.delete(workspace(), self._named(request))

    async def add(self, request: Any, context: Context, answer: type[Answer], pack: Callable[[Sequence[DatasetCase]], Answer]) -> Answer:
        """Adds cases, all or none."""
        ref = self._named(request)
        answering = creation(context, request, answer, pack)
        examples = await asyncio.to_thread(dataset_cases.examples, request.data)
        return await self.datasets.add(workspace(), ref, Examples("data", examples), answering)

    def _named(self, request: Any) -> DatasetRef:
        return convert.by_id(request.project_id, request.dataset_id, self.kinds)
