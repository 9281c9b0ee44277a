"""assay.catalog.v1.PromptVersionService."""

import asyncio
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from assay.catalog.v1 import prompt_versions_pb2 as pb
from shared.ids import new_id
from tests.services.catalog.house import House, http_code, invalid, not_found
from tests.services.catalog.prompts import Json, PromptUser, shown

MESSAGES = [{"role": "system", "content": "You are {{ role }}."}, {"role": "user", "content": "{{question}} {{role}}"}]
KEYS = {
    "id", "promptId", "title", "messages", "variables", "configuration", "promoted", "draft", "createdAt", "updatedAt", "deletedAt",
}  # fmt: skip


@pytest.fixture
def us(house: House) -> PromptUser:
    return PromptUser(house, house.us)


@pytest.fixture
def them(house: House) -> PromptUser:
    return PromptUser(house, house.them)


async def listed(user: PromptUser, **said: Any) -> Json:
    return shown(await user.versions.ListPromptVersions(ParseDict(said, pb.ListPromptVersionsRequest()), metadata=user.metadata))


async def test_what_is_not_said_is_there(us: PromptUser) -> None:
    made = await us.version((await us.prompt())["id"])
    assert set(made) == KEYS
    assert (made["messages"], made["variables"], made["configuration"]) == ([], [], {})
    assert (made["title"], made["promoted"], made["draft"], made["deletedAt"]) == ("Version 1", False, False, None)


async def test_a_version_is_made_and_read(us: PromptUser) -> None:
    connection = await us.house.a_connection()
    said = {
        "title": "t",
        "messages": MESSAGES,
        "variables": [{"name": "role", "required": False}, {"name": "question", "required": True}],
        "configuration": {"connectionId": connection.id, "model": "echo", "temperature": 0.5, "max_tokens": 10},
        "promoted": True,
        "draft": True,
    }
    made = await us.version((await us.prompt())["id"], **said)
    assert {key: made[key] for key in said} == said
    assert await us.version_read(made["id"]) == made


async def test_variables_that_are_not_given_are_those_of_the_messages(us: PromptUser) -> None:
    made = await us.version((await us.prompt())["id"], messages=MESSAGES)
    assert made["variables"] == [{"name": "role", "required": True}, {"name": "question", "required": True}]
    changed = await us.version_changed(made["id"], messages=[{"role": "user", "content": "{{other}}"}])
    assert changed["variables"] == [{"name": "other", "required": True}]
    assert (await us.version_changed(made["id"], variables=[]))["variables"] == []


async def test_a_variable_is_required_unless_it_says_otherwise(us: PromptUser) -> None:
    made = await us.version((await us.prompt())["id"], variables=[{"name": "a"}])
    assert made["variables"] == [{"name": "a", "required": True}]


