"""What a run of an assistant test executes."""

from typing import Any
from uuid import UUID

import grpc
import pytest

from assay.catalog.internal.v1 import catalog_pb2, subjects_pb2 as pb
from services.catalog.entities.workspaces import Simulator
from services.catalog.operations.defaults import Defaults
from shared.ids import new_id
from shared.json_values import plain, struct
from tests.services.catalog.assistants import Assistants
from tests.services.catalog.house import House, invalid, not_found, refused

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
RUBRIC = ({"name": "greets", "criteria": "contains: hello"}, {"name": "kind", "criteria": "Is kind."})


@pytest.fixture
def assistants(house: House) -> Assistants:
    return Assistants(house)


async def opened(assistants: Assistants, test_id: str, version_id: str = "") -> tuple[pb.Subject, catalog_pb2.Case]:
    subject, batch = await assistants.opened(test_id, version_id)
    [case] = batch.cases.cases
    return subject.subject, case


async def an_openai_connection(assistants: Assistants, **said: Any) -> str:
    made = await assistants.house.a_connection(**{"kind": "openai", "base_url": "http://llm.test/v1", "model": "small", **said})
    return made.id


async def test_a_test_is_a_conversation_with_the_main_version(assistants: Assistants) -> None:
    connection_id = await an_openai_connection(assistants)
    assistant = await assistants.made(instructions="Be kind.", connection_id=connection_id, model="large", tools=[struct(TOOL)])
    test = await assistants.a_test(destination=assistant.id, test_suite="s", rubric=RUBRIC)
    subject, _ = await opened(assistants, test.test_id)
    assert (subject.subject_id, subject.group_key, subject.target_id) == (test.test_id, "s", assistant.main_version_id)
    assert (subject.mode, subject.language, subject.HasField("simulator")) == ("conversation", "en", False)
    called = subject.target
    assert (called.connection_id, called.kind, called.model, called.statement) == (connection_id, "openai", "large", "Be kind.")
    assert plain(called.parameters) == {"tools": [TOOL]}


async def test_each_criterion_is_an_evaluator(assistants: Assistants) -> None:
    subject, _ = await opened(assistants, (await assistants.a_test(rubric=RUBRIC)).test_id)
    assert [(one.name, one.template, plain(one.config)) for one in subject.evaluators] == [
        ("greets", "rubric_criterion", {"criteria": "contains: hello"}),
        ("kind", "rubric_criterion", {"criteria": "Is kind."}),
    ]


async def test_without_a_model_the_user_says_line_after_line(assistants: Assistants) -> None:
    test = await assistants.a_test(instructions="\nHello\n\nGoodbye\n", max_duration_seconds=9)
    subject, case = await opened(assistants, test.test_id)
    said = case.simulation
    assert (case.id, case.question, list(said.script)) == (test.test_id, "Hello", ["Hello", "Goodbye"])
    assert (said.max_turns, said.max_duration_seconds, said.instructions) == (2, 9, "\nHello\n\nGoodbye\n")
    assert (plain(case.content), plain(subject.target.parameters), subject.group_key) == ({"tools": []}, {}, "")


async def test_a_simulator_plays_the_user(assistants: Assistants) -> None:
    test = await assistants.a_test(instructions="Hello\nGoodbye")
    house = assistants.house
    defaults = Defaults(house.database, house.rooms.credentials.now)
    simulator = (await house.a_connection(kind="openai", base_url="http://llm.test/v1", model="small")).id
    for model, plays in ((None, "small"), ("large", "large")):
        await defaults.set_simulator(house.us.workspace, Simulator(UUID(simulator), model))
        subject, case = await opened(assistants, test.test_id)
        assert (subject.simulator.connection_id, subject.simulator.model, case.simulation.max_turns) == (simulator, plays, 10)
    await defaults.set_simulator(house.us.workspace, Simulator())
    assert not (await opened(assistants, test.test_id))[0].HasField("simulator")


async def test_a_version_can_be_named(assistants: Assistants) -> None:
    assistant = await assistants.made(instructions="old")
    test = await assistants.a_test(destination=assistant.id)
    version = await assistants.a_version(assistant.id, instructions="new")
    for version_id, statement in ((version.version_id, "new"), ("", "old"), (assistant.main_version_id, "old")):
        subject, _ = await opened(assistants, test.test_id, version_id)
        assert subject.target.statement == statement


async def test_a_model_that_the_default_connection_lacks_is_not_asked_for(assistants: Assistants) -> None:
    assistant = await assistants.made(model="gpt-large")
    subject, _ = await opened(assistants, (await assistants.a_test(destination=assistant.id)).test_id)
    assert (subject.target.kind, subject.target.model) == ("builtin", "echo")


async def test_an_unknown_version_is_wrong(assistants: Assistants) -> None:
    test, other = await assistants.a_test(), await assistants.made()
    theirs = await assistants.made(assistants.house.them)
    for version_id in (str(new_id()), "none", other.main_version_id, theirs.main_version_id):
        with invalid("destination_version_id: must be the id of a version of the test's assistant"):
            await assistants.opened(test.test_id, version_id)


async def test_a_test_whose_assistant_was_deleted_is_refused(assistants: Assistants) -> None:
    test = await assistants.a_test()
    main = (await assistants.read(test.destination)).main_version_id
    await assistants.deleted(test.destination)
    for version_id in ("", main):
        with invalid("destination: the assistant was deleted"):
            await assistants.opened(test.test_id, version_id)


async def test_an_unknown_test_is_not_found(assistants: Assistants) -> None:
    theirs = await assistants.a_test(assistants.house.them)
    for test_id in (theirs.test_id, str(new_id()), "none", ""):
        with not_found("assistant test"):
            await assistants.opened(test_id)


async def check(assistants: Assistants, family: str, subject_id: str) -> None:
    request = pb.CheckSubjectRequest(family=family, subject_id=subject_id)
    await assistants.subjects.CheckSubject(request, metadata=assistants.house.as_service())


async def test_tests_and_suites_are_checked(assistants: Assistants) -> None:
    test = await assistants.a_test(test_suite="s")
    theirs = await assistants.a_test(assistants.house.them, test_suite="theirs")
    await check(assistants, "assistant_test", test.test_id)
    await check(assistants, "suite", "s")
    with not_found("assistant test"):
        await check(assistants, "assistant_test", theirs.test_id)
    with not_found("test suite"):
        await check(assistants, "suite", "theirs")
    with invalid("family"):
        await assistants.opened("s", family="suite")


async def test_a_suite_is_its_tests_in_order_of_creation(assistants: Assistants) -> None:
    made = [(await assistants.a_test(test_suite=suite)).test_id for suite in ("s", "other", "s")]
    request = pb.ReadSuiteRequest(suite="s")
    answer = await assistants.subjects.ReadSuite(request, metadata=assistants.house.as_service())
    assert list(answer.test_ids) == [made[0], made[2]]
    with not_found("test suite"):
        await assistants.subjects.ReadSuite(pb.ReadSuiteRequest(suite="none"), metadata=assistants.house.as_service())


async def test_users_do_not_get_in(assistants: Assistants) -> None:
    with refused(grpc.StatusCode.UNAUTHENTICATED):
        await assistants.subjects.ReadSuite(pb.ReadSuiteRequest(suite="s"), metadata=assistants.us)
