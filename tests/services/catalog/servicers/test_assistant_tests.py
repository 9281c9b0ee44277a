"""assay.catalog.v1.AssistantTestService."""

import asyncio
from typing import Any

import pytest
from google.protobuf.struct_pb2 import ListValue

from assay.catalog.v1 import assistant_tests_pb2 as pb
from shared.ids import new_id
from tests.services.catalog.assistants import Assistants, a_test_request
from tests.services.catalog.house import House, http_code, invalid, not_found

NIGHTLY, HOURLY = "0 2 * * *", "0 * * * *"


@pytest.fixture
def assistants(house: House) -> Assistants:
    return Assistants(house)


async def read(assistants: Assistants, test_id: str) -> pb.AssistantTest:
    answer: pb.AssistantTest = await assistants.tests.GetAssistantTest(pb.GetAssistantTestRequest(test_id=test_id), metadata=assistants.us)
    return answer


async def listed(assistants: Assistants, **wanted: Any) -> pb.ListAssistantTestsResponse:
    request = pb.ListAssistantTestsRequest(**wanted)
    answer: pb.ListAssistantTestsResponse = await assistants.tests.ListAssistantTests(request, metadata=assistants.us)
    return answer


async def suites(assistants: Assistants) -> list[str]:
    return list((await assistants.tests.ListTestSuites(pb.ListTestSuitesRequest(), metadata=assistants.us)).data)


def a_rubric(*entries: Any) -> ListValue:
    made = ListValue()
    made.extend(entries)
    return made


async def test_a_test_is_made_and_read(assistants: Assistants) -> None:
    said: dict[str, Any] = {"description": "d", "telnyx_conversation_channel": "phone_call", "max_duration_seconds": 60, "test_suite": "s"}
    made = await assistants.a_test(name="n", instructions="One.\nTwo.", schedule=NIGHTLY, **said)
    assert (made.name, made.instructions, made.description, made.schedule) == ("n", "One.\nTwo.", "d", NIGHTLY)
    assert (made.telnyx_conversation_channel, made.max_duration_seconds, made.test_suite) == (pb.AssistantTest.phone_call, 60, "s")
    assert [(one.name, one.criteria) for one in made.rubric] == [("greets", "contains: hello")]
    assert await read(assistants, made.test_id) == made


async def test_what_is_not_said_is_absent(assistants: Assistants) -> None:
    made = await assistants.a_test()
    assert not {field.name for field, _ in made.ListFields()} & {"description", "max_duration_seconds", "test_suite", "schedule"}
    assert made.telnyx_conversation_channel == pb.AssistantTest.web_chat
    assert await assistants.schedules_told() == []


async def test_a_create_answers_201_and_a_delete_204(assistants: Assistants) -> None:
    made = await assistants.a_test()
    request = a_test_request(destination=made.destination)
    assert await http_code(assistants.tests.CreateAssistantTest(request, metadata=assistants.us)) == "201"
    delete = pb.DeleteAssistantTestRequest(test_id=made.test_id)
    assert await http_code(assistants.tests.DeleteAssistantTest(delete, metadata=assistants.us)) == "204"
    with not_found("assistant test"):
        await read(assistants, made.test_id)


async def test_the_same_key_answers_the_same(assistants: Assistants) -> None:
    destination = (await assistants.made()).id
    request = a_test_request(destination=destination, schedule=NIGHTLY)
    key = assistants.house.us.with_key("k")
    made = [await assistants.tests.CreateAssistantTest(request, metadata=key) for _ in range(2)]
    assert made[0] == made[1]
    assert len(await assistants.schedules_told()) == 1


