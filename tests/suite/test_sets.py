"""Test sets: list, create, read, change, delete."""

from itertools import product

import pytest

from tests.suite.builders import CONTEXTS, RUNS, SETS, UNKNOWN, Builders, Json, made
from tests.suite.client import Client
from tests.suite.contract import TEST_SET, conform, page, refused
from tests.suite.lists import pages_add_up, pages_are_bounded, sorted_as_the_contract_says

NAMES = ("beta", "Alpha", "alpha", "GAMMA", "delta", "Beta")


@pytest.fixture(scope="module")
def context(build: Builders) -> Json:
    """With sets of all kinds: run or not, with as many cases or more, names that differ by case alone."""
    context = build.context()
    pairs = [("a", "a"), ("b", "not b")]
    sets = [build.a_set_of(*pairs[: number % 3], context=context, name=name) for number, name in enumerate(NAMES)]
    for test_set in (sets[4], sets[1], sets[2]):
        build.finished(test_set)
    return context


@pytest.fixture(scope="module")
def sets(client: Client, context: Json) -> list[Json]:
    """The context's sets in order of creation."""
    items = made(client.get(SETS, {"context_id": context["id"], "page_size": 100}), 200)["items"]
    return sorted(items, key=lambda item: str(item["id"]))


@pytest.mark.parametrize(
    ("by", "order"), [*product(("name", "test_case_count", "last_run_at", "last_run_pass_rate"), ("asc", "desc")), (None, None)]
)
def test_sets_are_listed_in_any_order(client: Client, context: Json, sets: list[Json], by: str | None, order: str | None) -> None:
    listed = pages_add_up(client, SETS, TEST_SET, {"context_id": context["id"], "sort_by": by, "sort_order": order})
    assert [item["name"] for item in listed] == [
        item["name"] for item in sorted_as_the_contract_says(sets, by or "last_run_at", order or "desc")
    ]
    assert sum("last_run_at" in item for item in listed) == 3


def test_a_list_of_sets_is_bounded(client: Client, context: Json) -> None:
    pages_are_bounded(client, SETS, {"context_id": context["id"]})


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ALPHA", ["Alpha", "alpha"]),
        ("et", ["beta", "Beta"]),
        ("", list(NAMES)),
        ("%", []),
        ("_", []),
        ("nothing like it", []),
    ],
)
def test_sets_are_found_by_a_part_of_their_name(client: Client, context: Json, search: str, found: list[str]) -> None:
    items = page(client.get(SETS, {"context_id": context["id"], "search": search, "page_size": 100}), TEST_SET)
    assert sorted(item["name"] for item in items) == sorted(found)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("100%", "100% sure"),
        ("%", "100% sure"),
        ("e_c", "snake_case"),
        ("\\", "back\\slash"),
        ("'; --", "it's '; -- quoted"),
        ("ÄP", "äpfel"),
    ],
)
def test_special_characters_of_a_search_are_literal(client: Client, wild: Json, search: str, found: str) -> None:
    assert [item["name"] for item in page(client.get(SETS, {"context_id": wild["id"], "search": search}), TEST_SET)] == [found]


@pytest.fixture(scope="module")
def wild(build: Builders) -> Json:
    context = build.context()
    for name in ("100% sure", "100 sure", "snake_case", "snakeXcase", "back\\slash", "it's '; -- quoted", "äpfel"):
        build.test_set(context, name=name)
    return context


def test_a_context_without_sets_has_no_pages(client: Client, build: Builders) -> None:
    body = made(client.get(SETS, {"context_id": build.context()["id"]}), 200)
    assert body == {"items": [], "total": 0, "page": 1, "page_size": 20, "total_pages": 0}


@pytest.mark.parametrize(
    ("parameters", "status", "wrong"),
    [
        ({"context_id": None}, 400, ["context_id"]),
        ({"context_id": ""}, 400, ["context_id"]),
        ({"context_id": "nonsense"}, 400, ["context_id"]),
        ({"context_id": UNKNOWN}, 404, []),
        ({"sort_by": "updated_at"}, 400, ["sort_by"]),
        ({"sort_by": "name; DROP TABLE test_sets"}, 400, ["sort_by"]),
        ({"sort_order": "upwards"}, 400, ["sort_order"]),
        ({"search": "a\0b"}, 400, ["search"]),
    ],
)
def test_a_wrong_parameter_of_the_list_is_refused(client: Client, context: Json, parameters: Json, status: int, wrong: list[str]) -> None:
    refused(client.get(SETS, {"context_id": context["id"], **parameters}), status, *wrong)


