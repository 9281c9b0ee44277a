"""How events are spelled."""

import json

import pytest
from google.protobuf import json_format

from assay.runner.v1 import runs_pb2
from services.reporting import sse
from services.reporting.convert import messages
from services.reporting.entities.results import RunEvent
from services.reporting.entities.runs import Tally
from shared.errors import Invalid
from tests.services.reporting.builders import ENDED_AT, a_run, case_id

ABSENT = {"pass_rate", "average_score", "started_at", "completed_at"}


@pytest.mark.parametrize(("header", "after"), [("", 0), ("0", 0), ("7", 7), ("007", 7), ("9" * 30, int("9" * 30))])
def test_the_last_event_id_is_a_number(header: str, after: int) -> None:
    assert sse.last_event_id(header) == after


@pytest.mark.parametrize("header", ["-1", "1.0", " ", "1e3", "\u0661", "\u00b2", "null"])
def test_what_is_no_number_is_refused(header: str) -> None:
    with pytest.raises(Invalid, match="Last-Event-ID"):
        sse.last_event_id(header)


def test_a_scored_case_has_no_score_where_there_is_none() -> None:
    run = a_run()
    events = [RunEvent(2, "case.scored", case_id(1), 3, "passed", 0.5), RunEvent(3, "case.scored", case_id(2), 1, "error", None)]
    assert sse.numbered(events, run).decode() == (
        f'id: 2\nevent: case.scored\ndata: {{"test_case_id":"{case_id(1)}","repeat":3,"status":"passed","score":0.5}}\n\n'
        f'id: 3\nevent: case.scored\ndata: {{"test_case_id":"{case_id(2)}","repeat":1,"status":"error"}}\n\n'
    )


def test_the_last_event_holds_the_run_as_the_gateway_spells_it() -> None:
    run = a_run("completed", closed=True, completed_at=ENDED_AT, tally=Tally(passed=3, failed=1), tags=("a",), last_seq=6)
    data = sse.numbered([RunEvent(6, "run.completed")], run).decode().removeprefix("id: 6\nevent: run.completed\ndata: ")
    told = json.loads(data)
    assert json_format.ParseDict(told, runs_pb2.Run()) == messages.run(run)
    assert (told["status"], told["pass_rate"], told["completed_at"]) == ("completed", 0.75, "2026-11-03T09:31:15.250Z")
    assert set(told) == {field.json_name for field in runs_pb2.Run.DESCRIPTOR.fields} - {"average_score"}


def test_the_first_event_holds_the_run_as_it_was_accepted() -> None:
    run = a_run("running", tally=Tally(passed=1), last_seq=2)
    told = json.loads(sse.numbered([RunEvent(1, "run.started")], run).decode().rpartition("data: ")[2])
    assert set(told) == {field.json_name for field in runs_pb2.Run.DESCRIPTOR.fields} - ABSENT
    assert (told["status"], told["completed_cases"], told["tags"]) == ("pending", 0, [])


def test_progress_has_five_counts_and_no_number() -> None:
    assert sse.progress(a_run(tally=Tally(passed=1, failed=1, errors=1))).decode() == (
        'event: run.progress\ndata: {"total_cases":4,"completed_cases":3,"passed_cases":1,"failed_cases":1,"error_cases":1}\n\n'
    )