async def test_a_deleted_test_is_forgotten_with_its_schedule(assistants: Assistants) -> None:
    made = await assistants.a_test(schedule=NIGHTLY)
    await assistants.delete_test(made.test_id)
    assert (assistants.house.forgetful.runner, assistants.house.forgetful.reporting) == ([made.test_id], [made.test_id])
    assert await assistants.schedules_told() == [
        ("assistant_test", made.test_id, NIGHTLY, 1),
        ("assistant_test", made.test_id, "", 2),
    ]
    async with assistants.house.database.connection() as sql:
        told = await sql.fetchval("SELECT count(*) FROM outbox WHERE key = 'catalog.subject_deleted:' || $1", made.test_id)
    assert told == 1
    with not_found("assistant test"):
        await assistants.delete_test(made.test_id)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"name": ""}, "name: must not be empty"),
        ({"instructions": ""}, "instructions: must not be empty"),
        ({"max_duration_seconds": 0}, "max_duration_seconds: must be from 1 to 3600"),
        ({"telnyx_conversation_channel": 0}, "telnyx_conversation_channel: must be one of phone_call"),
        ({"telnyx_conversation_channel": 9}, "telnyx_conversation_channel: must be one of phone_call"),
        ({"schedule": "daily"}, "schedule: must be a cron expression"),
        ({"destination": "none"}, "destination: must be a UUID"),
        ({"destination": str(new_id())}, "destination: must be the id of an assistant"),
    ],
)
async def test_a_wrong_field_is_named(assistants: Assistants, said: dict[str, Any], fault: str) -> None:
    with invalid(fault):
        await assistants.a_test(**said)
    with invalid(fault):
        await assistants.changed_test((await assistants.a_test()).test_id, **said)


async def test_every_fault_is_named_at_once(assistants: Assistants) -> None:
    with invalid("name: must not be empty; rubric: must have from 1 to 100 criteria; destination: is required"):
        await assistants.a_test(name="", rubric=(), destination="")


async def test_another_workspaces_assistant_is_no_destination(assistants: Assistants) -> None:
    theirs = await assistants.made(assistants.house.them)
    with invalid("destination: must be the id of an assistant"):
        await assistants.a_test(destination=theirs.id)


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ((), "rubric: must have from 1 to 100 criteria"),
        (("greets",), "rubric[0]: must be an object"),
        (({"name": "a", "criteria": "c"}, {"name": "b"}), "rubric[1]: must be an object"),
        (({"name": "a", "criteria": "c"}, {"name": "a", "criteria": "d"}), "rubric[1].name: is the name of an earlier criterion"),
    ],
)
async def test_a_wrong_rubric_is_named(assistants: Assistants, entries: tuple[Any, ...], fault: str) -> None:
    with invalid(fault):
        await assistants.changed_test((await assistants.a_test()).test_id, rubric=a_rubric(*entries))


async def test_an_update_leaves_what_it_does_not_name(assistants: Assistants) -> None:
    made = await assistants.a_test(description="d", test_suite="s", max_duration_seconds=5, schedule=NIGHTLY)
    changed = await assistants.changed_test(made.test_id, name="other", rubric=a_rubric({"name": "b", "criteria": "c"}))
    assert (changed.name, [one.name for one in changed.rubric]) == ("other", ["b"])
    assert (changed.description, changed.test_suite, changed.max_duration_seconds, changed.schedule) == ("d", "s", 5, NIGHTLY)
    cleared = await assistants.changed_test(made.test_id, description="", test_suite="", schedule="")
    assert not {field.name for field, _ in cleared.ListFields()} & {"description", "test_suite", "schedule"}


async def test_only_a_change_of_the_schedule_is_told(assistants: Assistants) -> None:
    made = await assistants.a_test()
    for said in ({"name": "n"}, {"schedule": NIGHTLY}, {"schedule": NIGHTLY}, {"schedule": HOURLY}, {"schedule": ""}):
        await assistants.changed_test(made.test_id, **said)
    told = await assistants.schedules_told()
    assert [(cron, revision) for _, _, cron, revision in told] == [(NIGHTLY, 1), (HOURLY, 2), ("", 3)]


async def test_a_test_outlives_its_assistant(assistants: Assistants) -> None:
    made = await assistants.a_test()
    await assistants.deleted(made.destination)
    assert await read(assistants, made.test_id) == made
    assert (await assistants.changed_test(made.test_id, name="other")).destination == made.destination
    moved = await assistants.changed_test(made.test_id, destination=(await assistants.made()).id)
    assert moved.destination != made.destination


async def test_a_list_is_paged_newest_first(assistants: Assistants) -> None:
    made = [(await assistants.a_test(name=name)).test_id for name in "cab"]
    answer = await listed(assistants, page_number=1, page_size=2)
    assert [test.test_id for test in answer.data] == made[:0:-1]
    meta = answer.meta
    assert (meta.page_number, meta.page_size, meta.total_pages, meta.total_results) == (1, 2, 2, 3)
    assert list((await listed(assistants, page_number=9)).data) == []


