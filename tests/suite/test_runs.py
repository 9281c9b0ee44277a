"""Runs: start, status, results, history, export, and what a run leaves on its test set."""

import csv
import io
import time
from datetime import datetime

import pytest

from tests.suite.builders import RUNS, SETS, UNKNOWN, Builders, Json, made
from tests.suite.client import Client
from tests.suite.contract import RESULT, RUN, conform, page, refused
from tests.suite.endpoint import Endpoint
from tests.suite.lists import pages_add_up, pages_are_bounded

EXPORTED = ["question", "expected_response", "actual_response", "status", "score", "reasoning", "execution_time_ms", "error"]
APART = "The committee met on a rainy Thursday in Oslo."

# name: question, expected_response, test_method, keywords, status; what `echo` answers is the question.
WANTED = {
    "exact passed": ("Ｐａｒｉｓ   is\tit", "Paris is it", "exact_match", [], "passed"),  # noqa: RUF001 NFKC folds full-width letters
    "exact failed": ("paris", "Paris", "exact_match", [], "failed"),
    "keywords passed": ("The CAPITAL of france.", "any", "keyword_match", ["capital", "France"], "passed"),
    "keywords failed": ("capitals and Frances", "any", "keyword_match", ["capital", "France"], "failed"),
    "similar": ("How can I reset my password?", "How can I reset my password?", "similarity", [], "passed"),
    "not similar": (APART, "Bananas are rich in potassium.", "similarity", [], "failed"),
    "semantic passed": ("You can reset it in the settings.", "You can reset it in the settings.", "semantic_quality", [], "passed"),
    "semantic failed": (APART, "Bananas are rich in potassium.", "semantic_quality", [], "failed"),
}


@pytest.fixture(scope="module")
def all_methods(build: Builders) -> Json:
    """A completed run with every test method passed and failed."""
    test_set = build.test_set()
    for question, expected, method, keywords, _ in WANTED.values():
        build.case(test_set, question=question, expected_response=expected, test_method=method, keywords=keywords)
    return build.ended(build.run(test_set), within=90)


@pytest.fixture(scope="module")
def with_errors(build: Builders, endpoint: Endpoint) -> Json:
    """A completed run against an endpoint: some cases pass, some fail, some can't be executed."""
    test_set = build.test_set(build.context(build.endpoint(endpoint.base_url, timeout_ms=400)))
    build.cases(
        test_set,
        *(("fine", "fine"), ("wrong", "right"), ("status 400", "x"), ("status 500", "x"), ("garbage", "x"), ("nul", "x")),
        *(("throttle me", "throttle me"), ("sleep 3", "sleep 3")),
    )
    return build.ended(build.run(test_set), within=60)


def test_a_run_is_accepted_with_its_total_and_its_stream(client: Client, build: Builders) -> None:
    test_set = build.a_set_of(("a", "a"), ("b", "b"), ("c", "c"))
    run = conform(made(client.post(RUNS, {"test_set_id": test_set["id"], "context_id": test_set["context_id"], "repeats": 4})), RUN)
    assert (run["test_set_id"], run["context_id"]) == (test_set["id"], test_set["context_id"])
    assert (run["total_cases"], run["triggered_by"], run["tags"]) == (12, "api", [])
    assert run["status"] in ("pending", "starting", "running")
    assert run["id"] in run["stream_url"]
    ended = build.ended(run)
    assert (ended["status"], ended["passed_cases"], ended["pass_rate"], ended["average_score"]) == ("completed", 12, 1, 1)
    assert run["created_at"] <= ended["started_at"] <= ended["completed_at"]
    assert client.get(run["stream_url"]).headers["content-type"].startswith("text/event-stream")


def test_every_method_passes_and_fails_as_documented(build: Builders, all_methods: Json) -> None:
    assert (all_methods["status"], all_methods["passed_cases"], all_methods["failed_cases"]) == ("completed", 4, 4)
    results = {result["question"]: result for result in build.results(all_methods)}
    for name, (question, expected, method, _, status) in WANTED.items():
        result = next(r for r in build.results(all_methods) if (r["question"], r["test_method"]) == (question, method))
        assert (result["status"], result["expected_response"], result["actual_response"]) == (status, expected, question), name
        assert result["reasoning"], name
        assert result["scored_by"].startswith(method), name
        assert (result["score"] >= 0.7) == (status == "passed"), name
    assert results["The CAPITAL of france."]["score"] == 1
    scores = [result["score"] for result in build.results(all_methods)]
    assert all_methods["average_score"] == pytest.approx(sum(scores) / len(scores))


