"""A set's revisions are exact, whatever is edited meanwhile: checked against a model that remembers every one of them."""

import random
from typing import Any

import pytest

from assay.catalog.v1 import test_cases_pb2 as pb
from services.catalog.operations import test_cases as operations
from services.catalog.store import test_cases as store
from shared.ids import canonical_id
from tests.services.catalog.house import House
from tests.services.catalog.servicers.test_csv import HEAD, uploaded
from tests.services.catalog.servicers.test_internal import stream

Held = dict[str, tuple[int, str]]


class Editor:
    """Edits a set through its RPCs, and remembers what each revision held: id → (order, question)."""

    def __init__(self, house: House, set_id: str, seed: int) -> None:
        self._house, self._set_id, self._random = house, set_id, random.Random(seed)  # noqa: S311 edits, not secrets
        self.revisions: list[Held] = [{}]

    async def edit(self) -> None:
        held = dict(self.revisions[-1])
        change = self._random.choice([self._create, self._create, self._update, self._delete, self._import] if held else [self._create])
        await change(held)
        self.revisions.append(held)

    def _said(self) -> dict[str, Any]:
        return {"question": f"q{self._random.random()}", "order": self._random.randint(-2, 2)}

    async def _create(self, held: Held) -> None:
        made = await self._house.a_case(self._set_id, **self._said())
        held[made.id] = (made.order, made.question)

    async def _update(self, held: Held) -> None:
        case_id = self._random.choice(list(held))
        request = pb.UpdateTestCaseRequest(test_set_id=self._set_id, case_id=case_id, **self._said())
        changed = await self._house.cases.UpdateTestCase(request, metadata=self._house.us.metadata)
        held[case_id] = (changed.order, changed.question)

    async def _delete(self, held: Held) -> None:
        case_id = self._random.choice(list(held))
        request = pb.DeleteTestCaseRequest(test_set_id=self._set_id, case_id=case_id)
        await self._house.cases.DeleteTestCase(request, metadata=self._house.us.metadata)
        del held[case_id]

    async def _import(self, held: Held) -> None:
        rows = [self._said() for _ in range(3)]
        content = HEAD + "".join(f"{row['question']},e,,,,{row['order']}\n" for row in rows).encode()
        await uploaded(self._house, self._set_id, content)
        listed = await self._house.cases.ListTestCases(
            pb.ListTestCasesRequest(test_set_id=self._set_id, page_size=100), metadata=self._house.us.metadata
        )
        held.update({case.id: (case.order, case.question) for case in listed.items if case.id not in held})


def in_order(held: Held) -> list[tuple[str, str]]:
    return [(case_id, question) for case_id, (order, question) in sorted(held.items(), key=lambda item: (item[1][0], item[0]))]


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_revision_is_streamed_as_it_was(house: House, seed: int) -> None:
    made = await house.a_set()
    editor = Editor(house, made.id, seed)
    for _ in range(40):
        await editor.edit()
    for revision, held in enumerate(editor.revisions):
        cases = [case for batch in await stream(house, made.id, revision) for case in batch.cases]
        assert [(case.id, case.question) for case in cases] == in_order(held), revision
    assert (await house.set_as_it_is(made.id)).test_case_count == len(editor.revisions[-1])


async def test_a_stream_goes_on_exactly_although_the_set_is_edited(house: House) -> None:
    made = await house.a_set()
    await uploaded(house, made.id, HEAD + "".join(f"q{row},e\n" for row in range(1200)).encode())
    workspace, set_id = house.us.workspace, canonical_id(made.id)
    async with house.database.connection() as sql:
        first = await store.batch_at(sql, workspace, set_id, 1, None)
    cases = operations.TestCases(house.database, house.rooms.credentials.now)
    await cases.update(workspace, set_id, first[-1]["id"], {"order": 9, "question": "moved"})
    for row in first[:3]:
        await cases.delete(workspace, set_id, row["id"])
    async with house.database.connection() as sql:
        second = await store.batch_at(sql, workspace, set_id, 1, (first[-1]["position"], first[-1]["id"]))
    assert [row["question"] for row in (*first, *second)] == [f"q{row}" for row in range(1000)]


async def test_batches_go_by_order_before_creation(house: House) -> None:
    made = await house.a_set()
    await uploaded(house, made.id, HEAD + "".join(f"q{row},e,,,,{-(row // 7)}\n" for row in range(1200)).encode())
    cases = [case.question for batch in await stream(house, made.id, 1) for case in batch.cases]
    assert cases == [f"q{row}" for row in sorted(range(1200), key=lambda row: (-(row // 7), row))]
