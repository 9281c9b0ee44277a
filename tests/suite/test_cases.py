"""Test cases: list, create, change, delete, and the count that goes along."""

import json
from itertools import product

import pytest

from tests.suite.builders import SETS, Builders, Json, made
from tests.suite.client import Client
from tests.suite.contract import TEST_CASE, conform, page, refused
from tests.suite.lists import pages_add_up, pages_are_bounded, sorted_as_the_contract_says

# question, expected_response, test_method, order
ROWS = (
    ("banana", "Yellow", "exact_match", 3),
    ("Apple", "red", "keyword_match", 1),
    ("apple", "Red", "semantic_quality", 3),
    ("cherry 100%", "red", "similarity", 0),
    ("cherry 100", "dark_red", "exact_match", -2),
    ("Banana", "yellow", "similarity", 3),
)


def path_of(test_set: Json) -> str:
    return f"{SETS}/{test_set['id']}/cases"


def count_of(client: Client, test_set: Json) -> int:
    return int(made(client.get(f"{SETS}/{test_set['id']}"), 200)["test_case_count"])


@pytest.fixture(scope="module")
def fruit(build: Builders) -> Json:
    test_set = build.test_set()
    for question, expected, method, order in ROWS:
        build.case(test_set, question=question, expected_response=expected, test_method=method, order=order, keywords=["k"])
    return test_set


@pytest.fixture(scope="module")
def cases(client: Client, fruit: Json) -> list[Json]:
    """In order of creation."""
    items = made(client.get(path_of(fruit), {"page_size": 100}), 200)["items"]
    return sorted(items, key=lambda item: str(item["id"]))


@pytest.mark.parametrize(
    ("by", "order"), [*product(("question", "expected_response", "test_method", "order"), ("asc", "desc")), (None, None)]
)
def test_cases_are_listed_in_any_order(client: Client, fruit: Json, cases: list[Json], by: str | None, order: str | None) -> None:
    listed = pages_add_up(client, path_of(fruit), TEST_CASE, {"sort_by": by, "sort_order": order})
    assert [item["id"] for item in listed] == [item["id"] for item in sorted_as_the_contract_says(cases, by or "order", order or "asc")]


def test_a_list_of_cases_is_bounded(client: Client, fruit: Json) -> None:
    pages_are_bounded(client, path_of(fruit), {})


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"test_method": ["exact_match"]}, {"banana", "cherry 100"}),
        ({"test_method": ["exact_match", "similarity"]}, {"banana", "cherry 100", "cherry 100%", "Banana"}),
        ({"test_method": []}, {question for question, *_ in ROWS}),
        ({"question": "APPLE"}, {"Apple", "apple"}),
        ({"question": "%"}, {"cherry 100%"}),
        ({"question": "_"}, set()),
        ({"question": "an", "test_method": ["similarity"]}, {"Banana"}),
        ({"question": None, "test_method": None}, {question for question, *_ in ROWS}),
        ({}, {question for question, *_ in ROWS}),
    ],
)
def test_cases_are_filtered(client: Client, fruit: Json, filters: Json, found: set[str]) -> None:
    answer = client.get(path_of(fruit), {"filters": json.dumps(filters)})
    assert {item["question"] for item in page(answer, TEST_CASE)} == found
    assert made(answer, 200)["total"] == len(found)


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"filters": "{"}, "filters"),
        ({"filters": "[]"}, "filters"),
        ({"filters": '"text"'}, "filters"),
        ({"filters": '{"test_method": ["psychic"]}'}, "filters"),
        ({"filters": '{"test_method": 1}'}, "filters"),
        ({"filters": '{"question": ["a"]}'}, "filters"),
        ({"filters": '{"question": "a\\u0000b"}'}, "filters"),
        ({"filters": '{"question": "\\ud800"}'}, "filters"),
        ({"filters": '{"question": ' + "[" * 5000 + "]" * 5000 + "}"}, "filters"),
        ({"sort_by": "id"}, "sort_by"),
        ({"sort_order": "ascending"}, "sort_order"),
    ],
)
def test_a_wrong_parameter_of_the_list_is_refused(client: Client, fruit: Json, parameters: Json, wrong: str) -> None:
    refused(client.get(path_of(fruit), parameters), 400, wrong)


def test_a_new_case_has_the_documented_defaults(client: Client, build: Builders) -> None:
    test_set = build.test_set()
    case = conform(made(client.post(path_of(test_set), {"question": "q", "expected_response": "e"})), TEST_CASE)
    assert case == {
        "id": case["id"],
        "test_set_id": test_set["id"],
        "question": "q",
        "expected_response": "e",
        "test_method": "semantic_quality",
        "passing_score": 0.7,
        "keywords": [],
        "order": 0,
        "created_at": case["created_at"],
        "updated_at": case["updated_at"],
    }
    null = dict.fromkeys(("test_method", "passing_score", "keywords", "order", "file_url", "file_mime_type"))
    same = build.case(test_set, question="q", expected_response="e", **null)
    assert {k: v for k, v in same.items() if k not in ("id", "created_at", "updated_at")} == {
        k: v for k, v in case.items() if k not in ("id", "created_at", "updated_at")
    }


