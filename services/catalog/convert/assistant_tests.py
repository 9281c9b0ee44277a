"""Assistant test ⇄ message."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from assay.catalog.v1 import assistant_tests_pb2 as pb
from services.catalog.convert import fields
from services.catalog.convert.assistants import meta, values
from services.catalog.entities.assistant_tests import AssistantTest, Criterion, Plan, Suite, TestFilter
from shared.errors import Invalid
from shared.pages import Page

UNKNOWN = UUID(int=0)
TEXTS = {"description": "description", "test_suite": "suite", "schedule": "schedule"}
"""Texts that "" clears: name in the request → name in Plan."""


def plan(request: pb.CreateAssistantTestRequest) -> Plan:
    """What is to be made. Raises Invalid for an id that is none, naming what else is wrong too."""
    rubric = tuple(Criterion(one.name, one.criteria) for one in request.rubric)
    agent_id = fields.body_id("destination", request.destination, _other_faults(request, rubric))
    return Plan(request.name, agent_id, request.instructions, rubric, **_said(request))


def changes(request: pb.UpdateAssistantTestRequest) -> dict[str, Any]:
    """What is to change, by the names of Plan. Raises Invalid for an id that is none, or a rubric of something else."""
    said = _said(request) | fields.given(request, ("name", "instructions"))
    if request.HasField("destination"):
        said["agent_id"] = fields.body_id("destination", request.destination)
    if request.HasField("rubric"):
        said["rubric"] = _rubric(values(request.rubric))
    return said


def schedule(request: pb.UpdateTestSuiteRequest) -> dict[str, Any]:
    """What is to change of a suite."""
    return fields.cleared(fields.given(request, ("schedule",)), ("schedule",))


def wanted(request: pb.ListAssistantTestsRequest) -> TestFilter:
    """Which tests. Raises Invalid for an unknown channel or an id that is none; an empty filter is none."""
    agent_id = fields.body_id("destination", request.destination) if request.destination else None
    return TestFilter(request.test_suite or None, request.telnyx_conversation_channel or None, agent_id).checked()


def message(test: AssistantTest) -> pb.AssistantTest:
    """As it is shown."""
    said = test.plan
    return pb.AssistantTest(
        test_id=str(test.id),
        name=said.name,
        description=said.description,
        destination=str(said.agent_id),
        instructions=said.instructions,
        rubric=[pb.RubricCriterion(name=one.name, criteria=one.criteria) for one in said.rubric],
        telnyx_conversation_channel=pb.AssistantTest.Channel.Value(said.channel),
        max_duration_seconds=said.max_duration_seconds,
        test_suite=said.suite,
        schedule=said.schedule,
        created_at=fields.timestamp(test.created_at),
    )


def page(found: Page[AssistantTest]) -> pb.ListAssistantTestsResponse:
    """A page of them."""
    return pb.ListAssistantTestsResponse(data=[message(test) for test in found.items], meta=meta(found))


def suite(found: Suite) -> pb.TestSuite:
    """As it is shown."""
    return pb.TestSuite(name=found.name, schedule=found.schedule)


def _said(request: pb.CreateAssistantTestRequest | pb.UpdateAssistantTestRequest) -> dict[str, Any]:
    texts = fields.cleared(fields.given(request, TEXTS), TEXTS)
    said = {TEXTS[name]: text for name, text in texts.items()} | fields.given(request, ("max_duration_seconds",))
    if request.HasField("telnyx_conversation_channel"):
        said["channel"] = fields.enum_name(pb.AssistantTest.Channel, request.telnyx_conversation_channel)
    return said


def _other_faults(request: pb.CreateAssistantTestRequest, rubric: Sequence[Criterion]) -> dict[str, str]:
    # Any id will do: only what else is wrong is asked for.
    return dict(Plan(request.name, UNKNOWN, request.instructions, rubric, **_said(request)).faults())


def _rubric(entries: Sequence[Any]) -> tuple[Criterion, ...]:
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("name", "criteria")):
            raise Invalid({f"rubric[{index}]": "must be an object with the texts name and criteria"})
    return tuple(Criterion(entry["name"], entry["criteria"]) for entry in entries)
