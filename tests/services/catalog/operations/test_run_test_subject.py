"""What an execution of a run test executes."""

import pytest

from assay.catalog.internal.v1 import subjects_pb2
from assay.catalog.v1 import agent_definitions_pb2 as agents_pb
from services.catalog.entities.workspaces import Simulator
from services.catalog.operations.defaults import Defaults
from shared.ids import canonical_id, new_id
from shared.json_values import plain, struct
from tests.services.catalog.house import House, invalid, not_found
from tests.services.catalog.simulations import POLITE, Simulations

TOOL = {"type": "function", "function": {"name": "refund", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def b(house: House) -> Simulations:
    return Simulations(house)


async def a_clerk(b: Simulations) -> agents_pb.AgentDefinition:
    return await b.an_agent(instructions="Help.", tools=[struct(TOOL)], language="de")


async def has_a_simulator(b: Simulations) -> str:
    """A model that plays the user in our workspace: its connection's id."""
    connection = await b.house.a_connection(kind="openai", base_url="http://127.0.0.1:9/v1", model="player")
    simulator = Simulator(canonical_id(connection.id), "actor")
    await Defaults(b.house.database, b.house.rooms.credentials.now).set_simulator(b.caller.workspace, simulator)
    return connection.id


async def test_a_run_test_is_opened_with_what_it_is(b: Simulations) -> None:
    agent, scenario = await a_clerk(b), await b.a_scenario(name="greeting", script=["Hi", "Bye"])
    run_test = await b.a_run_test(name="smoke", agent_definition_id=agent.id, scenario_ids=[scenario.id])
    subject, [case] = await b.opened(run_test.id)
    assert (subject.subject_id, subject.group_key, subject.target_id) == (run_test.id, "", agent.active_version)
    assert (subject.mode, subject.language) == ("conversation", "de")
    assert (subject.target.connection_id, subject.target.statement) == (agent.connection_id, "Help.")
    assert plain(subject.target.parameters) == {"tools": [TOOL]}
    assert plain(subject.details) == {"name": "smoke", "scenario_ids": [scenario.id], "scenario_count": 1}
    assert not subject.HasField("simulator")
    assert (case.id, case.question, case.expected) == (scenario.id, "Hi", "")
    assert (list(case.simulation.script), case.simulation.instructions, case.simulation.max_turns) == (["Hi", "Bye"], "", 2)
    assert plain(case.content) == {"tools": [TOOL], "scenario_id": scenario.id, "scenario_name": "greeting"}


async def test_a_script_ends_at_the_turns_that_it_may_take(b: Simulations) -> None:
    scenario = await b.a_scenario(script=["1", "2", "3"], max_turns=2)
    _, [case] = await b.opened((await b.a_run_test(scenario_ids=[scenario.id])).id)
    assert case.simulation.max_turns == 2


async def test_a_persona_is_played_where_there_is_a_model(b: Simulations) -> None:
    persona = struct({"name": "Ada", "likes": ["tea"]})
    scenario = await b.a_scenario(kind="persona", persona=persona, goal="a refund", max_turns=7)
    run_test = await b.a_run_test(scenario_ids=[scenario.id])
    _, [case] = await b.opened(run_test.id)
    assert (list(case.simulation.script), case.simulation.goal, case.simulation.max_turns) == (["a refund"], "a refund", 1)
    connection_id = await has_a_simulator(b)
    subject, [case] = await b.opened(run_test.id)
    assert (subject.simulator.connection_id, subject.simulator.model) == (connection_id, "actor")
    assert case.simulation.instructions == 'name: Ada\nlikes: ["tea"]\nWhat you want: a refund'
    assert case.simulation.max_turns == 7


async def test_each_row_of_a_dataset_is_a_conversation(b: Simulations) -> None:
    calls = [{"name": "refund"}]
    dataset_id, rows = await b.a_dataset(["Why?", "How?"], {"metadata": {"level": 1, "expected_tool_calls": calls}})
    scenario, script = await b.a_scenario(name="rows", dataset_id=dataset_id), await b.a_scenario()
    run_test = await b.a_run_test(scenario_ids=[scenario.id, script.id])
    _, cases = await b.opened(run_test.id)
    assert [(case.question, list(case.simulation.script), case.expected) for case in cases] == [
        ("Why?", ["Why?"], "fine"),
        ("How?", ["How?"], "fine"),
        ("Hello", ["Hello"], ""),
    ]
    told = plain(cases[0].content)
    assert (told["dataset_row_id"], told["metadata"]["level"], told["expected_tool_calls"]) == (rows[0], 1, calls)
    assert [case.id for case in (await b.opened(run_test.id))[1]] == [case.id for case in cases]


async def test_only_the_rows_that_are_named_are_executed(b: Simulations) -> None:
    dataset_id, rows = await b.a_dataset([str(number) for number in range(450)])
    one, two = [await b.a_scenario(dataset_id=dataset_id) for _ in range(2)]
    everything = await b.a_run_test(scenario_ids=[one.id])
    assert [case.question for case in (await b.opened(everything.id))[1]] == [str(number) for number in range(450)]
    some = await b.a_run_test(scenario_ids=[one.id, two.id], dataset_row_ids=[rows[449], rows[3]])
    _, cases = await b.opened(some.id)
    assert [case.question for case in cases] == ["3", "449", "3", "449"]
    assert len({case.id for case in cases}) == 4


async def test_the_first_words_of_a_row_are_told_to_the_model_that_plays(b: Simulations) -> None:
    dataset_id, _ = await b.a_dataset(["Why?"])
    scenario = await b.a_scenario(dataset_id=dataset_id, goal="an answer")
    _, [case] = await b.opened((await b.a_run_test(scenario_ids=[scenario.id])).id)
    assert case.simulation.instructions == "What you want: an answer\nWhat you say first: Why?"


async def test_a_deleted_dataset_cannot_be_executed(b: Simulations) -> None:
    dataset_id, _ = await b.a_dataset(["Why?"])
    scenario = await b.a_scenario(name="rows", dataset_id=dataset_id)
    run_test = await b.a_run_test(scenario_ids=[scenario.id])
    async with b.house.database.transaction() as sql:
        await sql.execute("DELETE FROM test_sets WHERE id = $1", canonical_id(dataset_id))
    with invalid("scenario_ids: the dataset was deleted of: rows"):
        await b.opened(run_test.id)


async def test_some_scenarios_may_be_chosen_and_others_are_all_named(b: Simulations) -> None:
    one, two, other = [await b.a_scenario(name=name) for name in ("one", "two", "other")]
    run_test = await b.a_run_test(scenario_ids=[one.id, two.id])
    subject, [case] = await b.opened(run_test.id, scenario_ids=[two.id])
    assert (case.id, plain(subject.details)["scenario_ids"]) == (two.id, [two.id])
    with invalid(f"scenario_ids: not of this run test: {other.id}, none"):
        await b.opened(run_test.id, scenario_ids=[one.id, other.id, "none"])


async def test_in_chat_mode_the_agent_is_the_clients(b: Simulations) -> None:
    await has_a_simulator(b)
    subject, [_] = await b.opened((await b.a_run_test()).id, client_driven=True)
    assert (subject.HasField("target"), subject.HasField("simulator")) == (False, True)


async def test_conversations_are_judged_by_the_evaluations_and_by_their_tool_calls(b: Simulations) -> None:
    config = {**POLITE, "error_localizer": True, "config": {"config": struct({"strict": True})}}
    run_test = await b.a_run_test(evaluations_config=[config, POLITE], enable_tool_evaluation=True)
    subject, _ = await b.opened(run_test.id)
    first, second, tools = subject.evaluators
    assert (first.name, first.id, first.template, dict(first.mapping)) == (
        "manners",
        run_test.evaluations[0].id,
        "is_polite",
        {"output": "transcript"},
    )
    assert (plain(first.config), first.passing_score, first.error_localizer) == ({"strict": True}, 0.5, True)
    assert (second.name, tools.name, tools.template) == ("manners (2)", "tool_evaluation", "tool_call_accuracy")


async def test_what_is_unknown_is_not_found(b: Simulations) -> None:
    theirs = await Simulations(b.house, b.house.them).a_run_test()
    for unknown in (theirs.id, str(new_id()), "none"):
        with not_found("run test"):
            await b.opened(unknown)
        request = subjects_pb2.CheckSubjectRequest(family="run_test", subject_id=unknown)
        with not_found("run test"):
            await b.subjects.CheckSubject(request, metadata=b.house.as_service())
    ours = await b.a_run_test()
    await b.subjects.CheckSubject(subjects_pb2.CheckSubjectRequest(family="run_test", subject_id=ours.id), metadata=b.house.as_service())
    with not_found("assistant version"):
        await b.opened(ours.id, version_id=str(new_id()))
