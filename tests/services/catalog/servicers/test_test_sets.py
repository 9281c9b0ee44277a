"""assay.catalog.v1.TestSetService."""

from typing import Any

import pytest

from assay.catalog.v1 import test_sets_pb2 as pb
from assay.common.internal.v1 import outbox_pb2
from shared.ids import canonical_id, new_id
from tests.services.catalog.house import House, http_code, invalid, not_found


async def update(house: House, set_id: str, **said: Any) -> pb.TestSet:
    request = pb.UpdateTestSetRequest(test_set_id=set_id, **said)
    answer: pb.TestSet = await house.sets.UpdateTestSet(request, metadata=house.us.metadata)
    return answer


async def listed(house: House, context_id: str, **said: Any) -> pb.ListTestSetsResponse:
    request = pb.ListTestSetsRequest(context_id=context_id, **said)
    answer: pb.ListTestSetsResponse = await house.sets.ListTestSets(request, metadata=house.us.metadata)
    return answer


async def names(house: House, context_id: str, **said: Any) -> list[str]:
    return [item.name for item in (await listed(house, context_id, **said)).items]


async def has_run(house: House, set_id: str, at: str, pass_rate: float) -> None:
    async with house.database.transaction() as sql:
        await sql.execute(
            "UPDATE test_sets SET last_run_at = $2::text::timestamptz, last_run_pass_rate = $3 WHERE id = $1",
            canonical_id(set_id),
            at,
            pass_rate,
        )


async def test_a_set_is_made_with_its_defaults(house: House) -> None:
    made = await house.a_set(name="smoke")
    assert (made.name, made.mode, made.language, made.test_case_count) == ("smoke", pb.TestSet.scenario, "en", 0)
    assert not any(made.HasField(field) for field in ("description", "last_run_at", "last_run_pass_rate"))
    assert await house.set_as_it_is(made.id) == made


async def test_a_set_is_made_as_it_is_said(house: House) -> None:
    made = await house.a_set(name="  ", description=" d ", mode="independent", language="de")
    assert (made.name, made.description, made.mode, made.language) == ("  ", " d ", pb.TestSet.independent, "de")


async def test_a_create_answers_201(house: House) -> None:
    request = pb.CreateTestSetRequest(context_id=(await house.a_context()).id, name="s")
    assert await http_code(house.sets.CreateTestSet(request, metadata=house.us.metadata)) == "201"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"name": ""}, "name: must not be empty"),
        ({"name": "n" * 256}, "name: must have at most 255"),
        ({"mode": 0}, "mode: must be one of scenario, independent"),
        ({"mode": 9}, "mode: must be one of scenario, independent"),
        ({"language": ""}, "language: must not be empty"),
    ],
)
async def test_a_wrong_field_is_named(house: House, said: dict[str, Any], fault: str) -> None:
    with invalid(fault):
        await house.a_set(**said)
    with invalid(fault):
        await update(house, (await house.a_set()).id, **said)


@pytest.mark.parametrize(("context_id", "fault"), [("", "context_id: is required"), ("none", "context_id: must be a UUID")])
async def test_a_malformed_context_is_wrong(house: House, context_id: str, fault: str) -> None:
    with invalid(fault):
        await house.a_set(context_id=context_id)
    with invalid(fault):
        await listed(house, context_id)


async def test_an_unknown_context_is_not_found(house: House) -> None:
    for unknown in (str(new_id()), (await house.a_context(house.them)).id):
        with not_found("context"):
            await house.a_set(context_id=unknown)
        with not_found("context"):
            await listed(house, unknown)


async def test_an_update_leaves_what_it_does_not_name(house: House) -> None:
    made = await house.a_set(description="d", mode="independent", language="de")
    changed = await update(house, made.id, name="other")
    assert (changed.name, changed.description, changed.mode, changed.language) == ("other", "d", pb.TestSet.independent, "de")
    assert not (await update(house, made.id, description="")).HasField("description")


async def test_changing_a_set_keeps_its_cases_counted(house: House) -> None:
    made = await house.a_set()
    await house.a_case(made.id)
    assert (await update(house, made.id, name="other")).test_case_count == 1


