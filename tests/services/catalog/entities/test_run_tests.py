"""A run test, as it changes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.catalog.entities.evaluators import Rule
from services.catalog.entities.run_tests import MAX_EVALUATIONS, RunTest, Wish, unknown
from shared.errors import Invalid
from shared.ids import new_id

THEN, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


def a_run_test(**said: Any) -> RunTest:
    ids = {name: (new_id(),) for name in ("scenario_ids", "evaluator_ids", "row_ids")}
    blank: dict[str, Any] = {
        "name": "n",
        "description": "d",
        **ids,
        "tool_evaluation": True,
        "created_at": THEN,
        "updated_at": THEN,
        **said,
    }
    return RunTest(id=new_id(), workspace_id=new_id(), agent_id=new_id(), version_id=new_id(), **blank)


def test_an_empty_wish_changes_nothing_but_the_time() -> None:
    before = a_run_test()
    assert before.changed(Wish(), before.version_id, NOW) == replace(before, updated_at=NOW)


def test_what_is_cleared_is_not_left() -> None:
    changed = a_run_test().changed(Wish(description="", evaluator_ids=(), row_ids=(), tool_evaluation=False), new_id(), NOW)
    assert (changed.description, changed.evaluator_ids, changed.row_ids, changed.tool_evaluation) == ("", (), (), False)


def test_evaluators_are_added_up_to_the_limit() -> None:
    full = a_run_test().judged_by([new_id() for _ in range(MAX_EVALUATIONS - 1)], NOW)
    assert len(full.evaluator_ids) == MAX_EVALUATIONS
    with pytest.raises(Invalid, match="at most 100 evaluations"):
        full.judged_by([new_id()], NOW)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (Wish(name=""), "name"),
        (Wish(scenario_ids=()), "scenarioIds"),
        (Wish(scenario_ids=(new_id(),) * 1001), "scenarioIds"),
        (Wish(row_ids=(new_id(),) * 10_001), "datasetRowIds"),
        (Wish(evaluator_ids=(new_id(),) * 60, rules=(Rule("n", "t"),) * 41), "evaluationsConfig"),
        (Wish(faults={"agentVersion": "must be a UUID"}), "agentVersion"),
    ],
)
def test_a_fault_bears_the_name_of_its_field(wish: Wish, field: str) -> None:
    assert list(wish.all_faults()) == [field]
    assert Wish(name="n").all_faults() == {}


def test_all_that_is_unknown_is_named() -> None:
    known, others = new_id(), [new_id(), new_id()]
    assert unknown([known], [others[0], known, others[1]]) == f"unknown: {others[0]}, {others[1]}"
    assert unknown([known], [known]) == ""
