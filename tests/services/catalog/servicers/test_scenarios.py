"""assay.catalog.v1.ScenarioService."""

from typing import Any

import pytest

from assay.catalog.v1 import scenarios_pb2 as pb
from shared.ids import new_id
from shared.json_values import plain, struct
from tests.services.catalog.house import PUBLIC_URL, House, http_code, invalid, not_found
from tests.services.catalog.simulations import Simulations


@pytest.fixture
def b(house: House) -> Simulations:
    return Simulations(house)


async def listed(b: Simulations, **said: Any) -> pb.ListScenariosResponse:
    answer: pb.ListScenariosResponse = await b.scenarios.ListScenarios(pb.ListScenariosRequest(**said), metadata=b.metadata)
    return answer


async def test_a_script_is_made_with_its_defaults_and_read_back(b: Simulations) -> None:
    made = await b.a_scenario(name="refund", script=["Hi", "I want my money back"])
    assert (made.kind, list(made.script), made.max_turns) == (pb.ScenarioKind.script, ["Hi", "I want my money back"], 10)
    assert not any(made.HasField(field) for field in ("description", "persona", "goal", "dataset_id"))
    assert await b.scenarios.GetScenario(pb.GetScenarioRequest(scenario_id=made.id), metadata=b.metadata) == made


async def test_a_create_answers_201_with_a_message_and_a_status(b: Simulations) -> None:
    request = pb.CreateScenarioRequest(name="s", script=["Hi"])
    assert await http_code(b.scenarios.CreateScenario(request, metadata=b.metadata)) == "201"
    answer = await b.scenarios.CreateScenario(request, metadata=b.metadata)
    assert (answer.message, answer.status) == ("Scenario created successfully", "completed")


async def test_a_persona_is_any_object(b: Simulations) -> None:
    persona = {"name": "Ada", "age": 36, "likes": ["tea"], "mood": None}
    made = await b.a_scenario(kind="persona", persona=struct(persona), goal="a refund", max_turns=3, description="d")
    assert (plain(made.persona), made.goal, made.max_turns, made.description) == (persona, "a refund", 3, "d")


async def test_the_kind_is_told_by_what_is_given(b: Simulations) -> None:
    dataset_id, _ = await b.a_dataset(["Why?"])
    assert (await b.a_scenario(goal="a refund")).kind == pb.ScenarioKind.persona
    assert (await b.a_scenario(dataset_id=dataset_id)).kind == pb.ScenarioKind.dataset


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"name": ""}, "name: must not be empty"),
        ({"name": "n" * 256}, "name: must have at most 255"),
        ({"kind": 9}, "kind: must be one of script, persona, dataset"),
        ({"kind": "script"}, "script: is required"),
        ({"kind": "persona"}, "persona: is required, or a goal"),
        ({"kind": "dataset"}, "datasetId: is required"),
        ({"dataset_id": "none"}, "datasetId: must be a UUID"),
        ({"script": ["a", ""]}, "script[1]: must not be empty"),
        ({"script": ["a"] * 201}, "script: must have at most 200 entries"),
        ({"goal": "g" * 5001}, "goal: must have at most 5000"),
        ({"max_turns": 0}, "maxTurns: must be from 1 to 50"),
        ({"max_turns": 51}, "maxTurns: must be from 1 to 50"),
    ],
)
async def test_a_wrong_field_is_named(b: Simulations, said: dict[str, Any], fault: str) -> None:
    with invalid(fault):
        await b.a_scenario(**said)


async def test_an_unknown_dataset_is_not_found(b: Simulations) -> None:
    theirs, _ = await Simulations(b.house, b.house.them).a_dataset(["Why?"])
    test_set = (await b.house.a_set()).id  # of family D: it wants a scope of its own
    for unknown in (str(new_id()), theirs, test_set):
        with not_found("dataset"):
            await b.a_scenario(dataset_id=unknown)


async def test_another_workspaces_scenario_is_not_found(b: Simulations) -> None:
    theirs = await Simulations(b.house, b.house.them).a_scenario()
    for unknown in (theirs.id, "none"):
        with not_found("scenario"):
            await b.scenarios.GetScenario(pb.GetScenarioRequest(scenario_id=unknown), metadata=b.metadata)
    assert (await listed(b)).count == 0


async def test_pages_name_the_pages_beside_them(b: Simulations) -> None:
    for name in ("one", "two", "three", "other"):
        await b.a_scenario(name=name)
    first, last = await listed(b, limit=2, search="O"), await listed(b, limit=2, search="O", page=2)
    assert [item.name for item in first.results] == ["other", "two"]
    assert (first.count, first.total_pages, first.current_page, plain(first.previous)) == (3, 2, 1, None)
    assert plain(first.next) == f"{PUBLIC_URL}/simulate/scenarios/?page=2&limit=2&search=O"
    assert ([item.name for item in last.results], plain(last.next)) == (["one"], None)
    assert plain(last.previous) == f"{PUBLIC_URL}/simulate/scenarios/?page=1&limit=2&search=O"


async def test_a_page_after_the_last_is_empty_and_leads_back(b: Simulations) -> None:
    empty = await listed(b)
    assert (empty.count, empty.total_pages, plain(empty.next), plain(empty.previous)) == (0, 0, None, None)
    await b.a_scenario()
    far = await listed(b, page=9)
    assert (list(far.results), far.current_page, plain(far.previous)) == ([], 9, f"{PUBLIC_URL}/simulate/scenarios/?page=1")


@pytest.mark.parametrize("wrong", [{"page": 0}, {"limit": 0}, {"limit": 101}])
async def test_a_wrong_page_is_named(b: Simulations, wrong: dict[str, int]) -> None:
    with invalid(f"{next(iter(wrong))}: must be from 1"):
        await listed(b, **wrong)
