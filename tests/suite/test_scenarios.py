"""Mode `scenario`: the cases of a set as one conversation."""

from tests.suite.builders import RUNS, Builders, Json
from tests.suite.client import Client
from tests.suite.contract import refused
from tests.suite.endpoint import Endpoint


def a_scenario(build: Builders, endpoint: Endpoint, **context: object) -> Json:
    return build.test_set(build.context(build.endpoint(endpoint.base_url), **context), mode="scenario")


def test_cases_run_in_order_and_each_turn_sees_the_earlier_ones(build: Builders, endpoint: Endpoint) -> None:
    test_set = a_scenario(build, endpoint, statement="You remember.")
    for question, order in (("messages third", 7), ("messages first", -1), ("messages fourth", 7), ("messages second", 0)):
        build.case(test_set, question=question, order=order)
    run = build.finished(test_set)
    answers = {result["question"]: result["actual_response"] for result in build.results(run)}
    assert answers == {
        "messages first": "2 messages",
        "messages second": "4 messages",
        "messages third": "6 messages",
        "messages fourth": "8 messages",
    }
    (last,) = [body["messages"] for body in endpoint.asked("messages fourth")]
    assert [message["role"] for message in last] == ["system", *["user", "assistant"] * 3, "user"]
    assert [message["content"] for message in last[:4]] == ["You remember.", "messages first", "2 messages", "messages second"]


def test_every_repeat_is_a_conversation_of_its_own(build: Builders, endpoint: Endpoint) -> None:
    test_set = a_scenario(build, endpoint)
    build.rows(test_set, ["messages one,x,exact_match", "messages two,x,exact_match"])
    results = build.results(build.finished(test_set, repeats=3))
    assert sorted((result["repeat"], result["actual_response"]) for result in results) == [
        (repeat, f"{count} messages") for repeat in (1, 2, 3) for count in (1, 3)
    ]


def test_independent_cases_see_nothing_of_each_other(build: Builders, endpoint: Endpoint) -> None:
    test_set = build.test_set(build.context(build.endpoint(endpoint.base_url)), mode="independent")
    build.rows(test_set, [f"messages {number},x,exact_match" for number in range(5)])
    assert {result["actual_response"] for result in build.results(build.finished(test_set))} == {"1 messages"}


def test_a_turn_that_errs_ends_the_conversation_and_the_rest_say_so(build: Builders, endpoint: Endpoint) -> None:
    test_set = a_scenario(build, endpoint)
    build.cases(test_set, ("before", "before"), ("status 400", "x"), ("after one", "x"), ("after two", "x"))
    run = build.finished(test_set)
    assert (run["passed_cases"], run["error_cases"], run["pass_rate"]) == (1, 3, 0.25)
    assert [result["status"] for result in build.results(run)] == ["passed", "error", "error", "error"]
    assert all(result["error"] for result in build.results(run, status="error"))
    assert endpoint.asked("after one") == endpoint.asked("after two") == []


def test_a_scenario_may_have_two_hundred_cases_and_no_more(client: Client, build: Builders) -> None:
    test_set = build.test_set(mode="scenario")
    build.rows(test_set, [f"q{number},q{number},exact_match" for number in range(200)])
    run = build.finished(test_set)
    assert (run["total_cases"], run["passed_cases"]) == (200, 200)
    build.case(test_set)
    refused(client.post(RUNS, {"test_set_id": test_set["id"], "context_id": test_set["context_id"]}), 400)
