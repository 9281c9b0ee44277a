"""assay.catalog.v1.PromptService and PromptApplicationService."""

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from assay.catalog.v1 import prompts_pb2 as pb
from shared.ids import new_id
from tests.services.catalog.house import House, http_code, invalid, not_found
from tests.services.catalog.prompts import Json, PromptUser, shown


@pytest.fixture
def us(house: House) -> PromptUser:
    return PromptUser(house, house.us)


@pytest.fixture
def them(house: House) -> PromptUser:
    return PromptUser(house, house.them)


async def read(user: PromptUser, prompt_id: str) -> Json:
    return shown(await user.rpc.GetPrompt(pb.GetPromptRequest(prompt_id=prompt_id), metadata=user.metadata))


async def changed(user: PromptUser, prompt_id: str, **said: Any) -> Json:
    request = ParseDict({"prompt_id": prompt_id, **said}, pb.UpdatePromptRequest())
    return shown(await user.rpc.UpdatePrompt(request, metadata=user.metadata))


async def listed(user: PromptUser, **said: Any) -> Json:
    return shown(await user.rpc.ListPrompts(ParseDict(said, pb.ListPromptsRequest()), metadata=user.metadata))


async def application_read(user: PromptUser, application_id: str) -> Json:
    request = pb.GetPromptApplicationRequest(application_id=application_id)
    return shown(await user.applications.GetPromptApplication(request, metadata=user.metadata))


async def application_changed(user: PromptUser, application_id: str, **said: Any) -> Json:
    request = ParseDict({"application_id": application_id, **said}, pb.UpdatePromptApplicationRequest())
    return shown(await user.applications.UpdatePromptApplication(request, metadata=user.metadata))


async def application_deleted(user: PromptUser, application_id: str) -> None:
    request = pb.DeletePromptApplicationRequest(application_id=application_id)
    await user.applications.DeletePromptApplication(request, metadata=user.metadata)


async def applications_listed(user: PromptUser, **said: Any) -> Json:
    request = ParseDict(said, pb.ListPromptApplicationsRequest())
    return shown(await user.applications.ListPromptApplications(request, metadata=user.metadata))


async def test_a_prompt_is_made_and_read(us: PromptUser) -> None:
    project = await us.house.a_project()
    made = await us.prompt(title="t", projectId=project)
    assert set(made) == {"id", "title", "projectId", "createdAt", "updatedAt", "deletedAt"}
    assert (made["title"], made["projectId"], made["deletedAt"]) == ("t", project, None)
    assert await read(us, made["id"]) == made


async def test_a_prompt_needs_no_project(us: PromptUser) -> None:
    assert (await us.prompt(projectId=None))["projectId"] is None


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"title": ""}, "title: must not be empty"),
        ({"title": "t" * 256}, "title: must have at most 255 characters"),
        ({"title": "", "projectId": "none"}, "title: must not be empty; projectId: must be a UUID"),
    ],
)
async def test_a_wrong_field_is_named(us: PromptUser, said: Json, fault: str) -> None:
    with invalid(fault):
        await us.prompt(**said)


async def test_an_unknown_project_is_not_found(us: PromptUser, them: PromptUser) -> None:
    theirs = await us.house.a_project(them.caller)
    made = await us.prompt()
    for unknown in (theirs, str(new_id())):
        with not_found("project"):
            await us.prompt(projectId=unknown)
        with not_found("project"):
            await changed(us, made["id"], projectId=unknown)
        with not_found("project"):
            await listed(us, projectId=unknown)


async def test_an_update_leaves_what_it_does_not_name_and_clears(us: PromptUser) -> None:
    project = await us.house.a_project()
    made = await us.prompt(title="t", projectId=project)
    renamed = await changed(us, made["id"], title="u", projectId=None)
    assert (renamed["title"], renamed["projectId"]) == ("u", project)
    assert (await changed(us, made["id"], projectId=""))["projectId"] is None
    with invalid("title: must not be empty"):
        await changed(us, made["id"], title="")


async def test_a_list_is_paged_oldest_first_and_narrowed_by_project(us: PromptUser) -> None:
    project = await us.house.a_project()
    made = [(await us.prompt(title=title, projectId=project if title == "b" else None))["id"] for title in "cab"]
    found = await listed(us, page_size=2)
    assert ([item["id"] for item in found["items"]], found["total"], found["total_pages"]) == (made[:2], 3, 2)
    assert [item["id"] for item in (await listed(us, projectId=project))["items"]] == made[2:]
    assert await listed(us, page=9) == {"items": [], "total": 3, "page": 9, "page_size": 20, "total_pages": 1}


async def test_a_create_answers_201_and_a_delete_204(us: PromptUser) -> None:
    assert await http_code(us.rpc.CreatePrompt(pb.CreatePromptRequest(title="t"), metadata=us.metadata)) == "201"
    delete = pb.DeletePromptRequest(prompt_id=(await us.prompt())["id"])
    assert await http_code(us.rpc.DeletePrompt(delete, metadata=us.metadata)) == "204"


