"""The envelope of lists."""

import pytest

from shared.errors import Invalid
from shared.pages import MAX_PAGE, Page, PageRequest, page_request


def test_absent_parameters_mean_the_first_twenty() -> None:
    assert page_request(None, None) == PageRequest(1, 20)


@pytest.mark.parametrize(("page", "size", "offset"), [(1, 1, 0), (2, 20, 20), (MAX_PAGE, 100, (MAX_PAGE - 1) * 100)])
def test_the_offset_is_what_comes_before_the_page(page: int, size: int, offset: int) -> None:
    assert page_request(page, size).offset == offset


@pytest.mark.parametrize(("page", "size"), [(0, None), (-1, None), (MAX_PAGE + 1, None), (None, 0), (None, 101), (None, -5)])
def test_a_parameter_out_of_bounds_is_refused(page: int | None, size: int | None) -> None:
    with pytest.raises(Invalid) as caught:
        page_request(page, size)
    assert list(caught.value.fields) == (["page"] if page is not None else ["page_size"])


def test_both_wrong_parameters_are_named() -> None:
    with pytest.raises(Invalid, match=r"^page: must be from 1 to \d+; page_size: must be from 1 to 100$"):
        page_request(0, 0)


@pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (20, 1), (21, 2), (40, 2)])
def test_pages_in_all(total: int, pages: int) -> None:
    assert Page([], total, PageRequest()).total_pages == pages