WRONG: list[tuple[Json, str]] = [
    ({"title": "t" * 256}, "title: must have at most 255 characters"),
    ({"messages": "x"}, "messages: must be an array"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role: must be one of"),
    ({"variables": [{"name": ""}]}, "variables[0].name: must not be empty"),
    ({"variables": [{}]}, "variables[0].name: is required"),
    ({"variables": [{"name": "a", "required": 1}]}, "variables[0].required: must be true or false"),
    ({"configuration": []}, "configuration: must be an object"),
    ({"configuration": {"connectionId": "x"}}, "configuration.connectionId: must be a UUID"),
    ({"configuration": {"model": 4}}, "configuration.model: must be a text"),
]


@pytest.mark.parametrize(("said", "fault"), WRONG)
async def test_a_wrong_field_is_named(us: PromptUser, said: Json, fault: str) -> None:
    prompt = await us.prompt()
    with invalid(fault):
        await us.version(prompt["id"], **said)
    with invalid(fault):
        await us.version_changed((await us.version(prompt["id"]))["id"], **said)


async def test_a_version_needs_a_prompt(us: PromptUser, them: PromptUser) -> None:
    with invalid("messages: must be an array; promptId: is required"):
        await us.version("", messages=1)
    for unknown in (str(new_id()), (await them.prompt())["id"]):
        with not_found("prompt"):
            await us.version(unknown)


async def test_a_connection_that_is_named_is_known_and_has_the_model(us: PromptUser) -> None:
    prompt, connection = await us.prompt(), await us.house.a_connection()
    theirs = await us.house.a_connection(us.house.them)
    with not_found("connection"):
        await us.version(prompt["id"], configuration={"connectionId": theirs.id})
    with invalid("configuration.model: must be one of echo, answerer-good, answerer-basic"):
        await us.version(prompt["id"], configuration={"connectionId": connection.id, "model": "gpt"})
    assert await us.version(prompt["id"], configuration={"model": "gpt"})


async def test_versions_are_numbered_and_no_number_comes_again(us: PromptUser) -> None:
    prompt = await us.prompt()
    titles = {made["title"] for made in await asyncio.gather(*(us.version(prompt["id"]) for _ in range(5)))}
    assert titles == {f"Version {number}" for number in range(1, 6)}
    await us.version_deleted((await us.version(prompt["id"]))["id"])
    assert (await us.version(prompt["id"]))["title"] == "Version 7"


async def test_one_version_is_promoted_at_most(us: PromptUser) -> None:
    prompt, other = await us.prompt(), await us.prompt()
    elsewhere = await us.version(other["id"], promoted=True)
    first = await us.version(prompt["id"], promoted=True)
    second = await us.version(prompt["id"], promoted=True)
    promoted = {item["id"]: item["promoted"] for item in (await listed(us, promptId=prompt["id"]))["items"]}
    assert promoted == {first["id"]: False, second["id"]: True}
    await us.version_changed(first["id"], promoted=True)
    assert (await us.version_read(second["id"]))["promoted"] is False
    assert (await us.version_read(elsewhere["id"]))["promoted"] is True


async def test_promoting_at_the_same_time_leaves_one(us: PromptUser) -> None:
    prompt = await us.prompt()
    made = [(await us.version(prompt["id"]))["id"] for _ in range(6)]
    await asyncio.gather(*(us.version_changed(one, promoted=True) for one in made))
    assert sum(item["promoted"] for item in (await listed(us, promptId=prompt["id"]))["items"]) == 1


async def test_an_update_leaves_what_it_does_not_name(us: PromptUser) -> None:
    made = await us.version((await us.prompt())["id"], messages=MESSAGES, configuration={"temperature": 1}, draft=True)
    changed = await us.version_changed(made["id"], title="u", messages=None)
    assert {**changed, "updatedAt": made["updatedAt"]} == {**made, "title": "u"}
    assert (await us.version_changed(made["id"], configuration={}, draft=False))["configuration"] == {}


async def test_a_list_is_paged_oldest_first(us: PromptUser) -> None:
    prompt = await us.prompt()
    made = [(await us.version(prompt["id"]))["id"] for _ in range(3)]
    found = await listed(us, promptId=prompt["id"], page_size=2)
    assert ([item["id"] for item in found["items"]], found["total"], found["total_pages"]) == (made[:2], 3, 2)
    with invalid("promptId: is required"):
        await listed(us)
    with not_found("prompt"):
        await listed(us, promptId=str(new_id()))


async def test_a_create_answers_201_and_a_delete_204(us: PromptUser) -> None:
    prompt = await us.prompt()
    create = pb.CreatePromptVersionRequest(prompt_id=prompt["id"])
    assert await http_code(us.versions.CreatePromptVersion(create, metadata=us.metadata)) == "201"
    delete = pb.DeletePromptVersionRequest(version_id=(await us.version(prompt["id"]))["id"])
    assert await http_code(us.versions.DeletePromptVersion(delete, metadata=us.metadata)) == "204"


async def test_a_deleted_or_foreign_version_is_unknown(us: PromptUser, them: PromptUser) -> None:
    prompt = await us.prompt()
    gone, kept = [(await us.version(prompt["id"]))["id"] for _ in range(2)]
    await us.version_deleted(gone)
    assert [item["id"] for item in (await listed(us, promptId=prompt["id"]))["items"]] == [kept]
    for user, unknown in ((us, gone), (them, kept), (us, "none"), (us, str(new_id()))):
        for call in (user.version_read, user.version_changed, user.version_deleted):
            with not_found("prompt version"):
                await call(unknown)
