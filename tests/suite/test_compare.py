"""Two runs compared, pair by pair."""

import pytest

from tests.suite.builders import COMPARE, SETS, UNKNOWN, Builders, Json, made
from tests.suite.client import Client
from tests.suite.contract import COMPARISON, conform, refused
from tests.suite.endpoint import Endpoint


def compared(client: Client, run_a: Json, run_b: Json) -> Json:
    return dict(conform(made(client.get(COMPARE, {"run_a": run_a["id"], "run_b": run_b["id"]}), 200), COMPARISON))


@pytest.fixture(scope="module")
def worse_and_better(build: Builders, endpoint: Endpoint) -> tuple[Json, Json]:
    """Two runs of 10 cases: 8 that only the better model answers, 1 that both do, 1 that neither does."""
    connection = build.endpoint(endpoint.base_url)
    worse, better = (build.context(connection, model=model) for model in ("worse", "better"))
    hard = [(f"hard {number}", f"hard {number}") for number in range(8)]
    test_set = build.a_set_of(*hard, ("easy", "easy"), ("odd", "even"), context=worse)
    return build.finished(test_set), build.finished(test_set, better["id"])


def test_a_better_run_is_told_from_a_worse_one(client: Client, worse_and_better: tuple[Json, Json]) -> None:
    worse, better = worse_and_better
    found = compared(client, worse, better)
    assert (found["run_a"], found["run_b"]) == (worse, better)
    assert (found["verdict"], found["regressed"], found["unchanged"]) == ("improved", [], 2)
    assert (found["only_in_a"], found["only_in_b"]) == (0, 0)
    assert sorted(change["question"] for change in found["improved"]) == [f"hard {number}" for number in range(8)]
    assert {(c["status_a"], c["status_b"], c["score_a"], c["score_b"]) for c in found["improved"]} == {("failed", "passed", 0, 1)}
    assert found["pass_rate_diff"] == pytest.approx(0.8)
    assert found["average_score_diff"] == pytest.approx(0.8)
    assert found["p_value"] == pytest.approx(2 * 0.5**8)
    low, high = found["confidence_interval"]
    assert 0 < low <= 0.8 <= high <= 1


def test_the_other_way_round_it_is_worse(client: Client, worse_and_better: tuple[Json, Json]) -> None:
    worse, better = worse_and_better
    there, back = compared(client, worse, better), compared(client, better, worse)
    assert (back["verdict"], back["improved"], len(back["regressed"])) == ("regressed", [], 8)
    assert back["pass_rate_diff"] == pytest.approx(-there["pass_rate_diff"])
    assert back["p_value"] == pytest.approx(there["p_value"])
    assert back["confidence_interval"] == pytest.approx([-bound for bound in reversed(there["confidence_interval"])], abs=0.02)


def test_a_run_compared_to_itself_has_not_changed(client: Client, worse_and_better: tuple[Json, Json]) -> None:
    run, _ = worse_and_better
    found = compared(client, run, run)
    assert (found["verdict"], found["improved"], found["regressed"], found["unchanged"]) == ("undecided", [], [], 10)
    assert (found["pass_rate_diff"], found["average_score_diff"], found["p_value"]) == (0, 0, 1)


def test_few_changes_decide_nothing(client: Client, build: Builders, endpoint: Endpoint) -> None:
    connection = build.endpoint(endpoint.base_url)
    worse, better = (build.context(connection, model=model) for model in ("worse", "better"))
    test_set = build.a_set_of(("hard 1", "hard 1"), ("hard 2", "hard 2"), ("easy", "easy"), context=worse)
    found = compared(client, build.finished(test_set), build.finished(test_set, better["id"]))
    assert (found["verdict"], len(found["improved"]), found["p_value"]) == ("undecided", 2, pytest.approx(0.5))


def test_cases_of_one_run_alone_are_counted(client: Client, build: Builders) -> None:
    test_set = build.a_set_of(("a", "a"), ("b", "b"), ("c", "c"))
    run_a = build.finished(test_set)
    cases = made(client.get(f"{SETS}/{test_set['id']}/cases"), 200)["items"]
    for case in cases[:2]:
        assert client.delete(f"{SETS}/{test_set['id']}/cases/{case['id']}").status == 204
    build.case(test_set, question="d")
    found = compared(client, run_a, build.finished(test_set))
    assert (found["only_in_a"], found["only_in_b"], found["unchanged"]) == (2, 1, 1)


def test_runs_without_a_common_case_have_no_pairs(client: Client, build: Builders) -> None:
    found = compared(client, build.finished(build.a_set_of(("a", "a"))), build.finished(build.a_set_of(("a", "b"))))
    assert (found["only_in_a"], found["only_in_b"], found["unchanged"]) == (1, 1, 0)
    assert (found["pass_rate_diff"], found["verdict"]) == (-1, "undecided")
    assert not {"p_value", "confidence_interval"} & set(found)
    assert found["warnings"]


def test_an_error_counts_as_not_passed_and_has_no_score(client: Client, build: Builders, endpoint: Endpoint) -> None:
    echo, real = build.context(), build.context(build.endpoint(endpoint.base_url))
    test_set = build.a_set_of(("status 400", "status 400"), context=echo)
    found = compared(client, build.finished(test_set), build.finished(test_set, real["id"]))
    (change,) = found["regressed"]
    assert (change["status_a"], change["status_b"], change["score_a"], "score_b" in change) == ("passed", "error", 1, False)
    assert "average_score_diff" not in found
    assert found["warnings"]


def test_repeats_of_a_case_are_one_pair(client: Client, build: Builders) -> None:
    test_set = build.a_set_of(("a", "a"), ("b", "not b"))
    found = compared(client, build.finished(test_set), build.finished(test_set, repeats=5))
    assert (found["unchanged"], found["only_in_a"], found["only_in_b"], found["pass_rate_diff"]) == (2, 0, 0, 0)


@pytest.mark.parametrize(
    ("parameters", "status", "wrong"),
    [
        ({"run_a": None}, 400, ["run_a"]),
        ({"run_b": None}, 400, ["run_b"]),
        ({"run_a": "", "run_b": "nonsense"}, 400, ["run_a", "run_b"]),
        ({"run_a": UNKNOWN}, 404, []),
        ({"run_b": UNKNOWN}, 404, []),
    ],
)
def test_a_wrong_parameter_is_refused(
    client: Client, worse_and_better: tuple[Json, Json], parameters: Json, status: int, wrong: list[str]
) -> None:
    run_a, run_b = worse_and_better
    refused(client.get(COMPARE, {"run_a": run_a["id"], "run_b": run_b["id"], **parameters}), status, *wrong)
