"""How a URL becomes an RPC: paths, ids, queries."""

import pytest

from tests.gateway.backend import Log
from tests.gateway.envoy import Gateway

SETS = "/v1/evaluation/test-sets"
NO_PATH = (404, 5, "there is no such path, or not with this method")


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/"),
        ("GET", "/nope"),
        ("GET", "/v1"),
        ("GET", f"{SETS}/a/b"),
        ("GET", f"{SETS}/a/../b"),
        ("GET", "/v1/%65valuation/test-sets"),
        ("GET", "/V1/evaluation/test-sets"),
        ("PUT", SETS),
        ("PATCH", SETS),
        ("DELETE", SETS),
        ("OPTIONS", SETS),
        ("TRACE", SETS),
        ("POST", f"{SETS}/a"),
        ("POST", "/assay.catalog.v1.TestSetService/GetTestSet"),
        ("POST", "/assay.catalog.internal.v1.CatalogInternalService/Authenticate"),
        ("POST", "/grpc.health.v1.Health/Check"),
        ("GET", "/healthz"),
        ("GET", "/stats"),
    ],
)
def test_an_unknown_path_or_method_is_404(gateway: Gateway, seen: Log, verb: str, path: str) -> None:
    assert gateway.send(verb, path).refusal == NO_PATH
    assert seen.calls == []


def test_head_is_404_without_a_body(gateway: Gateway) -> None:
    answer = gateway.send("HEAD", f"{SETS}/a")
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("path", [f"{SETS}/", f"{SETS}//", "//v1/evaluation/test-sets", "/v1//evaluation/test-sets/", f"{SETS}/?page=1"])
def test_extra_slashes_do_not_matter(gateway: Gateway, seen: Log, path: str) -> None:
    assert gateway.send("GET", path).status == 200
    assert seen.last.rpc == "ListTestSets"


@pytest.mark.parametrize(
    ("segment", "arrives"),
    [
        ("abc", "abc"),
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("a:b", "a:b"),
        ("a;b", "a;b"),
        ("..", ".."),
        ("%2e%2e", ".."),
        ("%zz", "%zz"),
        ("%C3%BC", "ü"),
        ("%ff", "-"),
        ("%ED%A0%80", "-"),
        ("%C0%80", "-"),
        ("a%00", "-"),
        ("a" * 8000, "a" * 8000),
    ],
)
def test_whatever_stands_for_an_id_reaches_the_service_as_text(gateway: Gateway, seen: Log, segment: str, arrives: str) -> None:
    assert gateway.send("GET", f"{SETS}/{segment}").status == 200
    assert seen.last.request.test_set_id == arrives


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("context_id=a&page=2", {"context_id": "a", "page": 2}),
        ("context_id=a&unknown=1&unknown=2&deep.er=1", {"context_id": "a"}),
        ("context_id=a+b%2Bc%20d", {"context_id": "a b+c d"}),
        ("context_id=a%26b%3Dc=d", {"context_id": "a&b=c=d"}),
        ("context%5Fid=a", {"context_id": "a"}),
        ("context_id=%zz", {"context_id": "%zz"}),
        ("context_id=100%", {"context_id": "100%"}),
        ("search=%C3%BC%F0%9F%98%80", {"search": "ü😀"}),
        ("search=%00", {"search": "\0"}),  # the services refuse it
        ("search=", {"search": ""}),
        ("page=-1", {"page": -1}),
        ("page&context_id", {}),
        ("&&=x&", {}),
        ("", {}),
    ],
)
def test_a_query_fills_the_fields_that_it_names(gateway: Gateway, seen: Log, query: str, expected: dict[str, object]) -> None:
    assert gateway.send("GET", f"{SETS}?{query}").status == 200
    assert {field.name: value for field, value in seen.last.request.ListFields()} == expected


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("page=x", 'page: invalid value "x"'),
        ("page=", 'page: invalid value ""'),
        ("page=1.5", 'page: invalid value "1.5"'),
        ("page=99999999999", 'page: invalid value "99999999999"'),
        ("page=1&page=2", "page: is given more than once"),
        ("context_id=a&context_id=b", "context_id: is given more than once"),
        ("search=%ff", "search: must be UTF-8"),
        ("search=%ED%A0%80", "search: must be UTF-8"),
    ],
)
def test_a_wrong_query_is_400(gateway: Gateway, seen: Log, query: str, fault: str) -> None:
    assert gateway.send("GET", f"{SETS}?{query}").refusal == (400, 3, fault)
    assert seen.calls == []


@pytest.mark.parametrize("filters", ['{"question":"a%20b","test_method":["exact_match"]}', "%7B%22question%22%3A%22a+b%22%7D"])
def test_filters_arrive_decoded(gateway: Gateway, seen: Log, filters: str) -> None:
    assert gateway.send("GET", f"{SETS}/s1/cases?filters={filters}").status == 200
    assert seen.last.request.filters.startswith('{"question":"a b"')


def test_a_query_cannot_change_what_the_path_says(gateway: Gateway, seen: Log) -> None:
    gateway.send("GET", f"{SETS}/s1?test_set_id=other")
    assert seen.last.request.test_set_id == "s1"


def test_a_query_fills_nothing_where_the_body_is_the_message(gateway: Gateway, seen: Log) -> None:
    gateway.send("POST", f"{SETS}?name=q", "{}")
    assert seen.last.request.name == ""


def test_a_query_cannot_fill_an_upload(gateway: Gateway, seen: Log) -> None:
    gateway.send("POST", f"{SETS}/s1/upload-csv?file.data=eA%3D%3D&test_set_id=other", b"abc", {"content-type": "text/csv"})
    assert (seen.last.request.test_set_id, seen.last.request.file.data) == ("s1", b"abc")
