"""What is forgotten, and what is kept."""

import asyncio
import hashlib
from typing import Any

import pytest

from assay.catalog.v1 import files_pb2, test_cases_pb2 as pb
from services.catalog.__main__ import now
from services.catalog.entities.files import File
from services.catalog.operations import retention
from services.catalog.operations.retention import Retention
from services.catalog.store import files, retention as store
from shared.ids import canonical_id, new_id
from tests.services.catalog.house import House, not_found
from tests.services.catalog.servicers.test_csv import HEAD, uploaded
from tests.services.catalog.servicers.test_files import PNG, id_in, upload, uploaded as file_of
from tests.services.catalog.servicers.test_internal import questions
from tests.shared.plans import Statements, indexes, scanned


async def execute(house: House, statement: str, *values: Any) -> None:
    async with house.database.transaction() as sql:
        await sql.execute(statement, *values)


async def edit(house: House, case: pb.TestCase, question: str) -> None:
    request = pb.UpdateTestCaseRequest(test_set_id=case.test_set_id, case_id=case.id, question=question)
    await house.cases.UpdateTestCase(request, metadata=house.us.metadata)


async def count(house: House, table: str) -> int:
    async with house.database.connection() as sql:
        found: int = await sql.fetchval(f"SELECT count(*) FROM {table}")
        return found


async def test_closed_rows_are_kept_for_a_day(house: House) -> None:
    made = await house.a_case((await house.a_set()).id, question="a")
    await edit(house, made, "b")
    await Retention(house.database).prune()
    assert await questions(house, made.test_set_id, 1) == ["a"]
    await execute(house, "UPDATE test_cases SET closed_at = closed_at - interval '25 hours' WHERE closed_at IS NOT NULL")
    await Retention(house.database).prune()
    assert (await questions(house, made.test_set_id, 1), await questions(house, made.test_set_id, 2)) == ([], ["b"])


async def test_more_than_a_slice_goes_in_one_round(house: House) -> None:
    set_id = (await house.a_set()).id
    await uploaded(house, set_id, HEAD + b"a,b\n" * (store.CASE_SLICE + 10))
    await execute(
        house, "UPDATE test_cases SET until_rev = 2, closed_at = now() - interval '2 days' WHERE test_set_id = $1", canonical_id(set_id)
    )
    await Retention(house.database).prune()
    assert await questions(house, set_id, 1) == []


async def test_an_unused_file_goes_after_a_day_with_its_content(house: House) -> None:
    old, fresh = await file_of(house, upload(PNG)), await file_of(house, upload(b"fresh"))
    await execute(house, "UPDATE files SET uploaded_at = uploaded_at - interval '25 hours' WHERE id = $1", canonical_id(id_in(old)))
    await Retention(house.database).prune()
    with not_found("file"):
        await house.files.GetFile(files_pb2.GetFileRequest(file_id=id_in(old)), metadata=house.us.metadata)
    await house.files.GetFile(files_pb2.GetFileRequest(file_id=id_in(fresh)), metadata=house.us.metadata)
    assert await count(house, "blobs") == await count(house, "files")


async def test_a_file_that_a_case_names_stays(house: House) -> None:
    kept = await file_of(house, upload(b"kept"))
    case = await house.a_case((await house.a_set()).id, file_url=kept.file_url)
    await edit(house, case, "edited")
    await execute(house, "UPDATE files SET uploaded_at = uploaded_at - interval '25 hours'")
    await Retention(house.database).prune()
    await house.files.GetFile(files_pb2.GetFileRequest(file_id=id_in(kept)), metadata=house.us.metadata)


MANY = "INSERT INTO blobs SELECT sha256(n::text::bytea), '' FROM generate_series(1, $1::int) AS n"
THEIR_FILES = """
INSERT INTO files (workspace_id, id, sha256, mime_type, size_bytes, uploaded_at)
SELECT $2, gen_random_uuid(), sha256(n::text::bytea), 'image/png', 0, now() - make_interval(hours => 9999 - n) FROM generate_series(1, $1::int) AS n
"""
THEIR_CASES = """
INSERT INTO test_cases (workspace_id, test_set_id, id, from_rev, question, expected_response, test_method, passing_score, keywords, position,
                        created_at, updated_at, file_id)
SELECT workspace_id, workspace_id, gen_random_uuid(), n, '', '', 'exact_match', 1, '{}', n, now(), now(), id
FROM files, generate_series(1, $1::int) AS n WHERE NOT EXISTS (SELECT FROM test_cases WHERE file_id = files.id)
"""