async def test_a_deleted_set_is_gone_with_its_cases_and_everybody_is_told(house: House) -> None:
    made = await house.a_set()
    await house.a_case(made.id)
    delete = pb.DeleteTestSetRequest(test_set_id=made.id)
    assert await http_code(house.sets.DeleteTestSet(delete, metadata=house.us.metadata)) == "204"
    with not_found("test set"):
        await house.set_as_it_is(made.id)
    with not_found("test set"):
        await house.sets.DeleteTestSet(delete, metadata=house.us.metadata)
    async with house.database.connection() as sql:
        left = await sql.fetchval("SELECT count(*) FROM test_cases WHERE test_set_id = $1", canonical_id(made.id))
        events = await sql.fetchval("SELECT count(*) FROM outbox WHERE topic = 'catalog.subject_deleted' AND key LIKE '%' || $1", made.id)
    assert (left, events) == (0, 1)
    assert (house.forgetful.runner, house.forgetful.reporting) == ([made.id], [made.id])


async def test_a_set_is_deleted_although_nobody_can_be_told(house: House) -> None:
    made = await house.a_set()
    house.forgetful.fails = True
    await house.sets.DeleteTestSet(pb.DeleteTestSetRequest(test_set_id=made.id), metadata=house.us.metadata)
    with not_found("test set"):
        await house.set_as_it_is(made.id)


async def test_the_outbox_is_served_to_services(house: House) -> None:
    request = outbox_pb2.HeadRequest(topic="catalog.subject_deleted", consumer="runner")
    assert (await house.outbox.Head(request, metadata=house.identity.metadata())).head >= 0


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ({}, ["late", "Early", "never", "Öfter"]),
        ({"sort_order": "asc"}, ["Early", "late", "never", "Öfter"]),
        ({"sort_by": "name", "sort_order": "asc"}, ["Early", "late", "never", "Öfter"]),
        ({"sort_by": "name"}, ["Öfter", "never", "late", "Early"]),
        ({"sort_by": "last_run_pass_rate"}, ["Early", "late", "never", "Öfter"]),
        ({"sort_by": "last_run_pass_rate", "sort_order": "asc"}, ["late", "Early", "never", "Öfter"]),
        ({"sort_by": "test_case_count"}, ["never", "late", "Early", "Öfter"]),
        ({"sort_by": "", "sort_order": "", "search": ""}, ["late", "Early", "never", "Öfter"]),
    ],
)
async def test_sets_are_sorted_with_no_value_last_and_ties_by_creation(house: House, sort: dict[str, str], expected: list[str]) -> None:
    context_id = (await house.a_context()).id
    made = {name: (await house.a_set(context_id=context_id, name=name)).id for name in ("late", "never", "Early", "Öfter")}
    await has_run(house, made["late"], "2026-02-02", 0.1)
    await has_run(house, made["Early"], "2026-01-01", 0.9)
    await house.a_case(made["never"])
    assert await names(house, context_id, **sort) == expected


@pytest.mark.parametrize(
    ("search", "expected"),
    [("ALPHA", ["alpha 100%", "Alpha_1"]), ("0%", ["alpha 100%"]), ("a_1", ["Alpha_1"]), ("\\", ["b\\c"]), ("É", ["café"]), ("x", [])],
)
async def test_a_search_finds_parts_of_names_literally_in_any_case(house: House, search: str, expected: list[str]) -> None:
    context_id = (await house.a_context()).id
    for name in ("alpha 100%", "Alpha_1", "b\\c", "café", "beta"):
        await house.a_set(context_id=context_id, name=name)
    found = await listed(house, context_id, search=search, sort_by="name", sort_order="asc")
    assert ([item.name for item in found.items], found.total) == (expected, len(expected))


async def test_a_list_holds_its_context_alone_and_is_paged(house: House) -> None:
    context_id = (await house.a_context()).id
    made = [(await house.a_set(context_id=context_id)).id for _ in range(3)]
    await house.a_set()
    page = await listed(house, context_id, page=2, page_size=2)
    assert ([item.id for item in page.items], page.total, page.total_pages) == (made[2:], 3, 2)
    beyond = await listed(house, context_id, page=9, page_size=2)
    assert (list(beyond.items), beyond.total, beyond.page) == ([], 3, 9)


@pytest.mark.parametrize(("field", "value"), [("sort_by", "id"), ("sort_order", "up")])
async def test_an_unknown_sort_is_named(house: House, field: str, value: str) -> None:
    with invalid(f"{field}: must be one of"):
        await listed(house, (await house.a_context()).id, **{field: value})
