"""What becomes of a case that evaluators judge, that a client judged, or that nobody judges: on real Postgres, with a real judge."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf import json_format

from assay.runner.internal.v1 import runner_pb2
from assay.scoring.internal.v1 import events_pb2 as scoring_events
from services.scoring.embedding import Embedder
from services.scoring.operations import score_executed
from shared import json_values
from tests.servers import PostgresServer
from tests.services.scoring.chat_server import ChatServer, refusal
from tests.services.scoring.events import Facts, a_case, a_recorded_case, an_evaluator, heard
from tests.services.scoring.house import House, a_house

POLITE = an_evaluator("is_polite")
SHORT = an_evaluator("short", "length_less_than", max=50)
TRANSCRIPT: list[dict[str, Any]] = [
    {"role": "user", "content": "You idiots. Where is my order?"},
    {"role": "assistant", "content": "Let me look.", "tool_calls": [{"id": "1", "name": "find_order", "arguments": '{"id": 7}'}]},
    {"role": "tool", "tool_call_id": "1", "content": '{"state": "sent"}'},
    {"role": "assistant", "content": "It was sent today. Goodbye!"},
]


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.create(["scoring"])["scoring"]


@pytest.fixture
async def house(url: str, embedder: Embedder) -> AsyncIterator[House]:
    async with a_house(url, embedder) as house:
        yield house


async def scores(house: House, run: Facts) -> list[list[scoring_events.Score]]:
    """Of every case, in order."""
    return [list(case.scores) for told in await house.told(run) for case in told.cases]


async def score(house: House, run: Facts, *cases: Any, by: Any = ()) -> list[list[scoring_events.Score]]:
    await score_executed(house.parts, heard(run.executed(*cases, by=by)))
    return await scores(house, run)


def told(found: list[scoring_events.Score]) -> list[tuple[str, str, str]]:
    return [(each.evaluator, each.status, each.method) for each in found]


# Evaluators


async def test_every_evaluator_judges_every_case_and_a_case_travels_once(house: House) -> None:
    found = await score(house, Facts(), a_recorded_case(0), a_recorded_case(1, "You are an idiot. " * 5), by=[POLITE, SHORT])
    assert [told(each) for each in found] == [
        [("is_polite", "passed", "heuristic_fallback"), ("short", "passed", "deterministic")],
        [("is_polite", "failed", "heuristic_fallback"), ("short", "failed", "deterministic")],
    ]


async def test_every_verdict_is_stored(house: House) -> None:
    run = Facts()
    await score(house, run, a_recorded_case(0), a_recorded_case(1), by=[POLITE, SHORT])
    rows = await house.fetch("SELECT evaluator, status FROM scores WHERE run_id = $1 ORDER BY case_id, evaluator", run.id)
    assert rows == [("is_polite", "passed"), ("short", "passed")] * 2


async def test_evaluators_of_one_name_keep_their_verdicts(house: House) -> None:
    run = Facts()
    [found] = await score(
        house, run, a_recorded_case(client_evaluations={"x": True}), by=[POLITE, POLITE, an_evaluator("client:x", "one_line")]
    )
    assert [each.evaluator for each in found] == ["is_polite", "is_polite (2)", "client:x", "client:x (2)"]
    assert len(await house.stored(run)) == 4


async def test_an_execution_error_is_an_error_of_every_evaluator(house: House) -> None:
    [failed, fine] = await score(house, Facts(), a_recorded_case(0, None, "timed out"), a_recorded_case(1), by=[POLITE, SHORT])
    assert [(each.evaluator, each.status, each.error, each.threshold) for each in failed] == [
        ("is_polite", "error", "timed out", 1.0),
        ("short", "error", "timed out", 1.0),
    ]
    assert [each.status for each in fine] == ["passed", "passed"]


async def test_an_evaluator_that_cant_be_used_is_an_error_of_its_own(house: House) -> None:
    bad = [an_evaluator("x", "telepathy"), an_evaluator("y", "regex", pattern="("), an_evaluator("z", "task_completion")]
    [found] = await score(house, Facts(), a_recorded_case(), by=[*bad, SHORT])
    assert [each.status for each in found] == ["error", "error", "error", "passed"]
    assert [each.error for each in found[:3]] == [
        "the evaluator can't be used: template is no template",
        "the evaluator can't be used: config.pattern can't be read: missing ) at position 1",
        "the evaluator can't be used: mapping.input is required",
    ]


async def test_a_source_that_one_case_lacks_is_an_error_of_that_case(house: House) -> None:
    near = an_evaluator("near", "levenshtein")
    near.mapping["expected"] = "metadata.answer.text"
    cases = [a_recorded_case(0, metadata={"answer": {"text": "five days"}}), a_recorded_case(1)]
    [there, missing] = await score(house, Facts(), *cases, by=[near])
    assert (there[0].status, there[0].value) == ("passed", 1.0)
    assert (missing[0].status, missing[0].error) == ("error", "mapping.expected: the case has no metadata.answer.text")


async def test_the_record_of_a_long_case_is_fetched_too(house: House) -> None:
    run = Facts()
    record = json_values.struct({"transcript": TRANSCRIPT, "client_evaluations": {"rating": 0.75}})
    house.runner.keeps(run, runner_pb2.CaseTexts(ord=0, question="q", output="It was sent today.", record=record))
    case = a_case(0, None, test_method="", texts_by_id=True)
    [found] = await score(house, run, case, by=[an_evaluator("bye", "rubric_criterion", criteria="contains: goodbye")])
    assert [(each.evaluator, each.status) for each in found] == [("bye", "passed"), ("client:rating", "passed")]


async def test_an_evaluators_own_passing_score_counts(house: House) -> None:
    lenient = an_evaluator("some", "contains_all", passing_score=0.5, texts=["five", "weeks"])
    [[found]] = await score(house, Facts(), a_recorded_case(), by=[lenient])
    assert (found.status, found.value, found.threshold) == ("passed", 0.5, 0.5)


# What came with the output


async def test_what_the_client_found_counts(house: House) -> None:
    [found] = await score(house, Facts(), a_recorded_case(client_evaluations={"ok": True, "bad": False, "half": 0.5, "low": 0.4}))
    assert [(each.evaluator, each.status, each.value, each.method) for each in found] == [
        ("client:bad", "failed", 0.0, "client"),
        ("client:half", "passed", 0.5, "client"),
        ("client:low", "failed", 0.4, "client"),
        ("client:ok", "passed", 1.0, "client"),
    ]


async def test_what_the_client_found_stands_beside_the_evaluators_and_by_their_thresholds(house: House) -> None:
    strict = an_evaluator("rating", "one_line", passing_score=0.9)
    [found] = await score(house, Facts(), a_recorded_case(client_evaluations={"rating": 0.8}), by=[strict])
    assert [(each.evaluator, each.status, each.threshold) for each in found] == [
        ("rating", "passed", 0.9),
        ("client:rating", "failed", 0.9),
    ]


async def test_a_number_of_another_scale_is_clipped_with_a_warning(house: House) -> None:
    [found] = await score(house, Facts(), a_recorded_case(client_evaluations={"stars": 4, "loss": -0.5, "note": "good"}))
    assert [(each.evaluator, each.status, each.HasField("value"), each.value) for each in found] == [
        ("client:loss", "failed", True, 0.0),
        ("client:note", "error", False, 0.0),
        ("client:stars", "passed", True, 1.0),
    ]
    assert list(found[2].warnings) == ["the client's evaluation says 4, which is outside 0 to 1: taken as 1"]


async def test_where_nobody_judges_the_output_is_recorded(house: House) -> None:
    [there, missing] = await score(house, Facts(), a_recorded_case(0), a_recorded_case(1, None, "never came"))
    assert told(there) == [("recorded", "passed", "deterministic")]
    assert not there[0].HasField("value")
    assert [(each.evaluator, each.status, each.error) for each in missing] == [("recorded", "error", "never came")]


async def test_a_case_without_output_is_an_error_whatever_the_client_found(house: House) -> None:
    [found] = await score(house, Facts(), a_recorded_case(0, None, "never came", client_evaluations={"ok": True}))
    assert [(each.evaluator, each.status) for each in found] == [("recorded", "error"), ("client:ok", "passed")]


# With a judge, and without


async def test_a_judge_is_asked_for_each_evaluator_that_needs_one(house: House, server: ChatServer) -> None:
    run = Facts()
    house.catalog.judges_for(run, server.base_url)
    server.answers = [json.dumps({"reasoning": "Rude to the customer.", "verdict": "impolite"})]
    [[polite, short]] = await score(house, run, a_recorded_case(0, "Read the manual."), by=[POLITE, SHORT])
    assert (polite.status, polite.value, polite.method, polite.scored_by) == ("failed", 0.0, "llm_judge", "is_polite@1")
    assert polite.reason == "impolite; the judge: Rude to the customer."
    assert short.method == "deterministic"
    provenance = json_format.MessageToDict(polite.details)["provenance"]
    assert (provenance["template"], len(provenance["prompt_hash"])) == ("is_polite@1", 64)
    assert len(server.requests) == 1


async def test_weighted_criteria_make_the_score(house: House, server: ChatServer) -> None:
    run = Facts()
    house.catalog.judges_for(run, server.base_url)
    server.answers = [json.dumps({"reasoning": "One part is missing.", "understood": True, "accurate": True, "complete": False})]
    completion = an_evaluator("task_completion")
    completion.mapping.update({"input": "transcript", "output": "transcript"})
    [[found]] = await score(house, run, a_recorded_case(transcript=TRANSCRIPT), by=[completion])
    assert (found.status, round(found.value, 2), found.threshold) == ("failed", 0.6, 0.7)
    shown = server.requests[0]["messages"][1]["content"]
    assert 'agent: Let me look.\n  [calls find_order {"id": 7}]' in shown


async def test_a_criterion_of_a_rubric_is_one_call(house: House, server: ChatServer) -> None:
    run = Facts()
    house.catalog.judges_for(run, server.base_url)
    server.answers = [json.dumps({"reasoning": "It was.", "verdict": "met"}), json.dumps({"reasoning": "No.", "verdict": "not_met"})]
    criteria = ["The agent is calm.", "The agent offers a refund.", "contains: GOODBYE", "tool called: find_order", "tool called: refund"]
    by = [an_evaluator(f"c{n}", "rubric_criterion", criteria=each) for n, each in enumerate(criteria)]
    [found] = await score(house, run, a_recorded_case(transcript=TRANSCRIPT), by=by)
    assert sorted(each.status for each in found[:2]) == ["failed", "passed"]
    assert [(each.status, each.method) for each in found[2:]] == [
        ("passed", "deterministic"),
        ("passed", "deterministic"),
        ("failed", "deterministic"),
    ]
    assert len(server.requests) == 2
    asked = " ".join(request["messages"][0]["content"] for request in server.requests)
    assert [f"The criterion: {each}" in asked for each in criteria] == [True, True, False, False, False]


async def test_without_a_judge_a_criterion_is_never_guessed(house: House) -> None:
    by = [an_evaluator(name, "rubric_criterion", criteria=name) for name in ("Be kind", "contains: goodbye", "contains: idiots")]
    [found] = await score(house, Facts(), a_recorded_case(transcript=TRANSCRIPT), by=by)
    assert [each.status for each in found] == ["error", "passed", "failed"]
    assert "no judge is configured" in found[0].error
    assert not found[0].HasField("value")


async def test_without_a_judge_a_template_stays_unscored_unless_an_outcome_is_expected(house: House) -> None:
    by = [an_evaluator("task_completion"), an_evaluator("toxicity")]
    by[0].mapping["input"] = "case.question"
    expected, unknown = a_recorded_case(0), a_recorded_case(1)
    unknown.expected = ""
    [there, without] = await score(house, Facts(), expected, unknown, by=by)
    assert told(there) == [("task_completion", "passed", "heuristic_fallback"), ("toxicity", "unscored", "llm_judge")]
    assert told(without) == [("task_completion", "unscored", "llm_judge"), ("toxicity", "unscored", "llm_judge")]
    assert there[0].warnings[0].startswith("no judge is configured")
    assert without[0].error == "no judge is configured for the workspace, and nothing else can tell"


async def test_who_requires_a_judge_gets_no_heuristic(house: House) -> None:
    run = Facts()
    house.catalog.judges_for(run, "http://127.0.0.1:1/v1", require=True)
    house.catalog.judges[str(run.workspace)].ClearField("judge")
    [[found]] = await score(house, run, a_recorded_case(), by=[POLITE])
    assert (found.status, found.error) == ("unscored", "the workspace requires a judge and has none")


async def test_a_refusing_judge_is_an_error_and_no_guess(house: House, server: ChatServer) -> None:
    run = Facts()
    house.catalog.judges_for(run, server.base_url)
    server.answers = [refusal(403)]
    [[polite, short]] = await score(house, run, a_recorded_case(), by=[POLITE, SHORT])
    assert (polite.status, polite.HasField("value"), short.status) == ("error", False, "passed")
    assert polite.error == "the judge gave no verdict: the endpoint answered 403: no"


async def test_who_needs_no_judge_asks_the_catalog_for_none(house: House) -> None:
    house.catalog.away = True
    decided = an_evaluator("c", "rubric_criterion", criteria="contains: five")
    [[short, said]] = await score(house, Facts(), a_recorded_case(), by=[SHORT, decided])
    assert (short.status, said.status, house.catalog.asked) == ("passed", "passed", [])


# Where it went wrong


async def test_the_lexicon_points_at_the_agents_words_alone(house: House) -> None:
    rude = [*TRANSCRIPT, {"role": "assistant", "content": "Never mind.\nYou moron, shut up."}]
    polite = an_evaluator("is_polite", localize=True)
    polite.mapping["output"] = "transcript"
    [fine], [bad] = await score(house, Facts(), a_recorded_case(0, transcript=TRANSCRIPT), a_recorded_case(1, transcript=rude), by=[polite])
    assert fine.status == "passed"
    evidence = json_format.MessageToDict(bad.details)["evidence"]
    assert [(each["field"], each["turn"], each["quote"]) for each in evidence] == [("transcript", 4, "moron"), ("transcript", 4, "shut up")]
    text = rude[4]["content"]
    assert [text[int(each["start"]) : int(each["end"])] for each in evidence] == ["moron", "shut up"]


async def test_a_judge_points_at_the_place_and_is_checked(house: House, server: ChatServer) -> None:
    run = Facts()
    house.catalog.judges_for(run, server.base_url)
    places = [
        {"segment": "t3.s1", "quote": "Goodbye!"},
        {"segment": "[t3.s0]", "quote": "It was send today"},
        {"segment": "t1.s0", "quote": "I hate you all so much"},
        {"segment": "t9.s9", "quote": "x"},
    ]
    server.answers = [
        json.dumps({"reasoning": "Abrupt.", "verdict": "impolite"}),
        json.dumps({"reasoning": "There.", "places": places}),
    ]
    polite = an_evaluator("is_polite", localize=True)
    polite.mapping["output"] = "transcript"
    [[found]] = await score(house, run, a_recorded_case(transcript=TRANSCRIPT), by=[polite])
    details = json_format.MessageToDict(found.details)
    assert [(each["turn"], each["quote"], each["match"], each["found_by"]) for each in details["evidence"]] == [
        (3, "Goodbye!", "exact", "judge"),
        (3, "It was sent today", "fuzzy", "judge"),
        (1, "Let me look.", "none", "judge"),
    ]
    assert len(found.warnings) == 2
    assert details["provenance"]["error_localizer"]["template"] == "error_localizer@1"


async def test_a_localizer_that_fails_costs_no_verdict(house: House, server: ChatServer) -> None:
    run = Facts()
    house.catalog.judges_for(run, server.base_url)
    server.answers = [json.dumps({"reasoning": "Abrupt.", "verdict": "impolite"}), refusal(403)]
    [[found]] = await score(house, run, a_recorded_case(), by=[an_evaluator("is_polite", localize=True)])
    assert found.status == "failed"
    assert found.warnings[0].startswith("error localizer: the endpoint answered 403")


async def test_without_a_judge_sentences_are_left_out(house: House) -> None:
    near = an_evaluator("near", "f1", localize=True, passing_score=0.9)
    near.mapping["expected"] = "case.expected_response"
    case = a_recorded_case(output="Five days. The moon is made of green cheese and nobody knows why.")
    [[found]] = await score(house, Facts(), case, by=[near])
    [evidence] = json_format.MessageToDict(found.details)["evidence"]
    assert (evidence["quote"], evidence["found_by"]) == ("The moon is made of green cheese and nobody knows why.", "ablation")


async def test_evidence_is_told_only_where_it_was_asked_for(house: House) -> None:
    [[found]] = await score(house, Facts(), a_recorded_case(output="You idiot."), by=[POLITE])
    assert found.status == "failed"
    assert not found.HasField("details")


# Tool calls


async def test_tool_calls_are_judged_against_the_agents_tools(house: House) -> None:
    parameters = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    tools = [{"type": "function", "function": {"name": "find_order", "parameters": parameters}}]
    cases = [a_recorded_case(0, transcript=TRANSCRIPT, tools=tools), a_recorded_case(1, transcript=TRANSCRIPT[:1], tools=tools)]
    [called], [not_called] = await score(house, Facts(), *cases, by=[an_evaluator("tool_evaluation", "tool_call_accuracy")])
    assert (called.status, called.value) == ("failed", 0.0)
    assert called.reason == "0 of 1 tool calls are right; call 1 (find_order) has wrong arguments at $.id: 7 is not of type 'string'"
    assert (not_called.status, not_called.error) == ("not_applicable", "no tool call was expected and none was made")
