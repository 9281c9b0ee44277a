"""What lists may be asked."""

import pytest

from services.catalog.entities.queries import CASE_SORTS, CaseFilter, Sort, case_filter, sort_of
from shared.errors import Invalid


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", CaseFilter()),
        ("{}", CaseFilter()),
        ('{"test_method": [], "question": ""}', CaseFilter()),
        ('{"test_method": null, "question": null}', CaseFilter()),
        ('{"test_method": ["exact_match", "similarity"]}', CaseFilter(("exact_match", "similarity"))),
        ('{"question": " 100% "}', CaseFilter(question=" 100% ")),
        ('{"colour": 1, "question": "a"}', CaseFilter(question="a")),
    ],
)
def test_filters_are_read(text: str, expected: CaseFilter) -> None:
    assert case_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{", "filters"),
        ("[]", "filters"),
        ('"exact_match"', "filters"),
        ("[" * 5000, "filters"),
        ('{"question": "\\ud800"}', "filters"),
        ('{"question": NaN}', "filters"),
        ('{"test_method": "exact_match"}', "filters.test_method"),
        ('{"test_method": [1]}', "filters.test_method"),
        ('{"test_method": ["exact"]}', "filters.test_method"),
        ('{"question": 1}', "filters.question"),
        ('{"question": ["a"]}', "filters.question"),
        ('{"question": "\\u0000"}', "filters.question"),
    ],
)
def test_wrong_filters_are_named(text: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        case_filter(text)
    assert list(refused.value.fields) == [field]


def test_a_sort_is_read() -> None:
    assert sort_of("question", "desc", CASE_SORTS) == Sort("question", descending=True)


def test_an_unknown_sort_is_named() -> None:
    with pytest.raises(Invalid) as refused:
        sort_of("id; DROP TABLE", "up", CASE_SORTS)
    assert set(refused.value.fields) == {"sort_by", "sort_order"}
