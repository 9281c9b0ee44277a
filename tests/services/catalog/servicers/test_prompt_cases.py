"""assay.catalog.v1.PromptTestCaseService."""

from typing import Any

import grpc
import pytest

from assay.catalog.v1 import prompt_test_cases_pb2 as pb
from shared.ids import new_id
from shared.json_values import plain, value
from tests.services.catalog.house import House, http_code, invalid, not_found, refused
from tests.services.catalog.prompts import Json, PromptUser

KEYS = {
    "id", "title", "messages", "variables", "variablesRichContent", "files", "promptId", "expectedOutput", "answers",
    "promptApplicationId", "metadata", "createdAt", "updatedAt", "deletedAt",
}  # fmt: skip
GENERATION_KEYS = {
    "id", "testCaseId", "promptVersionId", "status", "output", "error", "latencyMs", "usage", "createdAt", "completedAt",
}  # fmt: skip
VERSION = "0190a1b2-0000-7000-8000-000000000000"


@pytest.fixture
def us(house: House) -> PromptUser:
    return PromptUser(house, house.us)


@pytest.fixture
def them(house: House) -> PromptUser:
    return PromptUser(house, house.them)


async def test_what_is_not_said_is_null_and_every_key_is_there(us: PromptUser) -> None:
    prompt = await us.prompt()
    made = await us.case(prompt["id"])
    assert set(made) == KEYS
    assert {key for key, found in made.items() if found is None} == KEYS - {"id", "title", "promptId", "createdAt", "updatedAt"}
    assert made["promptId"] == prompt["id"]


async def test_a_case_is_made_read_and_listed_alike(us: PromptUser) -> None:
    prompt = await us.prompt()
    version = await us.version(prompt["id"])
    application = await us.application(promptId=prompt["id"], promptVersionId=version["id"])
    said: Json = {
        "title": "t",
        "messages": [{"role": "user", "content": "Hi"}],
        "variables": {"name": "Ada", "n": 3, "x": 0.5, "list": [1, None]},
        "variablesRichContent": {"name": {"type": "doc", "content": []}},
        "files": [{"index": 1, "name": "f", "mimeType": "image/png", "vaultUrl": "v", "variableName": "n", "url": "https://f.test"}],
        "expectedOutput": "Hello",
        "answers": {"good": [{"promptVersionId": version["id"], "output": "o", "evals": [{"a": 1}]}], "bad": []},
        "promptApplicationId": application["id"],
        "metadata": {"source": "playground", "by": "me"},
    }
    made = await us.case(prompt["id"], **said)
    assert {key: made[key] for key in said} == said
    assert plain(value(await us.case_read(made["id"]))) == made
    assert plain(value(await us.listed(prompt["id"]))) == [made]


async def test_an_array_is_answered_by_an_array_and_an_object_by_an_object(us: PromptUser) -> None:
    prompt = await us.prompt()
    many = await us.posted([{"promptId": prompt["id"], "title": title} for title in "cab"])
    one = await us.posted({"promptId": prompt["id"], "title": "d"})
    assert [case["title"] for case in many] == ["c", "a", "b"]
    assert [case["id"] for case in await us.listed(prompt["id"])] == [*(case["id"] for case in many), one["id"]]
    assert await us.posted([]) == []


async def test_an_array_is_all_or_nothing(us: PromptUser) -> None:
    prompt = await us.prompt()
    with invalid(r"[1].messages[0].role: must be one of system, user, assistant, function, developer"):
        await us.posted([{"promptId": prompt["id"]}, {"promptId": prompt["id"], "messages": [{"role": "x", "content": ""}]}])
    with not_found("prompt"):
        await us.posted([{"promptId": prompt["id"]}, {"promptId": str(new_id())}])
    assert await us.listed(prompt["id"]) == []