async def test_a_deleted_prompt_takes_everything_with_it(us: PromptUser) -> None:
    prompt, other = await us.prompt(), await us.prompt()
    version = await us.version(prompt["id"])
    application = await us.application(promptId=prompt["id"], promptVersionId=version["id"])
    case = await us.case(prompt["id"])
    await us.deleted(prompt["id"])
    assert [item["id"] for item in (await listed(us))["items"]] == [other["id"]]
    for call, thing, kind in (
        (lambda one: read(us, one), prompt, "prompt"),
        (us.deleted, prompt, "prompt"),
        (us.listed, prompt, "prompt"),
        (us.version, prompt, "prompt"),
        (us.version_read, version, "prompt version"),
        (lambda one: application_read(us, one), application, "prompt application"),
        (us.case_read, case, "test case"),
    ):
        with not_found(kind):
            await call(thing["id"])


async def test_the_runs_of_a_deleted_prompts_cases_go_with_it(us: PromptUser) -> None:
    prompt = await us.prompt()
    cases = {(await us.case(prompt["id"]))["id"] for _ in range(2)}
    await us.deleted(prompt["id"])
    async with us.house.database.connection() as sql:
        keys = await sql.fetch("SELECT topic, key FROM outbox ORDER BY id DESC LIMIT 2")
    assert {row["key"].rpartition(":")[2] for row in keys} == cases
    assert {row["topic"] for row in keys} == {"catalog.subject_deleted"}


async def test_another_workspace_knows_none_of_it(us: PromptUser, them: PromptUser) -> None:
    prompt = await us.prompt()
    application = await us.application(promptId=prompt["id"], promptVersionId=(await us.version(prompt["id"]))["id"])
    for unknown in (prompt["id"], str(new_id()), "none"):
        for call in (read, changed):
            with not_found("prompt"):
                await call(them, unknown)
        with not_found("prompt"):
            await them.deleted(unknown)
    for unknown in (application["id"], "none"):
        for application_call in (application_read, application_changed, application_deleted):
            with not_found("prompt application"):
                await application_call(them, unknown)
    assert (await listed(them))["total"] == 0
    assert (await applications_listed(them))["total"] == 0


async def test_an_application_is_made_changed_and_deleted(us: PromptUser) -> None:
    prompt = await us.prompt()
    one, two = [(await us.version(prompt["id"]))["id"] for _ in range(2)]
    made = await us.application(promptId=prompt["id"], promptVersionId=one)
    assert set(made) == {"id", "promptId", "promptVersionId", "title", "createdAt", "updatedAt"}
    assert await application_read(us, made["id"]) == made
    moved = await application_changed(us, made["id"], promptVersionId=two)
    assert (moved["title"], moved["promptVersionId"]) == ("a", two)
    assert (await application_changed(us, made["id"], title="b"))["promptVersionId"] == two
    await application_deleted(us, made["id"])
    with not_found("prompt application"):
        await application_read(us, made["id"])


async def test_an_application_names_a_version_of_its_prompt(us: PromptUser) -> None:
    prompt, other = await us.prompt(), await us.prompt()
    version, foreign = (await us.version(prompt["id"]))["id"], (await us.version(other["id"]))["id"]
    made = await us.application(promptId=prompt["id"], promptVersionId=version)
    with invalid("promptVersionId: must be a version of the same prompt"):
        await us.application(promptId=prompt["id"], promptVersionId=foreign)
    with invalid("promptVersionId: must be a version of the same prompt"):
        await application_changed(us, made["id"], promptVersionId=foreign)
    with not_found("prompt version"):
        await us.application(promptId=prompt["id"], promptVersionId=str(new_id()))
    with invalid("title: must not be empty; promptId: is required; promptVersionId: must be a UUID"):
        await us.application(title="", promptVersionId="x")


async def test_an_application_whose_version_was_deleted_can_be_renamed(us: PromptUser) -> None:
    prompt = await us.prompt()
    version = (await us.version(prompt["id"]))["id"]
    made = await us.application(promptId=prompt["id"], promptVersionId=version)
    await us.version_deleted(version)
    assert (await application_changed(us, made["id"], title="b"))["title"] == "b"


async def test_applications_are_listed_by_prompt(us: PromptUser) -> None:
    made = {}
    for prompt in [(await us.prompt())["id"] for _ in range(2)]:
        made[prompt] = (await us.application(promptId=prompt, promptVersionId=(await us.version(prompt))["id"]))["id"]
    assert [item["id"] for item in (await applications_listed(us))["items"]] == list(made.values())
    for prompt, application in made.items():
        assert [item["id"] for item in (await applications_listed(us, promptId=prompt))["items"]] == [application]
    with not_found("prompt"):
        await applications_listed(us, promptId=str(new_id()))
