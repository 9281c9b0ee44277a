"""assay.catalog.v1.TestCaseService, less its CSV."""

import asyncio
from typing import Any

import pytest
from google.protobuf.struct_pb2 import ListValue

from assay.catalog.v1 import test_cases_pb2 as pb
from shared.ids import new_id
from tests.services.catalog.house import House, http_code, invalid, not_found


async def update(house: House, case: pb.TestCase, **said: Any) -> pb.TestCase:
    request = pb.UpdateTestCaseRequest(test_set_id=case.test_set_id, case_id=case.id, **said)
    answer: pb.TestCase = await house.cases.UpdateTestCase(request, metadata=house.us.metadata)
    return answer


async def listed(house: House, set_id: str, **said: Any) -> pb.ListTestCasesResponse:
    request = pb.ListTestCasesRequest(test_set_id=set_id, **said)
    answer: pb.ListTestCasesResponse = await house.cases.ListTestCases(request, metadata=house.us.metadata)
    return answer


def texts(*values: Any) -> ListValue:
    made = ListValue()
    made.extend(values)
    return made


async def test_a_case_is_made_with_its_defaults(house: House) -> None:
    made = await house.a_case((await house.a_set()).id)
    assert (made.question, made.expected_response, made.order, list(made.keywords)) == ("Why?", "Because.", 0, [])
    assert (made.test_method, made.passing_score) == (pb.TestCase.semantic_quality, 0.7)
    assert not any(made.HasField(field) for field in ("file_url", "file_mime_type"))


async def test_a_case_is_made_as_it_is_said(house: House) -> None:
    set_id = (await house.a_set()).id
    said = {
        "question": " q ",
        "passing_score": 0.0,
        "keywords": ["a", "a"],
        "order": -3,
        "file_url": "https://f.test/a",
        "file_mime_type": "x/y",
    }
    made = await house.a_case(set_id, test_method="keyword_match", **said)
    assert {name: getattr(made, name) for name in said} == said
    (found,) = (await listed(house, set_id)).items
    assert found == made


async def test_a_create_answers_201_and_counts_the_case(house: House) -> None:
    set_id = (await house.a_set()).id
    request = pb.CreateTestCaseRequest(test_set_id=set_id, question="q", expected_response="e")
    assert await http_code(house.cases.CreateTestCase(request, metadata=house.us.metadata)) == "201"
    assert (await house.set_as_it_is(set_id)).test_case_count == 1


async def test_a_delete_answers_204_and_counts_the_case_off(house: House) -> None:
    set_id = (await house.a_set()).id
    kept, gone = await house.a_case(set_id), await house.a_case(set_id)
    request = pb.DeleteTestCaseRequest(test_set_id=set_id, case_id=gone.id)
    assert await http_code(house.cases.DeleteTestCase(request, metadata=house.us.metadata)) == "204"
    with not_found("test case"):
        await house.cases.DeleteTestCase(request, metadata=house.us.metadata)
    with not_found("test case"):
        await update(house, gone, question="x")
    assert (await house.set_as_it_is(set_id)).test_case_count == 1
    assert [case.id for case in (await listed(house, set_id)).items] == [kept.id]


async def test_the_count_is_right_after_concurrent_changes(house: House) -> None:
    set_id = (await house.a_set()).id
    made = await asyncio.gather(*(house.a_case(set_id, question=str(number)) for number in range(12)))
    deletes = (pb.DeleteTestCaseRequest(test_set_id=set_id, case_id=case.id) for case in made[:5])
    edits = (update(house, case, question="edited") for case in made[5:])
    await asyncio.gather(*edits, *(house.cases.DeleteTestCase(request, metadata=house.us.metadata) for request in deletes))
    found = await listed(house, set_id)
    assert (await house.set_as_it_is(set_id)).test_case_count == found.total == len(found.items) == 7


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"question": ""}, "question: must not be empty"),
        ({"expected_response": ""}, "expected_response: must not be empty"),
        ({"test_method": 0}, "test_method: must be one of"),
        ({"test_method": 99}, "test_method: must be one of"),
        ({"passing_score": 1.5}, "passing_score: must be from 0 to 1"),
        ({"passing_score": float("nan")}, "passing_score: must be a finite number"),
        ({"test_method": "keyword_match"}, "keywords: must not be empty for keyword_match"),
        ({"question": "a\0b"}, "question: must not contain U+0000"),
        ({"file_url": "a.png"}, "file_url: must be an absolute URL"),
        ({"file_mime_type": "m" * 256}, "file_mime_type: must have at most 255"),
    ],
)
async def test_a_wrong_field_is_named(house: House, said: dict[str, Any], fault: str) -> None:
    set_id = (await house.a_set()).id
    with invalid(fault):
        await house.a_case(set_id, **said)
    case = await house.a_case(set_id)
    with invalid(fault):
        await update(house, case, **said)
    assert (await listed(house, set_id)).items[0] == case


async def test_all_wrong_fields_are_named_at_once(house: House) -> None:
    with invalid("question: must not be empty; expected_response: must not be empty; passing_score: must be from 0 to 1"):
        await house.a_case((await house.a_set()).id, question="", expected_response="", passing_score=-1)


async def test_an_update_leaves_what_it_does_not_name(house: House) -> None:
    said = {"keywords": ["a"], "order": 4, "file_url": "https://f.test/a", "file_mime_type": "x/y", "passing_score": 0.1}
    made = await house.a_case((await house.a_set()).id, **said)
    changed = await update(house, made, question="new")
    assert (changed.id, changed.created_at, changed.question) == (made.id, made.created_at, "new")
    assert {name: getattr(changed, name) for name in said} == said


