"""What a generation executes."""

import pytest

from assay.catalog.v1 import connections_pb2
from shared.ids import new_id
from shared.json_values import plain
from tests.services.catalog.house import House, invalid, not_found
from tests.services.catalog.prompts import PromptUser

MESSAGES = [{"role": "system", "content": "You are {{role}}."}, {"role": "user", "content": "{{question}}"}]
VARIABLES = {"role": "a poet", "question": "Why?"}


@pytest.fixture
def us(house: House) -> PromptUser:
    return PromptUser(house, house.us)


async def test_a_version_is_filled_from_the_case(us: PromptUser) -> None:
    prompt, connection = await us.prompt(), await us.house.a_connection()
    configuration = {"connectionId": connection.id, "model": "answerer-good", "temperature": 0.5}
    version = await us.version(prompt["id"], messages=MESSAGES, configuration=configuration)
    own = [{"role": "assistant", "content": "{{kept}}"}, {"role": "function", "content": "42"}]
    case = await us.case(prompt["id"], variables=VARIABLES, messages=own, expectedOutput="Because.")
    subject, executed = await us.opened(case["id"], version["id"])
    assert [(message.role, message.content) for message in executed.messages] == [
        ("system", "You are a poet."),
        ("user", "Why?"),
        ("assistant", "{{kept}}"),
        ("tool", "42"),
    ]
    assert (executed.id, executed.question, executed.expected) == (case["id"], "Why?", "Because.")
    assert plain(executed.content) == {"variables": VARIABLES}
    assert (subject.subject_id, subject.group_key, subject.target_id) == (case["id"], prompt["id"], version["id"])
    assert (subject.mode, list(subject.evaluators), subject.HasField("simulator")) == ("independent", [], False)
    assert plain(subject.details) == {"prompt_id": prompt["id"], "prompt_version_id": version["id"]}
    target = subject.target
    assert (target.connection_id, target.model, target.statement) == (connection.id, "answerer-good", "")
    assert plain(target.parameters) == {"temperature": 0.5}


async def test_files_go_with_the_content(us: PromptUser) -> None:
    prompt = await us.prompt()
    version = await us.version(prompt["id"], messages=MESSAGES[1:])
    case = await us.case(prompt["id"], variables=VARIABLES, files=[{"name": "f", "url": "https://f.test"}])
    _, executed = await us.opened(case["id"], version["id"])
    assert plain(executed.content)["files"] == case["files"]


async def test_without_a_connection_it_is_the_workspaces_default(us: PromptUser) -> None:
    prompt = await us.prompt()
    version = await us.version(prompt["id"], messages=MESSAGES, configuration={"model": "gpt"})
    case = await us.case(prompt["id"], variables=VARIABLES)
    first, _ = await us.opened(case["id"], version["id"])
    again, _ = await us.opened(case["id"], version["id"])
    assert (first.target.kind, first.target.model) == ("builtin", "echo")
    assert first.target.connection_id == again.target.connection_id


async def test_without_a_version_it_is_the_promoted_one(us: PromptUser) -> None:
    prompt = await us.prompt()
    version = await us.version(prompt["id"], messages=MESSAGES)
    case = await us.case(prompt["id"], variables=VARIABLES)
    with invalid("promptVersionId: is required"):
        await us.opened(case["id"])
    await us.version_changed(version["id"], promoted=True)
    subject, _ = await us.opened(case["id"])
    assert subject.target_id == version["id"]


async def test_a_required_variable_without_a_value_is_named(us: PromptUser) -> None:
    prompt = await us.prompt()
    version = await us.version(prompt["id"], messages=MESSAGES)
    case = await us.case(prompt["id"], variables={"role": None})
    with invalid("variables.role: is required by the version of the prompt; variables.question: is required"):
        await us.opened(case["id"], version["id"])


async def test_a_case_needs_something_to_send(us: PromptUser) -> None:
    prompt = await us.prompt()
    version, case = await us.version(prompt["id"]), await us.case(prompt["id"])
    with invalid("messages: neither the version of the prompt nor the test case has any"):
        await us.opened(case["id"], version["id"])


async def test_the_version_is_one_of_the_cases_prompt(us: PromptUser) -> None:
    prompt = await us.prompt()
    case = await us.case(prompt["id"])
    foreign = await us.version((await us.prompt())["id"])
    with invalid("promptVersionId: must be a version of the test case's prompt"):
        await us.opened(case["id"], foreign["id"])
    with invalid("promptVersionId: must be a UUID"):
        await us.opened(case["id"], "none")
    for unknown in (str(new_id()), case["id"]):
        with not_found("prompt version"):
            await us.opened(case["id"], unknown)


async def test_a_connection_that_was_deleted_is_wrong(us: PromptUser) -> None:
    prompt, connection = await us.prompt(), await us.house.a_connection()
    version = await us.version(prompt["id"], messages=MESSAGES, configuration={"connectionId": connection.id})
    case = await us.case(prompt["id"], variables=VARIABLES)
    delete = connections_pb2.DeleteConnectionRequest(connection_id=connection.id)
    await us.house.connections.DeleteConnection(delete, metadata=us.metadata)
    with invalid("configuration.connectionId: the connection was deleted"):
        await us.opened(case["id"], version["id"])


async def test_a_case_or_prompt_that_is_unknown_is_found_out(us: PromptUser) -> None:
    prompt = await us.prompt()
    case = await us.case(prompt["id"])
    await us.check("prompt", prompt["id"])
    await us.check("prompt_test_case", case["id"])
    them = PromptUser(us.house, us.house.them)
    for user, prompt_id, case_id in ((us, "none", "none"), (us, str(new_id()), str(new_id())), (them, prompt["id"], case["id"])):
        with not_found("prompt"):
            await user.check("prompt", prompt_id)
        with not_found("test case"):
            await user.check("prompt_test_case", case_id)
        with not_found("test case"):
            await user.opened(case_id)


async def test_a_deleted_case_or_prompt_is_unknown(us: PromptUser) -> None:
    prompt = await us.prompt()
    version = await us.version(prompt["id"], messages=MESSAGES)
    gone, left = [await us.case(prompt["id"], variables=VARIABLES) for _ in range(2)]
    await us.case_deleted(gone["id"])
    with not_found("test case"):
        await us.opened(gone["id"], version["id"])
    await us.deleted(prompt["id"])
    with not_found("test case"):
        await us.opened(left["id"], version["id"])
    with not_found("prompt"):
        await us.check("prompt", prompt["id"])