WRONG: list[tuple[Any, str]] = [
    ("text", "body: must be an object"),
    (None, "body: must be an object"),
    ([1], "[0]: must be an object"),
    ({"promptId": "none"}, "promptId: must be a UUID"),
    ({}, "promptId: is required"),
    ({"promptId": ""}, "promptId: is required"),
    ({"title": 1}, "title: must be a text"),
    ({"title": "t" * 256}, "title: must have at most 255 characters"),
    ([{"title": "t" * 256}], "[0].title: must have at most 255 characters"),
    ({"messages": {}}, "messages: must be an array"),
    ({"messages": ["hi"]}, "messages[0]: must be an object"),
    ({"messages": [{"role": "user"}]}, "messages[0].content: is required"),
    ({"messages": [{"role": "user", "content": ["hi"]}]}, "messages[0].content: must be a text"),
    ({"variables": []}, "variables: must be an object"),
    ({"variablesRichContent": "x"}, "variablesRichContent: must be an object"),
    ({"messages": [{"role": "user", "content": "x" * 1_000_001}]}, "messages[0].content: must have at most 1000000 characters"),
    ({"files": [{"name": ""}]}, "files[0].name: must not be empty"),
    ({"files": [{"url": "u"}]}, "files[0].name: is required"),
    ({"files": [{"name": "n", "index": 0.5}]}, "files[0].index: must be a whole number"),
    ({"files": [{"name": "n", "index": -1}]}, "files[0].index: must be a whole number"),
    ({"files": [{"name": "n", "index": 2**31}]}, "files[0].index: must be a whole number"),
    ({"files": [{"name": "n", "index": True}]}, "files[0].index: must be a whole number"),
    ({"expectedOutput": 5}, "expectedOutput: must be a text"),
    ({"answers": []}, "answers: must be an object"),
    ({"answers": {"good": [{"output": "o"}]}}, "answers.good[0].promptVersionId: is required"),
    ({"answers": {"bad": [{"promptVersionId": "x"}]}}, "answers.bad[0].promptVersionId: must be a UUID"),
    ({"answers": {"bad": [{"promptVersionId": VERSION, "evals": [1]}]}}, "answers.bad[0].evals: must be an array of objects"),
    ({"promptApplicationId": "x"}, "promptApplicationId: must be a UUID"),
    ({"metadata": "x"}, "metadata: must be an object"),
]


@pytest.mark.parametrize(("body", "fault"), WRONG, ids=range(len(WRONG)))
async def test_a_wrong_field_is_named(us: PromptUser, body: Any, fault: str) -> None:
    known = (await us.prompt())["id"]
    if isinstance(body, dict) and body and "promptId" not in body:
        body = {"promptId": known, **body}
    if isinstance(body, list) and isinstance(body[0], dict):
        body = [{"promptId": known, **body[0]}]
    with invalid(fault):
        await us.posted(body)


async def test_every_fault_is_named_at_once(us: PromptUser) -> None:
    with invalid("promptId: is required; variables: must be an object; metadata: must be an object"):
        await us.posted({"variables": 1, "metadata": 2})


