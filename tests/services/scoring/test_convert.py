"""What events become, and what becomes an event."""

from uuid import uuid4

import pytest
from google.protobuf import json_format

from assay.catalog.internal.v1 import catalog_pb2
from assay.runner.internal.v1 import runner_pb2
from services.scoring import convert
from services.scoring.entities import Endpoint, Evidence, Judging, Verdict
from shared.outbox import MAX_EVENT_BYTES
from tests.services.scoring.events import Facts, a_case, a_score, case_id
from tests.services.scoring.house import SCORED_AT


def test_a_judge_is_reached_as_its_connection_says() -> None:
    workspace = uuid4()
    access = catalog_pb2.ConnectionAccess(base_url="http://judge/v1", api_key="k", max_concurrency=3, timeout_ms=2_500)
    judging = convert.judging(workspace, catalog_pb2.JudgeSettings(judge=access, model="m", require_judge=True))
    assert judging == Judging(Endpoint("http://judge/v1", "m", "k", str(workspace), 3, 2.5), require_judge=True)


@pytest.mark.parametrize("required", [True, False])
def test_without_a_judge_the_workspace_may_still_require_one(required: bool) -> None:  # noqa: FBT001 a parameter of the test
    assert convert.judging(uuid4(), catalog_pb2.JudgeSettings(model="m", require_judge=required)) == Judging(None, required)


def test_an_item_is_made_of_the_events_texts() -> None:
    judging = Judging(Endpoint("http://judge/v1", "m"), require_judge=True)
    item = convert.item(a_case(3, "six days", keywords=["days"], test_method="keyword_match", passing_score=0.4), None, judging, "de")
    assert (item.question, item.expected, item.output) == ("question 3", "five days", "six days")
    assert (item.method, item.passing_score, item.keywords, item.language) == ("keyword_match", 0.4, ("days",), "de")
    assert (item.judge, item.require_judge) == (judging.judge, True)


def test_long_texts_take_the_place_of_the_events() -> None:
    texts = runner_pb2.CaseTexts(ord=3, question="a long question", expected="a long text", output="a long answer")
    item = convert.item(a_case(3, None, question="", expected="", texts_by_id=True), texts, Judging(), "en")
    assert (item.question, item.expected, item.output) == ("a long question", "a long text", "a long answer")


@pytest.mark.parametrize(
    ("told", "error"), [("HTTP 500: no", "HTTP 500: no"), (None, "the target gave no answer"), ("", "the target gave no answer")]
)
def test_a_case_without_an_output_is_an_error_and_no_zero(told: str | None, error: str) -> None:
    score = convert.not_executed(a_case(output=None, error=told))
    assert (score.status, score.score, score.error, score.reason) == ("error", None, error, error)


def test_a_case_that_is_given_up_keeps_an_error_of_its_own() -> None:
    assert convert.given_up(a_case(output=None, error="timed out"), 5).error == "timed out"
    given_up = convert.given_up(a_case(passing_score=0.3), 5)
    assert (given_up.status, given_up.score, given_up.threshold) == ("error", None, 0.3)
    assert given_up.error == "scoring was tried 5 times and never ended"


def test_a_hostile_judge_can_say_nothing_that_cant_be_stored() -> None:
    quote = Evidence("output", 0, 0, 3, "a\0b")
    score = a_score("error", None, reason="a\0b\ud800c", error="\0", warnings=("w\udfff",), evidence=(quote,))
    clean = convert.storable(score)
    assert (clean.reason, clean.error, clean.warnings) == ("a\ufffdb\ufffdc", "\ufffd", ("w\ufffd",))
    assert clean.evidence[0].quote == "a\ufffdb"


def test_a_hostile_judge_cant_fill_an_event() -> None:
    endless = "x" * 900_000
    clean = convert.storable(a_score(reason=endless, error=endless, warnings=(endless,)))
    event = Facts().executed(a_case())
    [message] = convert.cases_scored(event, [[Verdict("exact_match", clean)]], SCORED_AT)
    assert message.ByteSize() < 16_384
    assert clean.reason.endswith("x…")


def test_rows_name_the_case_its_repeat_and_its_evaluator() -> None:
    run = Facts()
    [row] = convert.scored(str(run.id), [a_case(2, repeat=4)], [[Verdict("rude", a_score())]])
    assert (row.run_id, row.case_id, row.repeat, row.evaluator, row.score) == (run.id, case_id(2), 4, "rude", a_score())


def test_an_event_holds_all_that_a_result_shows() -> None:
    run = Facts()
    case = a_case(7, "six days", repeat=2, keywords=["days"], attempts=3, execution_time_ms=90, warnings=["characters were replaced"])
    provenance = {"endpoint": "http://judge/v1", "prompt_tokens": 12, "cache_hit": False}
    score = a_score("failed", 0.25, reason="differs", warnings=("look",), provenance=provenance)
    [message] = convert.cases_scored(run.executed(case), [[Verdict("exact_match", score)]], SCORED_AT)
    assert (message.workspace_id, message.run_id) == (str(run.workspace), str(run.id))
    [each] = message.cases
    assert each.executed == case
    [found] = each.scores
    assert (found.evaluator, found.status, found.value, found.method) == ("exact_match", "failed", 0.25, "deterministic")
    assert (found.threshold, found.reason, found.scored_by, list(found.warnings)) == (0.7, "differs", "exact_match@1", ["look"])
    assert found.scored_at.ToDatetime(SCORED_AT.tzinfo) == SCORED_AT
    assert json_format.MessageToDict(found.details) == {"provenance": provenance}
    assert not found.HasField("error")


def test_an_absent_value_is_not_a_zero() -> None:
    cases = [a_case(0), a_case(1)]
    scores = [a_score("failed", 0.0), a_score("error", None, error="no verdict")]
    [message] = convert.cases_scored(Facts().executed(*cases), [[Verdict("exact_match", score)] for score in scores], SCORED_AT)
    zero, absent = (each.scores[0] for each in message.cases)
    assert zero.HasField("value")
    assert not absent.HasField("value")
    assert (absent.error, absent.HasField("details")) == ("no verdict", False)


def test_events_are_split_at_512_kib_without_loss_or_disorder() -> None:
    cases = [a_case(n, "x" * 8_000) for n in range(64)]
    scores = [a_score("failed", 0.0, reason="y" * 4_000)] * 64
    messages = convert.cases_scored(Facts().executed(*cases), [[Verdict("exact_match", score)] for score in scores], SCORED_AT)
    assert len(messages) == 2
    assert all(message.ByteSize() <= MAX_EVENT_BYTES for message in messages)
    assert [each.executed.ord for message in messages for each in message.cases] == list(range(64))
