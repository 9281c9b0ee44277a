"""What clients record: kept over what they said before, and handed to scoring as a whole, once."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from services.runner.entities import Run
from services.runner.operations import recording
from services.runner.operations.completion import Completion
from services.runner.operations.recording import NOT_RECORDED, Recorder
from services.runner.operations.runs import cancel_run, close_unexecuted, delete_run
from services.runner.reconciler import Reconciler
from services.runner.subjects import Recording
from shared.errors import NotFound, WrongState
from shared.ids import new_id
from shared.postgres import Database
from tests.services.runner.datasets import EQUALS, a_dataset_case, an_opened, an_output, begun, whose
from tests.services.runner.house import LEASE, NOW, OURS, THEIRS, Asked, rows, running, said, scores, state, states

EXECUTED = "runner.cases_executed"


async def record_all(database: Database, run: Run, ords: Sequence[int], text: str = "out") -> None:
    recorder = Recorder(database)
    for ord_ in ords:
        await recorder.record(whose(run), UUID(int=ord_), an_output(f"{text} {ord_}"))


async def executed(database: Database) -> list[Any]:
    return [case for event in await said(database, EXECUTED) for case in event.cases]


async def test_the_last_case_hands_the_run_to_scoring(database: Database) -> None:
    run = await begun(database)
    await record_all(database, run, [2, 0])
    assert (await states(database, run), await executed(database)) == (["queued"] * 3, [])
    await record_all(database, run, [1])
    assert await states(database, run) == ["executed"] * 3
    found = await executed(database)
    assert [(case.ord, case.output, case.question, case.expected, case.execution_time_ms, case.attempts) for case in found] == [
        (ord_, f"out {ord_}", f"question {ord_}", f"answer {ord_}", 5, 1) for ord_ in range(3)
    ]


async def test_what_is_recorded_again_counts_until_the_run_is_complete(database: Database) -> None:
    run = await begun(database)
    await record_all(database, run, [0, 1])
    await Recorder(database).record(whose(run), UUID(int=0), Recording(None, "it broke", None, {}))
    await record_all(database, run, [1, 2], "better")
    found = await executed(database)
    assert [(case.output, case.error, case.attempts) for case in found] == [
        ("", "it broke", 2),
        ("better 1", "", 2),
        ("better 2", "", 1),
    ]
    assert not found[0].HasField("output")
    with pytest.raises(WrongState, match="complete"):
        await record_all(database, run, [1])
    await Completion(database).hear_scored([scores(run, range(3), 1)])
    with pytest.raises(WrongState, match="complete"):
        await record_all(database, run, [1])
    assert [case.output for case in await executed(database)][1] == "better 1"


async def test_only_a_case_of_the_run_is_recorded(database: Database) -> None:
    run = await begun(database)
    with pytest.raises(NotFound, match="test case"):
        await Recorder(database).record(whose(run), new_id(), an_output())


@pytest.mark.parametrize(
    "wrong",
    [{"workspace": THEIRS}, {"group_key": str(new_id())}, {"family": "run_test"}, {"run_id": new_id()}],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_run_is_found_by_its_own_workspace_project_and_family(database: Database, wrong: dict[str, Any]) -> None:
    run = await begun(database)
    with pytest.raises(NotFound, match="run not found"):
        await Recorder(database).record(whose(run, **wrong), UUID(int=0), an_output())
    assert [row["awaited"] for row in await rows(database, "SELECT awaited FROM run_cases")] == [True] * 3


async def test_a_run_that_the_suite_executes_takes_no_recordings(database: Database) -> None:
    run = await running(database, 2)
    with pytest.raises(NotFound):
        await Recorder(database).record(whose(run, family="test_set"), UUID(int=0), an_output())
    with pytest.raises(NotFound):
        await recording.close(database, OURS, run.id)
    assert await states(database, run) == ["queued"] * 2


async def test_recordings_at_once_hand_the_run_over_once(database: Database) -> None:
    run = await begun(database, an_opened(32))
    recorders = [Recorder(database), Recorder(database)]  # as in two processes
    await asyncio.gather(*(recorders[ord_ % 2].record(whose(run), UUID(int=ord_), an_output(str(ord_))) for ord_ in range(32)))
    assert [(case.ord, case.output) for case in await executed(database)] == [(ord_, str(ord_)) for ord_ in range(32)]
    assert await states(database, run) == ["executed"] * 32


async def test_the_last_of_two_for_one_case_at_once_counts(database: Database) -> None:
    run = await begun(database, an_opened(2))
    recorder = Recorder(database)
    await asyncio.gather(*(recorder.record(whose(run), UUID(int=0), an_output(str(number))) for number in range(20)))
    await record_all(database, run, [1])
    [first, _] = await executed(database)
    assert first.output == "19"


async def test_a_refused_recording_takes_none_of_its_neighbours_with_it(database: Database) -> None:
    run = await begun(database)
    recorder = Recorder(database)
    ids = [UUID(int=0), new_id(), UUID(int=1), UUID(int=2)]
    ends = await asyncio.gather(*(recorder.record(whose(run), id_, an_output()) for id_ in ids), return_exceptions=True)
    assert [type(end) for end in ends] == [type(None), NotFound, type(None), type(None)]
    assert len(await executed(database)) == 3
    assert recorder._coming == {}


async def test_what_all_callers_gave_up_is_recorded_and_nothing_of_it_stays_behind(database: Database) -> None:
    run = await begun(database)
    recorder = Recorder(database)
    async with database.transaction() as connection:
        await connection.execute("SELECT FROM run_cases FOR UPDATE")
        callers = [asyncio.create_task(recorder.record(whose(run), UUID(int=ord_), an_output())) for ord_ in range(3)]
        await asyncio.sleep(0.1)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        assert len(recorder._coming) == 1
    async with asyncio.timeout(10):
        while recorder._coming:  # noqa: ASYNC110 it has no event
            await asyncio.sleep(0.01)
    assert len(await executed(database)) == 3


async def test_the_reconciler_hands_over_what_a_dead_process_left(
    database: Database, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, waiting = await begun(database), await begun(database)

    async def dies(*_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as dying:
        dying.setattr(recording, "submit_if_complete", dies)
        for ord_ in range(3):
            with pytest.raises(ConnectionResetError):
                await record_all(database, run, [ord_])
    assert (await executed(database), await recording.unsubmitted(database)) == ([], [run.id])
    reconciler = Reconciler(database, asked.catalog, Completion(database), LEASE)
    await asyncio.gather(reconciler.recordings(), reconciler.recordings())
    assert (len(await executed(database)), await recording.unsubmitted(database)) == (3, [])
    assert await states(database, waiting) == ["queued"] * 3


async def test_closing_makes_missing_cases_errors(database: Database) -> None:
    run = await begun(database)
    await record_all(database, run, [1])
    with pytest.raises(NotFound):
        await recording.close(database, THEIRS, run.id)
    await recording.close(database, OURS, run.id)
    await recording.close(database, OURS, run.id)
    assert [(case.output, case.error) for case in await executed(database)] == [("", NOT_RECORDED), ("out 1", ""), ("", NOT_RECORDED)]
    with pytest.raises(WrongState):
        await record_all(database, run, [0])
    await Completion(database).hear_scored([scores(run, range(3), 1)])
    assert (await state(database, run), (await recording.close(database, OURS, run.id)).state) == ("completed", "completed")


async def test_closing_and_recording_at_once_hand_over_every_case_once(database: Database) -> None:
    for _ in range(5):
        run = await begun(database, an_opened(12))
        recorder = Recorder(database)
        recordings = (recorder.record(whose(run), UUID(int=ord_), an_output()) for ord_ in range(12))
        ends = await asyncio.gather(*recordings, recording.close(database, OURS, run.id), return_exceptions=True)
        assert {type(end) for end in ends[:12]} <= {type(None), WrongState}
        found = [case for event in await said(database, EXECUTED) if event.run_id == str(run.id) for case in event.cases]
        assert [case.ord for case in found] == list(range(12))
        assert [bool(case.output) for case in found] == [end is None for end in ends[:12]]


async def test_evaluators_and_what_is_known_of_a_case_reach_scoring(database: Database) -> None:
    case = a_dataset_case(0, metadata={"tier": 1})
    run = await begun(database, an_opened([case], evaluators=[EQUALS]))
    record = {"transcript": [{"role": "assistant", "content": "out"}], "client_evaluations": {"nice": True}}
    await Recorder(database).record(whose(run), UUID(int=0), an_output("out", **record))
    [event] = await said(database, EXECUTED)
    assert (list(event.evaluators), event.run_id, event.workspace_id) == ([EQUALS], str(run.id), str(OURS))
    [found] = event.cases
    assert (found.test_method, found.record["metadata"]["tier"], found.record["client_evaluations"]["nice"]) == ("", 1, True)
    assert (found.record["values"]["q"], found.record["output"]) == ("question 0", "answer 0")  # the expected one


async def test_a_long_record_travels_by_id(database: Database) -> None:
    run = await begun(database, an_opened(2))
    recorder = Recorder(database)
    await recorder.record(whose(run), UUID(int=0), an_output("short", transcript=[{"role": "user", "content": "x" * 9000}]))
    await recorder.record(whose(run), UUID(int=1), an_output("short"))
    long, short = await executed(database)
    assert (long.texts_by_id, long.output, long.HasField("record")) == (True, "", False)
    assert (short.texts_by_id, short.output, short.HasField("record")) == (False, "short", True)


async def test_a_big_run_is_handed_over_in_events_of_a_bounded_size(database: Database) -> None:
    run = await begun(database, an_opened(1200))
    recorder = Recorder(database)
    text = "y" * 2000
    await asyncio.gather(*(recorder.record(whose(run), UUID(int=ord_), an_output(text)) for ord_ in range(1200)))
    events = await said(database, EXECUTED)
    assert [case.ord for event in events for case in event.cases] == list(range(1200))
    assert max(event.ByteSize() for event in events) <= 520 * 1024


async def test_no_more_is_read_at_a_time_than_a_portion_holds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "SLICE", 5)
    monkeypatch.setattr(recording, "PORTION_BYTES", 2000)
    run = await begun(database, an_opened(9))
    lengths = {0: 5000, 1: 800, 2: 100, 4: 1900, 7: 9000}
    recorder = Recorder(database)
    for ord_ in range(9):
        text = "z" * lengths.get(ord_, 100)
        output = an_output(text) if ord_ % 2 else an_output("", transcript=[{"role": "user", "content": text}])
        await recorder.record(whose(run), UUID(int=ord_), output)
    # An event holds what was read at a time.
    assert [[case.ord for case in event.cases] for event in await said(database, EXECUTED)] == [[0], [1, 2, 3], [4], [5, 6], [7], [8]]


async def test_nothing_is_recorded_in_a_run_that_was_cancelled_or_deleted(database: Database) -> None:
    run, deleted = await begun(database), await begun(database)
    await record_all(database, run, [0])
    await cancel_run(database, OURS, run.id)
    with pytest.raises(WrongState):
        await record_all(database, run, [1])
    await close_unexecuted(database, run.id)
    assert (await states(database, run), await executed(database)) == (["cancelled"] * 3, [])
    await delete_run(database, OURS, deleted.id, NOW)
    with pytest.raises(NotFound):
        await record_all(database, deleted, [0])