def test_a_result_without_a_judge_says_so(build: Builders, all_methods: Json) -> None:
    for result in build.results(all_methods):
        heuristic = result["test_method"] == "semantic_quality"
        assert result["method"] == (
            "heuristic_fallback" if heuristic else "embedding" if result["test_method"] == "similarity" else "deterministic"
        )
        assert bool(result["warnings"]) or not heuristic


def test_results_are_listed_key_for_key(client: Client, all_methods: Json, with_errors: Json) -> None:
    for run in (all_methods, with_errors):
        path = f"{RUNS}/{run['id']}/results"
        results = pages_add_up(client, path, RESULT, {})
        assert {result["run_id"] for result in results} == {run["id"]}
        assert {result["repeat"] for result in results} == {1}
        assert len({result["id"] for result in results}) == run["total_cases"]


@pytest.mark.parametrize("status", ["passed", "failed", "error"])
def test_results_are_filtered_by_status(client: Client, with_errors: Json, status: str) -> None:
    results = page(client.get(f"{RUNS}/{with_errors['id']}/results", {"status": status, "page_size": 100}), RESULT)
    assert {result["status"] for result in results} == {status}
    assert len(results) == with_errors[f"{status}_cases"]


def test_a_wrong_parameter_of_the_results_is_refused(client: Client, all_methods: Json) -> None:
    path = f"{RUNS}/{all_methods['id']}/results"
    pages_are_bounded(client, path, {})
    refused(client.get(path, {"status": "excellent"}), 400, "status")


def test_what_cannot_be_executed_keeps_its_row_and_stays_in_the_denominator(build: Builders, with_errors: Json) -> None:
    assert (with_errors["status"], with_errors["total_cases"], with_errors["completed_cases"]) == ("completed", 8, 8)
    assert (with_errors["passed_cases"], with_errors["failed_cases"], with_errors["error_cases"]) == (2, 2, 4)
    assert (with_errors["pass_rate"], with_errors["average_score"]) == (0.25, 0.5)
    results = {result["question"]: result for result in build.results(with_errors)}
    errors = {question: result for question, result in results.items() if result["status"] == "error"}
    assert set(errors) == {"status 400", "status 500", "garbage", "sleep 3"}
    assert not any({"score", "actual_response"} & set(result) for result in errors.values())
    assert "400" in errors["status 400"]["error"]
    assert {question: result["attempts"] for question, result in results.items()} == {
        "fine": 1,
        "wrong": 1,
        "nul": 1,
        "throttle me": 1,
        "status 400": 1,
        "garbage": 1,
        "status 500": 3,
        "sleep 3": 3,
    }


def test_what_no_database_takes_is_replaced_and_flagged(build: Builders, with_errors: Json) -> None:
    result = next(result for result in build.results(with_errors) if result["question"] == "nul")
    assert (result["actual_response"], result["status"]) == ("a\ufffdb\ufffdc", "failed")
    assert result["warnings"]


def test_a_run_of_errors_alone_is_completed(build: Builders, endpoint: Endpoint) -> None:
    test_set = build.test_set(build.context(build.endpoint(endpoint.base_url)))
    build.cases(test_set, ("status 401", "x"), ("status 404", "x"))
    run = build.finished(test_set)
    assert (run["error_cases"], run["pass_rate"], "average_score" in run) == (2, 0, False)


@pytest.mark.parametrize("base_url", ["http://169.254.169.254/v1", "http://10.1.2.3/v1", "http://0.0.0.0:1/v1", "http://127.0.0.1:1/v1"])
def test_a_target_that_cannot_be_reached_is_an_error_of_its_cases(build: Builders, base_url: str) -> None:
    run = build.finished(build.a_set_of(("a", "a"), context=build.context(build.endpoint(base_url, timeout_ms=2000))))
    (result,) = build.results(run)
    assert (result["status"], run["error_cases"], run["pass_rate"]) == ("error", 1, 0)
    assert result["error"]
    assert "actual_response" not in result