async def test_an_update_clears(house: House) -> None:
    made = await house.a_case((await house.a_set()).id, keywords=["a"], file_url="https://f.test/a", file_mime_type="x/y")
    changed = await update(house, made, keywords=texts(), file_url="", file_mime_type="")
    assert (list(changed.keywords), changed.HasField("file_url"), changed.HasField("file_mime_type")) == ([], False, False)


async def test_keywords_are_replaced(house: House) -> None:
    made = await house.a_case((await house.a_set()).id, keywords=["a"])
    assert list((await update(house, made, keywords=texts("b", "c"))).keywords) == ["b", "c"]


@pytest.mark.parametrize(("value", "field"), [(1, "keywords[0]"), (None, "keywords[0]"), ("", "keywords[0]"), ({"a": 1}, "keywords[0]")])
async def test_keywords_are_texts(house: House, value: Any, field: str) -> None:
    made = await house.a_case((await house.a_set()).id)
    with invalid(f"{field}: must"):
        await update(house, made, keywords=texts(value))


async def test_keyword_match_keeps_its_keywords(house: House) -> None:
    set_id = (await house.a_set()).id
    plain, matched = await house.a_case(set_id), await house.a_case(set_id, test_method="keyword_match", keywords=["a"])
    with invalid("keywords: must not be empty"):
        await update(house, plain, test_method="keyword_match")
    with invalid("keywords: must not be empty"):
        await update(house, matched, keywords=texts())
    assert (await update(house, plain, test_method="keyword_match", keywords=texts("b"))).test_method == pb.TestCase.keyword_match


async def test_an_unknown_set_or_case_is_not_found(house: House) -> None:
    made = await house.a_case((await house.a_set()).id)
    for unknown in ("none", str(new_id()), (await house.a_set(house.them)).id):
        with not_found("test set"):
            await house.a_case(unknown)
        with not_found("test set"):
            await listed(house, unknown)
        with not_found("test set"):
            await update(house, pb.TestCase(test_set_id=unknown, id=made.id), question="x")
        with not_found("test case"):
            await update(house, pb.TestCase(test_set_id=made.test_set_id, id=unknown), question="x")


async def test_a_case_is_found_in_its_own_set_alone(house: House) -> None:
    made, other = await house.a_case((await house.a_set()).id), await house.a_set()
    with not_found("test case"):
        await update(house, pb.TestCase(test_set_id=other.id, id=made.id), question="x")


CASES = (
    {"question": "beta 50%", "expected_response": "Y", "test_method": "similarity", "order": 2},
    {"question": "Alpha_1", "expected_response": "x", "test_method": "exact_match", "order": 1},
    {"question": "alpha", "expected_response": "z", "test_method": "semantic_quality", "order": 1},
    {"question": "Gamma", "expected_response": "X", "test_method": "keyword_match", "keywords": ["k"], "order": 0},
)


async def filled(house: House) -> str:
    set_id = (await house.a_set()).id
    for said in CASES:
        await house.a_case(set_id, **said)
    return set_id


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ({}, [3, 1, 2, 0]),
        ({"sort_by": "order", "sort_order": "desc"}, [0, 1, 2, 3]),
        ({"sort_by": "question"}, [2, 1, 0, 3]),
        ({"sort_by": "question", "sort_order": "desc"}, [3, 0, 1, 2]),
        ({"sort_by": "expected_response"}, [1, 3, 0, 2]),
        ({"sort_by": "expected_response", "sort_order": "desc"}, [2, 0, 1, 3]),
        ({"sort_by": "test_method"}, [1, 3, 2, 0]),
        ({"sort_by": "test_method", "sort_order": "desc"}, [0, 2, 3, 1]),
    ],
)
async def test_cases_are_sorted_with_ties_by_creation(house: House, sort: dict[str, str], expected: list[int]) -> None:
    found = await listed(house, await filled(house), **sort)
    assert [case.question for case in found.items] == [CASES[place]["question"] for place in expected]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ('{"test_method":["exact_match","similarity"]}', [1, 0]),
        ('{"question":"ALPHA"}', [1, 2]),
        ('{"question":"a_"}', [1]),
        ('{"question":"%"}', [0]),
        ('{"question":"\\\\"}', []),
        ('{"test_method":["semantic_quality"],"question":"alpha"}', [2]),
        ('{"test_method":[],"colour":"red"}', [3, 1, 2, 0]),
        ("", [3, 1, 2, 0]),
    ],
)
async def test_cases_are_filtered(house: House, filters: str, expected: list[int]) -> None:
    found = await listed(house, await filled(house), filters=filters)
    assert [case.question for case in found.items] == [CASES[place]["question"] for place in expected]
    assert found.total == len(expected)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"filters": "{"}, "filters: must be JSON"),
        ({"filters": '{"test_method":["fuzzy"]}'}, "filters.test_method: must be one of"),
        ({"sort_by": "id"}, "sort_by: must be one of"),
        ({"sort_order": "down"}, "sort_order: must be one of"),
        ({"page": 0}, "page: must be from 1"),
        ({"page_size": 101}, "page_size: must be from 1 to 100"),
    ],
)
async def test_a_wrong_parameter_is_named(house: House, said: dict[str, Any], field: str) -> None:
    with invalid(field):
        await listed(house, (await house.a_set()).id, **said)


async def test_pages_hold_every_case_once(house: House) -> None:
    set_id = await filled(house)
    pages = [await listed(house, set_id, page=number, page_size=3) for number in (1, 2, 3)]
    assert [[case.question for case in page.items] for page in pages] == [["Gamma", "Alpha_1", "alpha"], ["beta 50%"], []]
    assert {(page.total, page.total_pages) for page in pages} == {(4, 2)}