def test_a_new_case_keeps_everything_it_was_given(client: Client, build: Builders) -> None:
    test_set = build.test_set()
    given = {
        "question": "  \n\tWhat?\r\n ",
        "expected_response": "=1+1",
        "test_method": "keyword_match",
        "passing_score": 0,
        "keywords": ["one", "two words", "ü"],
        "order": -7,
        "file_url": "https://example.com/a.png?x=1",
        "file_mime_type": "image/png",
    }
    case = build.case(test_set, **given)
    assert {name: case[name] for name in given} == given
    assert made(client.get(path_of(test_set)), 200)["items"] == [case]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"question": ""}, "question"),
        ({"question": None}, "question"),
        ({"question": ["q"]}, "question"),
        ({"expected_response": ""}, "expected_response"),
        ({"expected_response": None}, "expected_response"),
        ({"test_method": "psychic"}, "test_method"),
        ({"test_method": ""}, "test_method"),
        ({"test_method": 1}, "test_method"),
        ({"passing_score": 1.01}, "passing_score"),
        ({"passing_score": -0.01}, "passing_score"),
        ({"passing_score": "0.5x"}, "passing_score"),
        ({"passing_score": True}, "passing_score"),
        ({"keywords": "a,b"}, "keywords"),
        ({"keywords": [1]}, "keywords"),
        ({"keywords": [], "test_method": "keyword_match"}, "keywords"),
        ({"test_method": "keyword_match"}, "keywords"),
        ({"order": 1.5}, "order"),
        ({"order": "first"}, "order"),
        ({"order": 2**31}, "order"),
        ({"file_url": 3}, "file_url"),
    ],
)
def test_a_wrong_value_of_a_case_is_named(client: Client, build: Builders, fields: Json, wrong: str) -> None:
    test_set = build.test_set()
    refused(client.post(path_of(test_set), {"question": "q", "expected_response": "e", **fields}), 400, wrong)
    assert count_of(client, test_set) == 0
    if None not in fields.values():
        case = build.case(test_set)
        refused(client.put(f"{path_of(test_set)}/{case['id']}", fields), 400, wrong)
        assert made(client.get(path_of(test_set)), 200)["items"] == [case]


def test_a_case_is_changed_field_by_field(client: Client, build: Builders) -> None:
    test_set = build.test_set()
    case = build.case(test_set, keywords=["a"], file_url="https://example.com/a", file_mime_type="image/png", order=4, passing_score=1)
    path = f"{path_of(test_set)}/{case['id']}"
    nulls = {name: None for name in case if name not in ("id", "test_set_id", "created_at", "updated_at")}
    for nothing in ({}, nulls):
        same = made(client.put(path, nothing), 200)
        assert same == {**case, "updated_at": same["updated_at"]}
    given = {"question": "Q", "expected_response": "E", "test_method": "similarity", "passing_score": 0, "keywords": ["b"], "order": 0}
    changed = conform(made(client.put(path, given), 200), TEST_CASE)
    assert changed == {**case, **given, "updated_at": changed["updated_at"]}
    cleared = conform(made(client.put(path, {"keywords": [], "file_url": "", "file_mime_type": ""}), 200), TEST_CASE)
    assert cleared["keywords"] == []
    assert not {"file_url", "file_mime_type"} & set(cleared)
    assert made(client.get(path_of(test_set)), 200)["items"] == [cleared]


def test_the_keywords_of_a_keyword_match_cannot_be_cleared(client: Client, build: Builders) -> None:
    test_set = build.test_set()
    case = build.case(test_set, test_method="keyword_match", keywords=["a"])
    refused(client.put(f"{path_of(test_set)}/{case['id']}", {"keywords": []}), 400, "keywords")
    plain = build.case(test_set)
    refused(client.put(f"{path_of(test_set)}/{plain['id']}", {"test_method": "keyword_match"}), 400, "keywords")


def test_the_count_goes_up_and_down_with_the_cases(client: Client, build: Builders) -> None:
    test_set = build.test_set()
    first, second = build.case(test_set), build.case(test_set)
    assert count_of(client, test_set) == 2
    gone = client.delete(f"{path_of(test_set)}/{first['id']}")
    assert (gone.status, gone.body) == (204, b"")
    assert count_of(client, test_set) == 1
    refused(client.delete(f"{path_of(test_set)}/{first['id']}"), 404)
    refused(client.put(f"{path_of(test_set)}/{first['id']}", {"question": "x"}), 404)
    assert count_of(client, test_set) == 1
    assert made(client.get(path_of(test_set)), 200)["items"] == [second]


def test_a_case_is_found_only_in_its_own_set(client: Client, build: Builders) -> None:
    case, elsewhere = build.case(build.test_set()), build.test_set()
    refused(client.put(f"{path_of(elsewhere)}/{case['id']}", {"question": "x"}), 404)
    refused(client.delete(f"{path_of(elsewhere)}/{case['id']}"), 404)
