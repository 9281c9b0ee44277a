"""What a simulated user says, and who it is."""

from typing import Any

import pytest

from services.catalog.entities.scenarios import Outline, kind_of


def a_persona(**said: Any) -> Outline:
    return Outline(**{"name": "n", "kind": "persona", **said})


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        ({"script": ("a", "b"), "goal": "g", "persona": {"opening": "o"}}, ["a", "b"]),
        ({"goal": "g", "persona": {"opening": "o"}}, ["o"]),
        ({"goal": "g", "persona": {"first_message": "f", "opening": ""}}, ["f"]),
        ({"goal": "g", "persona": {"opening": 3}}, ["g"]),
        ({"persona": {"name": "Ada", "age": 36}}, ["name: Ada, age: 36"]),
    ],
)
def test_there_is_always_something_to_say(said: dict[str, Any], lines: list[str]) -> None:
    assert a_persona(**said).lines() == lines


def test_the_model_is_told_who_it_plays_and_what_that_one_wants() -> None:
    told = a_persona(persona={"name": "Ada", "likes": ["tea"]}, goal="a refund").instructions()
    assert told == 'name: Ada\nlikes: ["tea"]\nWhat you want: a refund'


def test_a_script_is_read_out_in_any_case() -> None:
    assert Outline("n", "script", script=("a",), persona={"name": "Ada"}, goal="g").instructions() == ""
    assert Outline("n", "dataset").instructions() == ""


@pytest.mark.parametrize(("dataset", "persona", "kind"), [(True, True, "dataset"), (False, True, "persona"), (False, False, "script")])
def test_a_kind_is_told_by_what_there_is(*, dataset: bool, persona: bool, kind: str) -> None:
    assert kind_of(has_dataset=dataset, has_persona=persona) == kind


@pytest.mark.parametrize("said", [{"goal": "g"}, {"persona": {"name": "Ada"}}, {"goal": "g", "max_turns": 50}])
def test_a_persona_needs_itself_or_a_goal(said: dict[str, Any]) -> None:
    assert a_persona(**said).faults() == {}
    assert a_persona().faults() == {"persona": "is required, or a goal"}