def test_a_new_set_has_the_documented_defaults(client: Client, build: Builders) -> None:
    context = build.context()
    test_set = conform(made(client.post(SETS, {"context_id": context["id"], "name": "n"})), TEST_SET)
    assert test_set == {
        "id": test_set["id"],
        "context_id": context["id"],
        "name": "n",
        "mode": "scenario",
        "language": "en",
        "test_case_count": 0,
        "created_at": test_set["created_at"],
        "updated_at": test_set["updated_at"],
    }
    assert made(client.get(f"{SETS}/{test_set['id']}"), 200) == test_set


def test_a_new_set_keeps_everything_it_was_given(build: Builders) -> None:
    given: Json = {"name": "  Ünïcode 🎯\n ", "description": " spaces stay ", "mode": "independent", "language": "de-CH"}
    test_set = build.test_set(**given)
    assert {name: test_set[name] for name in given} == given
    null = build.test_set(description=None, mode=None, language=None)
    assert (null["mode"], null["language"], "description" in null) == ("scenario", "en", False)


@pytest.mark.parametrize("name", ["x", "x" * 255, "é" * 255, "🎯" * 255])
def test_a_name_may_have_up_to_255_characters(build: Builders, name: str) -> None:
    assert build.test_set(name=name)["name"] == name


@pytest.mark.parametrize(
    ("fields", "status", "wrong"),
    [
        ({"name": None}, 400, ["name"]),
        ({"name": ""}, 400, ["name"]),
        ({"name": "x" * 256}, 400, ["name"]),
        ({"name": "🎯" * 256}, 400, ["name"]),
        ({"name": 5}, 400, ["name"]),
        ({"context_id": None}, 400, ["context_id"]),
        ({"context_id": "nonsense"}, 400, ["context_id"]),
        ({"context_id": UNKNOWN}, 404, []),
        ({"mode": "dialogue"}, 400, ["mode"]),
        ({"mode": ["scenario"]}, 400, ["mode"]),
        ({"language": 4}, 400, ["language"]),
        ({"description": {}}, 400, ["description"]),
        ({"name": "", "mode": "independent", "context_id": "nonsense"}, 400, ["name", "context_id"]),
    ],
)
def test_a_wrong_value_of_a_new_set_is_refused(client: Client, context: Json, fields: Json, status: int, wrong: list[str]) -> None:
    refused(client.post(SETS, {"context_id": context["id"], "name": "n", **fields}), status, *wrong)


def test_a_set_is_changed_field_by_field(client: Client, build: Builders) -> None:
    test_set = build.test_set(description="as it was")
    path = f"{SETS}/{test_set['id']}"
    for nothing in ({}, {"name": None, "description": None, "mode": None, "language": None}):
        same = made(client.put(path, nothing), 200)
        assert same == {**test_set, "updated_at": same["updated_at"]}
    changed = conform(made(client.put(path, {"name": "new", "mode": "scenario", "language": "fr"}), 200), TEST_SET)
    assert changed == {**test_set, "name": "new", "mode": "scenario", "language": "fr", "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > test_set["updated_at"]
    assert "description" not in conform(made(client.put(path, {"description": ""}), 200), TEST_SET)
    for wrong in ({"name": ""}, {"name": "x" * 256}, {"mode": "dialogue"}):
        refused(client.put(path, wrong), 400, *wrong)


def test_the_context_of_a_set_stays(client: Client, build: Builders) -> None:
    test_set = build.test_set()
    changed = made(client.put(f"{SETS}/{test_set['id']}", {"context_id": build.context()["id"]}), 200)
    assert changed["context_id"] == test_set["context_id"]


def test_deleting_a_set_deletes_its_cases_and_runs(client: Client, build: Builders) -> None:
    test_set = build.a_set_of(("a", "a"))
    run = build.finished(test_set)
    path = f"{SETS}/{test_set['id']}"
    gone = client.delete(path)
    assert (gone.status, gone.body) == (204, b"")
    for below in ("", "/cases", "/history"):
        refused(client.get(path + below), 404, reason="NOT_FOUND")
    for below in ("", "/results", "/export", "/events"):
        refused(client.get(f"{RUNS}/{run['id']}{below}"), 404, reason="NOT_FOUND")
    refused(client.delete(path), 404)
    assert page(client.get(SETS, {"context_id": test_set["context_id"]}), TEST_SET) == []
    assert client.delete(f"{CONTEXTS}/{test_set['context_id']}").status == 204