async def test_a_list_is_filtered_exactly(assistants: Assistants) -> None:
    one = await assistants.a_test(test_suite="smoke", telnyx_conversation_channel="sms_chat")
    await assistants.a_test(test_suite="smoke 2")
    for wanted in ({"test_suite": "smoke"}, {"telnyx_conversation_channel": "sms_chat"}, {"destination": one.destination}):
        answer = await listed(assistants, **wanted)
        assert ([test.test_id for test in answer.data], answer.meta.total_results) == ([one.test_id], 1), wanted
    assert (await listed(assistants, destination=str(new_id()))).meta.total_pages == 0


@pytest.mark.parametrize("wanted", [{"telnyx_conversation_channel": "fax"}, {"destination": "+15551234"}, {"page_size": 101}])
async def test_a_wrong_filter_is_named(assistants: Assistants, wanted: dict[str, Any]) -> None:
    with invalid("page[size]" if "page_size" in wanted else next(iter(wanted))):
        await listed(assistants, **wanted)


async def test_suites_are_what_tests_say(assistants: Assistants) -> None:
    await asyncio.gather(*(assistants.a_test(test_suite=suite) for suite in ("b", "a", "b")))
    await assistants.a_test(assistants.house.them, test_suite="theirs")
    assert await suites(assistants) == ["a", "b"]


async def test_a_suite_is_scheduled_and_cleared(assistants: Assistants) -> None:
    await assistants.a_test(test_suite="s")
    assert await assistants.schedule_suite("s") == pb.TestSuite(name="s")
    assert await assistants.schedule_suite("s", schedule=NIGHTLY) == pb.TestSuite(name="s", schedule=NIGHTLY)
    assert await assistants.schedule_suite("s") == pb.TestSuite(name="s", schedule=NIGHTLY)
    assert await assistants.schedule_suite("s", schedule="") == pb.TestSuite(name="s")
    assert await assistants.schedules_told() == [("suite", "s", NIGHTLY, 1), ("suite", "s", "", 2)]


async def test_a_wrong_schedule_of_a_suite_is_named(assistants: Assistants) -> None:
    await assistants.a_test(test_suite="s")
    with invalid("schedule: must be a cron expression"):
        await assistants.schedule_suite("s", schedule="* * * * * *")


async def test_a_suite_without_tests_is_not_found(assistants: Assistants) -> None:
    await assistants.a_test(assistants.house.them, test_suite="theirs")
    for name in ("theirs", "nobody's", ""):
        with not_found("test suite"):
            await assistants.schedule_suite(name, schedule=NIGHTLY)


async def test_a_suite_that_its_last_test_leaves_loses_its_schedule(assistants: Assistants) -> None:
    first, second = await assistants.a_test(test_suite="s"), await assistants.a_test(test_suite="s")
    await assistants.schedule_suite("s", schedule=NIGHTLY)
    await assistants.changed_test(first.test_id, test_suite="other")
    assert len(await assistants.schedules_told()) == 1
    await assistants.delete_test(second.test_id)
    assert (await assistants.schedules_told())[1:] == [("suite", "s", "", 2)]
    await assistants.a_test(test_suite="s")
    assert await assistants.schedule_suite("s") == pb.TestSuite(name="s")
    await assistants.schedule_suite("s", schedule=HOURLY)
    assert (await assistants.schedules_told())[2:] == [("suite", "s", HOURLY, 3)]


async def test_the_last_two_may_leave_at_once(assistants: Assistants) -> None:
    tests = [await assistants.a_test(test_suite="s") for _ in range(2)]
    await assistants.schedule_suite("s", schedule=NIGHTLY)
    await asyncio.gather(*(assistants.delete_test(test.test_id) for test in tests))
    assert (await assistants.schedules_told())[1:] == [("suite", "s", "", 2)]


async def test_another_workspaces_test_answers_like_an_unknown_one(assistants: Assistants) -> None:
    theirs = await assistants.a_test(assistants.house.them)
    for test_id in (theirs.test_id, str(new_id()), "none"):
        with not_found("assistant test"):
            await read(assistants, test_id)
        with not_found("assistant test"):
            await assistants.changed_test(test_id, name="x")
        with not_found("assistant test"):
            await assistants.delete_test(test_id)