def test_the_target_receives_the_statement_the_model_and_the_secret(build: Builders, endpoint: Endpoint) -> None:
    connection = build.endpoint(endpoint.base_url, api_key="sk-test", model="small")
    context = build.context(connection, statement="Be brief.", model="large", parameters={"temperature": 0.25})
    run = build.finished(build.a_set_of(("who asks?", "x"), context=context))
    (sent,) = endpoint.asked("who asks?")
    assert (sent["path"], sent["model"], sent["temperature"]) == ("/v1/chat/completions", "large", 0.25)
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "who asks?"}]
    headers = endpoint.headers[endpoint.requests.index(sent)]
    assert headers["authorization"] == "Bearer sk-test"
    assert run["id"] in headers["idempotency-key"]


def test_a_run_has_no_results_before_its_first(client: Client, build: Builders, endpoint: Endpoint) -> None:
    test_set = build.test_set(build.context(build.endpoint(endpoint.base_url)))
    build.cases(test_set, ("gate early", "x"))
    run = build.run(test_set)
    assert endpoint.gate("early").arrived.acquire(timeout=10)
    assert made(client.get(f"{RUNS}/{run['id']}/results"), 200) == {"items": [], "total": 0, "page": 1, "page_size": 20, "total_pages": 0}
    now = build.read(run)
    assert (now["status"], now["completed_cases"], {"pass_rate", "average_score", "completed_at"} & set(now)) == ("running", 0, set())
    assert client.get(f"{RUNS}/{run['id']}/export").text.splitlines() == [",".join(EXPORTED)]
    endpoint.gate("early").open()
    assert build.ended(run)["status"] == "completed"


def test_no_more_calls_are_in_flight_than_a_run_allows(build: Builders, endpoint: Endpoint) -> None:
    test_set = build.test_set(build.context(build.endpoint(endpoint.base_url)))
    build.cases(test_set, *[("gate narrow", "gate narrow")] * 5)
    run = build.run(test_set, max_concurrency=2)
    gate = endpoint.gate("narrow")
    assert gate.arrived.acquire(timeout=10)
    assert gate.arrived.acquire(timeout=10)
    assert not gate.arrived.acquire(timeout=1)
    gate.open()
    assert build.ended(run)["passed_cases"] == 5


@pytest.mark.parametrize("limits", [(1, None), (8, 1)], ids=["of the connection", "of the run"])
def test_a_single_slot_is_enough_for_a_run_though_there_are_two_runners(
    build: Builders, endpoint: Endpoint, limits: tuple[int, int | None]
) -> None:
    test_set = build.test_set(build.context(build.endpoint(endpoint.base_url, max_concurrency=limits[0])))
    build.cases(test_set, *[("one", "one")] * 6)
    assert build.finished(test_set, max_concurrency=limits[1])["passed_cases"] == 6


@pytest.mark.parametrize(
    ("fields", "status", "wrong"),
    [
        ({"test_set_id": None}, 400, ["test_set_id"]),
        ({"context_id": None}, 400, ["context_id"]),
        ({"test_set_id": "nonsense", "context_id": ""}, 400, ["test_set_id", "context_id"]),
        ({"test_set_id": UNKNOWN}, 404, []),
        ({"context_id": UNKNOWN}, 404, []),
        ({"repeats": 0}, 400, ["repeats"]),
        ({"repeats": 101}, 400, ["repeats"]),
        ({"repeats": 1.5}, 400, ["repeats"]),
        ({"repeats": "twice"}, 400, ["repeats"]),
        ({"max_concurrency": 0}, 400, ["max_concurrency"]),
        ({"max_concurrency": -1}, 400, ["max_concurrency"]),
        ({"tags": "nightly"}, 400, ["tags"]),
        ({"tags": [1]}, 400, ["tags"]),
        ({"tags": [""]}, 400, ["tags"]),
    ],
)
def test_a_wrong_value_of_a_run_is_refused(client: Client, build: Builders, fields: Json, status: int, wrong: list[str]) -> None:
    test_set = build.a_set_of(("a", "a"))
    refused(client.post(RUNS, {"test_set_id": test_set["id"], "context_id": test_set["context_id"], **fields}), status, *wrong)
    assert made(client.get(f"{SETS}/{test_set['id']}/history"), 200)["total"] == 0


def test_an_empty_set_cannot_be_run(client: Client, build: Builders) -> None:
    test_set = build.test_set()
    refused(client.post(RUNS, {"test_set_id": test_set["id"], "context_id": test_set["context_id"]}), 400, reason="EMPTY_SET")


