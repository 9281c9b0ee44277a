"""Awaited cases in Postgres."""

from uuid import UUID

from services.runner.store import recordings
from services.runner.subjects import Recording
from shared.ids import new_id
from shared.postgres import Database
from tests.services.runner.datasets import an_opened, an_output, begun
from tests.services.runner.house import OURS, rows


async def test_cases_are_locked_by_their_ids_and_told_in_order(database: Database) -> None:
    run, other = await begun(database), await begun(database, an_opened(1))
    asked = [UUID(int=2), UUID(int=0), new_id(), UUID(int=2)]
    async with database.transaction() as connection:
        assert await recordings.lock_cases(connection, other.id, asked) == {UUID(int=0): (0, True)}
        assert list((await recordings.lock_cases(connection, run.id, asked)).items()) == [
            (UUID(int=0), (0, True)),
            (UUID(int=2), (2, True)),
        ]
        await connection.execute("UPDATE run_cases SET state = 'executed' WHERE run_id = $1 AND ord = 2", run.id)
        assert await recordings.lock_cases(connection, run.id, [UUID(int=2)]) == {UUID(int=2): (2, False)}


async def test_each_recording_goes_to_its_own_case(database: Database) -> None:
    run, other = await begun(database, an_opened(3)), await begun(database, an_opened(3))
    async with database.transaction() as connection:
        await recordings.record_all(connection, run.id, {})
        await recordings.record_all(connection, run.id, {2: an_output("two", n=2), 0: an_output("zero", n=0)})
        assert await recordings.awaits(connection, run.id)
    found = await rows(database, "SELECT output, record, awaited, attempts FROM run_cases WHERE run_id = $1 ORDER BY ord", run.id)
    assert [tuple(row) for row in found] == [("zero", {"n": 0}, False, 1), (None, None, True, 0), ("two", {"n": 2}, False, 1)]
    assert await rows(database, "SELECT FROM run_cases WHERE run_id = $1 AND NOT awaited", other.id) == []


async def test_what_is_given_up_keeps_what_was_recorded(database: Database) -> None:
    run = await begun(database)
    async with database.transaction() as connection:
        assert await recordings.record(connection, OURS, run.id, UUID(int=1), an_output())
        assert not await recordings.record(connection, OURS, run.id, new_id(), an_output())
        await recordings.give_up(connection, run.id, "too late")
        assert not await recordings.awaits(connection, run.id)
    assert [row["error"] for row in await rows(database, "SELECT error FROM run_cases ORDER BY ord")] == ["too late", None, "too late"]


async def test_what_was_handed_over_is_not_recorded_again(database: Database) -> None:
    run = await begun(database, an_opened(1))
    async with database.transaction() as connection:
        assert await recordings.record(connection, OURS, run.id, UUID(int=0), an_output("first"))
        assert not await recordings.record(connection, new_id(), run.id, UUID(int=0), an_output("of another workspace"))
        await recordings.submit(connection, run.id, [0])
        assert not await recordings.record(connection, OURS, run.id, UUID(int=0), an_output("late"))
    assert [row["output"] for row in await rows(database, "SELECT output FROM run_cases")] == ["first"]


async def test_recorded_cases_are_submitted_each_once(database: Database) -> None:
    run = await begun(database, an_opened(5))
    async with database.transaction() as connection:
        await recordings.record_all(connection, run.id, {ord_: an_output(str(ord_)) for ord_ in range(5)})
        found = [[each.output for each in await recordings.submit(connection, run.id, ords)] for ords in ([1, 0], [1, 2, 3], [], [4])]
    assert found == [["0", "1"], ["2", "3"], [], ["4"]]


async def test_a_size_is_that_of_the_texts_as_they_are_read(database: Database) -> None:
    run = await begun(database, an_opened(6))
    text = "äx" * 100_000  # is stored in a fraction
    said = {0: an_output("ä"), 1: an_output(text), 2: Recording(None, text, None), 3: an_output("", transcript=text), 4: an_output("xä")}
    async with database.transaction() as connection:
        await connection.execute("UPDATE run_cases SET question = '', expected = '', plan = NULL WHERE ord < 5")
        await connection.execute("UPDATE run_cases SET plan = jsonb_build_object('messages', $1::text) WHERE ord = 5", text)
        await recordings.record_all(connection, run.id, said)
        await recordings.submit(connection, run.id, [4])
        found = dict(await recordings.sizes(connection, run.id, 0, 10))
        assert await recordings.sizes(connection, run.id, 1, 2) == [(ord_, found[ord_]) for ord_ in (1, 2)]
    assert [size // 100_000 for size in found.values()] == [0, 3, 3, 3, 3]
    assert (list(found), found[0]) == ([0, 1, 2, 3, 5], len("ä".encode()) + len("{}"))


async def test_only_complete_runs_that_were_not_handed_over_are_unsubmitted(database: Database) -> None:
    _, complete, submitted = [await begun(database) for _ in range(3)]
    async with database.transaction() as connection:
        for run in (complete, submitted):
            await recordings.record_all(connection, run.id, {ord_: an_output() for ord_ in range(3)})
        await recordings.submit(connection, submitted.id, range(3))
        assert await recordings.unsubmitted(connection) == [complete.id]