TITLES = [
    ({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why  is\nthis?"}]}, "Why is this?"),
    ({"messages": [{"role": "system", "content": "Be brief."}]}, "Be brief."),
    ({"messages": [{"role": "user", "content": " "}], "variables": {"n": 1, "q": "What?"}}, "What?"),
    ({"messages": [{"role": "user", "content": "word " * 30}]}, "word " * 11 + "word…"),
    ({"messages": [{"role": "user", "content": "w" * 300}]}, "w" * 59 + "…"),
    ({"title": ""}, "Test case"),
]


@pytest.mark.parametrize(("said", "title"), TITLES)
async def test_a_case_without_a_title_has_the_first_words(us: PromptUser, said: Json, title: str) -> None:
    assert (await us.case((await us.prompt())["id"], **said))["title"] == title


async def test_metadata_tells_a_source(us: PromptUser) -> None:
    prompt = await us.prompt()
    assert (await us.case(prompt["id"], metadata={"a": 1}))["metadata"] == {"a": 1, "source": "api"}


async def test_what_a_file_or_an_answer_leaves_out_is_there(us: PromptUser) -> None:
    made = await us.case((await us.prompt())["id"], files=[{"name": "a"}, {"name": "b"}], answers={"bad": [{"promptVersionId": VERSION}]})
    nothing = {"mimeType": None, "vaultUrl": None, "variableName": None, "url": None}
    assert made["files"] == [{"index": 0, "name": "a", **nothing}, {"index": 1, "name": "b", **nothing}]
    assert made["answers"] == {"good": [], "bad": [{"promptVersionId": VERSION, "output": None, "evals": []}]}


async def test_a_number_that_no_integer_holds_stays_one(us: PromptUser) -> None:
    made = await us.case((await us.prompt())["id"], variables={"n": 1e300})
    assert (await us.case_read(made["id"]))["variables"] == {"n": 1e300}


async def test_an_application_is_one_of_the_same_prompt(us: PromptUser, them: PromptUser) -> None:
    prompt, other = await us.prompt(), await us.prompt()
    of_other = await us.application(promptId=other["id"], promptVersionId=(await us.version(other["id"]))["id"])
    foreign = await them.prompt()
    theirs = await them.application(promptId=foreign["id"], promptVersionId=(await them.version(foreign["id"]))["id"])
    with invalid("promptApplicationId: must be an application of the same prompt"):
        await us.case(prompt["id"], promptApplicationId=of_other["id"])
    with not_found("prompt application"):
        await us.case(prompt["id"], promptApplicationId=theirs["id"])
    made = await us.case(prompt["id"])
    with not_found("prompt application"):
        await us.case_changed(made["id"], promptApplicationId=str(new_id()))


async def test_an_update_leaves_what_it_does_not_name(us: PromptUser) -> None:
    made = await us.case((await us.prompt())["id"], title="t", variables={"a": 1}, expectedOutput="e", metadata={"source": "s"})
    changed = await us.case_changed(made["id"], title="u", variables=None, expectedOutput=None)
    assert {**changed, "updatedAt": made["updatedAt"]} == {**made, "title": "u"}


async def test_an_update_empties(us: PromptUser) -> None:
    made = await us.case(
        (await us.prompt())["id"],
        messages=[{"role": "user", "content": "a"}],
        variables={"a": 1},
        files=[{"name": "f"}],
        expectedOutput="e",
    )
    changed = await us.case_changed(made["id"], messages=[], variables={}, files=[], expectedOutput="")
    assert [changed[key] for key in ("messages", "variables", "files", "expectedOutput")] == [[], {}, [], None]


async def test_an_update_is_checked_as_a_create_is(us: PromptUser) -> None:
    made = await us.case((await us.prompt())["id"])
    with invalid("messages: must be an array; metadata: must be an object"):
        await us.case_changed(made["id"], messages="x", metadata=1)
    with invalid("title: must not be empty"):
        await us.case_changed(made["id"], title="")


async def test_a_create_answers_201_and_a_delete_204(us: PromptUser) -> None:
    prompt = await us.prompt()
    request = pb.CreatePromptTestCasesRequest(test_cases=value({"promptId": prompt["id"]}))
    assert await http_code(us.cases.CreatePromptTestCases(request, metadata=us.metadata)) == "201"
    made = await us.case(prompt["id"])
    delete = pb.DeletePromptTestCaseRequest(test_case_id=made["id"])
    assert await http_code(us.cases.DeletePromptTestCase(delete, metadata=us.metadata)) == "204"


async def test_a_create_is_answered_again_by_its_key(us: PromptUser) -> None:
    prompt = await us.prompt()
    request = pb.CreatePromptTestCasesRequest(test_cases=value([{"promptId": prompt["id"]}]))
    first, again = [await us.cases.CreatePromptTestCases(request, metadata=us.caller.with_key("k")) for _ in range(2)]
    assert plain(first) == plain(again)
    assert len(await us.listed(prompt["id"])) == 1


async def test_a_deleted_case_is_unknown_and_its_runs_are_forgotten(us: PromptUser) -> None:
    prompt = await us.prompt()
    gone, kept = await us.case(prompt["id"]), await us.case(prompt["id"])
    await us.case_deleted(gone["id"])
    assert [case["id"] for case in await us.listed(prompt["id"])] == [kept["id"]]
    assert (us.house.forgetful.runner, us.house.forgetful.reporting) == ([gone["id"]], [gone["id"]])
    for call in (us.case_read, us.case_changed, us.case_deleted):
        with not_found("test case"):
            await call(gone["id"])


async def test_another_workspace_knows_none_of_it(us: PromptUser, them: PromptUser) -> None:
    prompt = await us.prompt()
    made = await us.case(prompt["id"])
    for unknown in (made["id"], str(new_id()), "none"):
        for call in (them.case_read, them.case_changed, them.case_deleted):
            with not_found("test case"):
                await call(unknown)
    with not_found("prompt"):
        await them.listed(prompt["id"])
    with not_found("prompt"):
        await them.case(prompt["id"])


async def test_a_list_needs_its_prompt(us: PromptUser) -> None:
    for prompt_id, fault in (("", "is required"), ("none", "must be a UUID")):
        with invalid(f"promptId: {fault}"):
            await us.listed(prompt_id)
    with not_found("prompt"):
        await us.listed(str(new_id()))
    with invalid(r"promptVersionIds[1]: must be a UUID"):
        await us.listed(str(new_id()), VERSION, "none")


async def test_a_list_is_longer_than_a_batch(us: PromptUser) -> None:
    prompt = await us.prompt()
    made = await us.posted([{"promptId": prompt["id"]} for _ in range(1001)])
    assert [case["id"] for case in await us.listed(prompt["id"])] == [case["id"] for case in made]


async def test_generations_are_told_when_asked_for(us: PromptUser) -> None:
    prompt = await us.prompt()
    version = await us.version(prompt["id"])
    done, untouched = await us.case(prompt["id"]), await us.case(prompt["id"])
    us.generated(done["id"], version["id"], id="1")
    us.generated(
        done["id"],
        version["id"],
        id="2",
        status="succeeded",
        output="",
        latencyMs=7,
        usage={"total_tokens": 3},
        completedAt="2026-01-01T00:00:01Z",
    )
    assert "generations" not in (await us.listed(prompt["id"]))[0]
    with_them = {case["id"]: case["generations"] for case in await us.listed(prompt["id"], generations=True)}
    assert with_them[untouched["id"]] == []
    running, succeeded = with_them[done["id"]]
    assert set(running) == GENERATION_KEYS
    assert [running[key] for key in ("output", "error", "latencyMs", "usage", "completedAt")] == [None] * 5
    assert (succeeded["output"], succeeded["latencyMs"], succeeded["usage"]) == ("", 7, {"total_tokens": 3})
    assert (succeeded["createdAt"], succeeded["completedAt"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z")


async def test_versions_keep_the_cases_that_have_something_of_them(us: PromptUser) -> None:
    prompt = await us.prompt()
    one, two = [(await us.version(prompt["id"]))["id"] for _ in range(2)]
    generated, answered, neither = [await us.case(prompt["id"], title=title) for title in ("generated", "answered", "neither")]
    await us.case_changed(answered["id"], answers={"good": [], "bad": [{"promptVersionId": one}]})
    us.generated(generated["id"], one, id="of one")
    us.generated(generated["id"], two, id="of two")
    us.generated(neither["id"], two, id="of two")

    async def kept(*versions: str) -> dict[str, list[str]]:
        found = await us.listed(prompt["id"], *versions, generations=True)
        return {case["title"]: [generation["id"] for generation in case["generations"]] for case in found}

    assert await kept(one) == {"generated": ["of one"], "answered": []}
    assert await kept(two) == {"generated": ["of two"], "neither": ["of two"]}
    assert await kept(one, two) == {"generated": ["of one", "of two"], "answered": [], "neither": ["of two"]}
    assert await kept(str(new_id())) == {}
    assert [set(case) for case in await us.listed(prompt["id"], one)] == [KEYS, KEYS]


async def test_a_list_without_generations_needs_nobody_else(us: PromptUser) -> None:
    prompt = await us.prompt()
    await us.case(prompt["id"])
    us.house.forgetful.fails = True
    assert len(await us.listed(prompt["id"])) == 1
    with refused(grpc.StatusCode.UNAVAILABLE):
        await us.listed(prompt["id"], generations=True)