async def named_files(house: House, many: int, cases: int = 1) -> None:
    """Old files that cases name, and nothing that other tests left."""
    for table in ("test_cases", "files", "blobs"):
        await execute(house, f"DELETE FROM {table}")
    await execute(house, MANY, many)
    await execute(house, THEIR_FILES, many, house.us.workspace)
    await execute(house, THEIR_CASES, cases)


async def test_unused_files_go_behind_many_that_are_named(house: House) -> None:
    await named_files(house, 2 * store.FILE_SLICE + 1)
    unused = await file_of(house, upload(b"unused"))
    await execute(house, "UPDATE files SET uploaded_at = now() - interval '25 hours' WHERE id = $1", canonical_id(id_in(unused)))
    await Retention(house.database).prune()
    assert await count(house, "files") == await count(house, "blobs") == 2 * store.FILE_SLICE + 1


async def test_a_round_looks_at_some_and_the_next_one_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "FILE_SLICES", 1)
    await named_files(house, store.FILE_SLICE)
    unused = [await file_of(house, upload(content)) for content in (b"first", b"last")]
    for hours, answer in zip((10_000, 25), unused, strict=True):
        await execute(
            house, "UPDATE files SET uploaded_at = now() - $2 * interval '1 hour' WHERE id = $1", canonical_id(id_in(answer)), hours
        )
    rounds, left = Retention(house.database), []
    for _ in range(2):
        await rounds.prune()
        left.append(await count(house, "files") - store.FILE_SLICE)
    assert left == [1, 0]
    await execute(house, "DELETE FROM test_cases")
    await rounds.prune()  # the rounds begin at the front again
    assert await count(house, "files") == 0


async def test_a_slice_of_files_is_found_by_an_index(house: House) -> None:
    await named_files(house, 3000, cases=10)
    await execute(house, "ANALYZE files, test_cases")
    async with house.database.transaction() as sql:
        said = Statements()
        with sql.query_logger(said):
            upto = await store.end_of_files(sql, store.FIRST)
            await store.prune_files(sql, store.FIRST, upto)
        nodes = await said.nodes(sql)
    assert scanned(nodes) & {"files", "test_cases", "blobs"} == set()
    assert {"files_uploaded", "test_cases_file", "files_pkey"} <= indexes(nodes)


async def test_a_content_that_another_workspace_uploaded_stays(house: House) -> None:
    ours, theirs = await file_of(house, upload(b"same")), await file_of(house, upload(b"same"), house.them.metadata)
    await execute(house, "UPDATE files SET uploaded_at = uploaded_at - interval '25 hours' WHERE id = $1", canonical_id(id_in(ours)))
    await Retention(house.database).prune()
    answer = await house.files.GetFile(files_pb2.GetFileRequest(file_id=id_in(theirs)), metadata=house.them.metadata)
    assert answer.data == b"same"


async def outdated(house: House, content: bytes) -> None:
    """A file of another workspace that is due to go, with its content."""
    answer = await file_of(house, upload(content), house.them.metadata)
    await execute(house, "UPDATE files SET uploaded_at = uploaded_at - interval '25 hours' WHERE id = $1", canonical_id(id_in(answer)))


def a_file(house: House, content: bytes) -> File:
    return File(new_id(), house.us.workspace, hashlib.sha256(content).digest(), "text/plain", len(content), now())


async def test_a_content_stays_that_is_being_uploaded_while_it_is_pruned(house: House) -> None:
    await outdated(house, b"twice")
    async with house.database.transaction() as sql:
        kept = await files.keep(sql, a_file(house, b"twice"), b"twice")
        pruning = asyncio.create_task(Retention(house.database).prune())
        await asyncio.sleep(0.2)
        assert not pruning.done()
    await pruning
    answer = await house.files.GetFile(files_pb2.GetFileRequest(file_id=str(kept.id)), metadata=house.us.metadata)
    assert answer.data == b"twice"


async def test_a_content_comes_back_that_was_pruned_while_it_is_uploaded(house: House) -> None:
    await outdated(house, b"again")
    async with house.database.transaction() as sql:
        await store.prune_files(sql)
        uploading = asyncio.create_task(file_of(house, upload(b"again")))
        await asyncio.sleep(0.2)
        assert not uploading.done()
    answer = await house.files.GetFile(files_pb2.GetFileRequest(file_id=id_in(await uploading)), metadata=house.us.metadata)
    assert answer.data == b"again"


async def test_old_keys_go(house: House) -> None:
    await house.files.UploadFile(upload(b"key"), metadata=house.us.with_key("old"))
    await execute(house, "UPDATE idempotency_keys SET created_at = created_at - interval '25 hours'")
    await Retention(house.database).prune()
    assert await count(house, "idempotency_keys") == 0
