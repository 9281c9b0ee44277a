"""TestSet ⇄ message."""

from typing import Any

from assay.catalog.v1 import test_sets_pb2 as pb
from services.catalog.convert import fields
from services.catalog.entities import faults
from services.catalog.entities.queries import SET_SORTS, SetQuery, sort_of
from services.catalog.entities.test_sets import Outline, TestSet
from shared.pages import Page

TEXTS = ("description",)


def outline(request: pb.CreateTestSetRequest) -> Outline:
    """What is to be made. Raises Invalid for an id that is none, naming a wrong name too."""
    said = fields.cleared(fields.given(request, ("language", *TEXTS)), TEXTS)
    if request.HasField("mode"):
        said["mode"] = fields.enum_name(pb.TestSet.Mode, request.mode)
    return Outline(request.name, fields.body_id("context_id", request.context_id, faults.name(request.name)), **said)


def changes(request: pb.UpdateTestSetRequest) -> dict[str, Any]:
    """What is to change, by name."""
    said = fields.cleared(fields.given(request, ("name", "language", *TEXTS)), TEXTS)
    if request.HasField("mode"):
        said["mode"] = fields.enum_name(pb.TestSet.Mode, request.mode)
    return said


def query(request: pb.ListTestSetsRequest) -> SetQuery:
    """Which page, in which order. Raises Invalid naming each wrong parameter."""
    return SetQuery(
        fields.wanted_page(request),
        sort_of(request.sort_by or "last_run_at", request.sort_order or "desc", SET_SORTS),
        request.search,
    )


def message(test_set: TestSet) -> pb.TestSet:
    """As it is shown."""
    said = test_set.outline
    return pb.TestSet(
        id=str(test_set.id),
        context_id=str(said.context_id),
        name=said.name,
        description=said.description,
        mode=pb.TestSet.Mode.Value(said.mode),
        language=said.language,
        test_case_count=test_set.test_case_count,
        last_run_at=fields.timestamp(test_set.last_run_at) if test_set.last_run_at else None,
        last_run_pass_rate=test_set.last_run_pass_rate,
        created_at=fields.timestamp(test_set.created_at),
        updated_at=fields.timestamp(test_set.updated_at),
    )


def page(found: Page[TestSet]) -> pb.ListTestSetsResponse:
    """A page of them."""
    return pb.ListTestSetsResponse(items=[message(test_set) for test_set in found.items], **fields.page_numbers(found))