def test_repeats_and_tags(build: Builders) -> None:
    run = build.finished(build.a_set_of(("a", "a"), ("b", "not b")), repeats=3, tags=["nightly", "ünï code"])
    assert (run["tags"], run["total_cases"], run["passed_cases"], run["failed_cases"]) == (["nightly", "ünï code"], 6, 3, 3)
    results = build.results(run)
    assert sorted((result["question"], result["repeat"]) for result in results) == [(q, n) for q in "ab" for n in (1, 2, 3)]


def test_another_context_than_the_sets_own_can_answer(build: Builders, endpoint: Endpoint) -> None:
    test_set = build.a_set_of(("messages", "1 messages"))
    elsewhere = build.context(build.endpoint(endpoint.base_url))
    assert build.finished(test_set)["passed_cases"] == 0
    run = build.finished(test_set, elsewhere["id"])
    assert (run["passed_cases"], run["context_id"]) == (1, elsewhere["id"])


def test_history_is_newest_first(client: Client, build: Builders) -> None:
    test_set = build.a_set_of(("a", "a"))
    path = f"{SETS}/{test_set['id']}/history"
    assert made(client.get(path), 200)["total_pages"] == 0
    runs = [build.finished(test_set) for _ in range(4)]
    assert pages_add_up(client, path, RUN, {}) == runs[::-1]
    pages_are_bounded(client, path, {})
    fresh = build.run(test_set)
    assert [run["id"] for run in page(client.get(path), RUN)] == [run["id"] for run in (fresh, *runs[::-1])]


def test_an_export_is_a_csv_attachment_of_all_results_in_order(client: Client, build: Builders, with_errors: Json) -> None:
    answer = client.get(f"{RUNS}/{with_errors['id']}/export")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    header, *rows = csv.reader(io.StringIO(answer.text, newline=""))
    assert header == EXPORTED
    for row, result in zip(rows, build.results(with_errors), strict=True):
        told = dict(zip(header, row, strict=True))
        assert {k: v for k, v in told.items() if k not in ("score", "execution_time_ms")} == {
            name: str(result.get(name, "")) for name in EXPORTED if name not in ("score", "execution_time_ms")
        }
        for name in ("score", "execution_time_ms"):
            assert (float(told[name]) if told[name] else None) == result.get(name)


def test_a_run_leaves_its_time_and_pass_rate_on_its_set_within_two_seconds(client: Client, build: Builders) -> None:
    test_set = build.a_set_of(("a", "a"), ("b", "not b"))
    path = f"{SETS}/{test_set['id']}"
    first = build.finished(test_set)
    took = [last_run(client, path, first)]
    second = build.finished(test_set)
    took.append(last_run(client, path, second))
    assert client.delete(f"{RUNS}/{second['id']}").status == 204
    took.append(last_run(client, path, second))
    assert client.delete(f"{RUNS}/{first['id']}").status == 204
    took.append(last_run(client, path, second))
    # One or two may meet a pause of the machine; what is late by itself is late each time.
    assert sorted(took)[1] < 2, took
    assert max(took) < 5, took


def last_run(client: Client, path: str, run: Json) -> float:
    """Seconds until a set shows a run as its last one."""
    started = time.monotonic()
    while time.monotonic() - started < 15:
        test_set = made(client.get(path), 200)
        if datetime.fromisoformat(test_set.get("last_run_at", "1970-01-01T00:00:00Z")) == datetime.fromisoformat(run["completed_at"]):
            assert test_set["last_run_pass_rate"] == run["pass_rate"]
            break
        time.sleep(0.02)
    return time.monotonic() - started


def test_results_are_frozen(client: Client, build: Builders) -> None:
    test_set = build.a_set_of(("a", "a"), ("b", "b"))
    run = build.finished(test_set)
    before = client.get(f"{RUNS}/{run['id']}/results").body
    first, second = made(client.get(f"{SETS}/{test_set['id']}/cases"), 200)["items"]
    made(client.put(f"{SETS}/{test_set['id']}/cases/{first['id']}", {"question": "other", "expected_response": "another"}), 200)
    assert client.delete(f"{SETS}/{test_set['id']}/cases/{second['id']}").status == 204
    assert client.get(f"{RUNS}/{run['id']}/results").body == before
    assert build.read(run) == run
    assert build.finished(test_set)["total_cases"] == 1
