"""What a test of an assistant may say, and when one runs by itself."""

from typing import Any
from uuid import UUID

import pytest

from services.catalog.entities.assistant_tests import Criterion, Plan, Suite, TestFilter as Filter
from services.catalog.entities.schedules import schedule_faults
from shared.errors import Invalid

ANY = UUID(int=1)
GREETS = Criterion("greets", "contains: hello")


def a_plan(**said: Any) -> Plan:
    return Plan(**{"name": "t", "agent_id": ANY, "instructions": "Say hello.", "rubric": (GREETS,), **said})


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({}, []),
        ({"name": "n" * 255, "instructions": "i" * 5000, "description": "d" * 1000, "suite": "s" * 100}, []),
        ({"max_duration_seconds": 1, "channel": "phone_call", "schedule": "*/5 * * * *"}, []),
        ({"name": "", "instructions": "", "rubric": ()}, ["name", "instructions", "rubric"]),
        ({"instructions": " \n\t"}, ["instructions"]),
        ({"instructions": "i" * 5001, "description": "d" * 1001, "suite": "s" * 101}, ["instructions", "description", "test_suite"]),
        ({"rubric": (GREETS,) * 2}, ["rubric[1].name"]),
        ({"rubric": (Criterion("", ""),)}, ["rubric[0].name", "rubric[0].criteria"]),
        ({"rubric": tuple(Criterion(str(n), "c") for n in range(101))}, ["rubric"]),
        ({"max_duration_seconds": 0}, ["max_duration_seconds"]),
        ({"max_duration_seconds": 3601}, ["max_duration_seconds"]),
        ({"channel": "fax"}, ["telnyx_conversation_channel"]),
        ({"schedule": "daily"}, ["schedule"]),
    ],
)
def test_every_fault_is_named_at_once(said: dict[str, Any], fields: list[str]) -> None:
    assert list(a_plan(**said).faults()) == fields


def test_the_script_is_one_turn_a_line() -> None:
    assert a_plan(instructions="Hello\r\n\n  \nI want a refund\n").script() == ["Hello", "I want a refund"]


@pytest.mark.parametrize("cron", ["* * * * *", "0 6 * * 1-5", "*/15 9-17 1,15 JAN MON", "0 0 29 2 *"])
def test_five_fields_are_a_schedule(cron: str) -> None:
    assert schedule_faults(cron) == {}


@pytest.mark.parametrize("cron", ["", "@daily", "* * * *", "* * * * * *", "61 * * * *", "a b c d e", "0 0 30 2 *", "* " * 50 + "*"])
def test_anything_else_is_none(cron: str) -> None:
    assert list(schedule_faults(cron)) == ["schedule"]


def test_a_suites_schedule_counts_its_changes() -> None:
    suite = Suite(ANY, "nightly").scheduled("0 1 * * *")
    assert suite.schedule_revision == 1
    assert suite.scheduled("0 1 * * *") == suite
    assert suite.scheduled(None).schedule_revision == 2
    with pytest.raises(Invalid, match="schedule"):
        suite.scheduled("now")


def test_an_unknown_channel_filters_nothing() -> None:
    with pytest.raises(Invalid, match="telnyx_conversation_channel"):
        Filter(channel="fax").checked()
