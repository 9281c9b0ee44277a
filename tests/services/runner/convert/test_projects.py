"""What clients record, as any provider spells it."""

from typing import Any
from uuid import UUID

import pytest
from google.protobuf import json_format

from assay.runner.v1 import project_test_runs_pb2 as pb
from services.runner.convert import projects as convert
from services.runner.subjects import Recording
from shared.errors import Invalid
from shared.ids import new_id


def completion(*messages: Any, **said: Any) -> Recording:
    return convert.completion(json_format.ParseDict({"messages": list(messages), **said}, pb.RecordCompletionRequest()))


def trace(**said: Any) -> Recording:
    return convert.trace(json_format.ParseDict(said, pb.RecordTraceRequest()))


def turn(message: Any) -> Any:
    return completion(message).record["transcript"][0]


SUM = {"name": "add", "arguments": '{"a": 2}'}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"role": "assistant", "content": "five"}, "five"),
        ({"role": "assistant", "content": [{"type": "text", "text": "five"}, {"type": "text", "text": "5"}]}, "five\n5"),
        ({"role": "assistant", "content": [{"type": "output_text", "text": "five", "annotations": []}]}, "five"),
        ({"role": "model", "parts": [{"text": "five"}, "5"]}, "five\n5"),
        ({"role": "assistant", "content": [{"text": "five"}]}, "five"),
        ({"role": "assistant", "content": ["five", "5"]}, "five\n5"),
        ({"role": "assistant", "content": {"unit": "€", "answer": 5}}, '{"answer": 5, "unit": "€"}'),
        ({"role": "assistant", "content": 5}, "5"),
        ({"role": "assistant", "content": None}, ""),
        ({"role": "assistant", "content": []}, ""),
        ({"role": "assistant", "content": [{"type": "image", "text": None}, 7, {"type": "text", "text": "five"}]}, "five"),
        ({"role": "assistant"}, ""),
        ({}, ""),
        ({"role": "assistant", "content": " five\n"}, " five\n"),
    ],
)
def test_the_last_message_is_the_output_however_it_is_spelled(message: Any, text: str) -> None:
    said = completion({"role": "user", "content": "2 + 3?"}, message)
    assert (said.output, said.error) == (text, None)
    assert said.record["transcript"][1]["content"] == text


@pytest.mark.parametrize(
    ("role", "told"),
    [
        ("model", "assistant"),
        ("human", "user"),
        ("user", "user"),
        ("system", "system"),
        ("developer", "developer"),
        ("tool", "tool"),
        ("function", "tool"),
    ],
)
def test_roles_are_told_in_one_spelling(role: str, told: str) -> None:
    assert turn({"role": role, "content": "x"}) == {"role": told, "content": "x"}


def test_a_message_without_a_role_is_the_assistants() -> None:
    assert turn({"content": "x"})["role"] == "assistant"


@pytest.mark.parametrize(
    ("message", "calls"),
    [
        ({"tool_calls": [{"id": "1", "type": "function", "function": SUM}]}, [{"id": "1", **SUM}]),
        ({"tool_calls": [{"id": "1", "name": "add", "arguments": {"a": 2}}]}, [{"id": "1", "name": "add", "arguments": {"a": 2}}]),
        (
            {"content": [{"type": "tool_use", "id": "1", "name": "add", "input": {"a": 2}}]},
            [{"id": "1", "name": "add", "arguments": {"a": 2}}],
        ),
        (
            {"content": [{"type": "tool_call", "id": "1", "name": "add", "arguments": {"a": 2}}]},
            [{"id": "1", "name": "add", "arguments": {"a": 2}}],
        ),
        ({"parts": [{"functionCall": {"name": "add", "args": {"a": 2}}}]}, [{"id": "", "name": "add", "arguments": {"a": 2}}]),
        ({"parts": [{"function_call": {"id": "1", "name": "add", "args": {}}}]}, [{"id": "1", "name": "add", "arguments": {}}]),
        (
            {"content": [{"toolUse": {"toolUseId": "1", "name": "add", "input": {"a": 2}}}]},
            [{"id": "1", "name": "add", "arguments": {"a": 2}}],
        ),
        ({"type": "function_call", "id": "fc_1", "call_id": "1", **SUM}, [{"id": "1", **SUM}]),
        ({"role": "assistant", "content": None, "function_call": SUM}, [{"id": "", **SUM}]),
        ({"tool_calls": [{}]}, [{"id": "", "name": "", "arguments": {}}]),
        ({"tool_calls": [{"id": None, "function": {"name": None, "arguments": None}}]}, [{"id": "", "name": "", "arguments": {}}]),
    ],
)
def test_tool_calls_are_told_in_one_spelling(message: Any, calls: list[Any]) -> None:
    assert turn(message)["tool_calls"] == calls


@pytest.mark.parametrize(
    "message",
    [{"tool_calls": None}, {"tool_calls": []}, {"tool_calls": ["x", 5]}, {"tool_calls": 5}, {"tool_calls": "x"}, {"content": "tool_call"}],
)
def test_what_is_no_tool_call_is_none(message: Any) -> None:
    assert "tool_calls" not in turn(message)


def test_a_tools_answer_names_its_call() -> None:
    assert turn({"role": "tool", "tool_call_id": "1", "content": "5"}) == {"role": "tool", "tool_call_id": "1", "content": "5"}


def test_without_a_message_there_is_no_output() -> None:
    with pytest.raises(Invalid) as refused:
        completion()
    assert refused.value.fields["messages"].startswith("must hold at least one")


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "5"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "5"}]}]},
        {"role": "tool", "content": [{"type": "tool_result", "tool_call_id": "1", "content": "5"}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": [{"text": "5"}], "status": "success"}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "add", "response": 5}}]},
        {"type": "function_call_output", "call_id": "1", "output": "5"},
    ],
)
def test_what_a_tool_answered_is_a_turn_of_its_own(message: Any) -> None:
    assert completion(message).record["transcript"] == [{"role": "tool", "content": "5", "tool_call_id": "1"}]


def test_what_is_said_beside_a_tools_answer_follows_it() -> None:
    blocks = [{"type": "tool_result", "tool_use_id": "1", "content": "5"}, {"type": "text", "text": "go on"}]
    assert completion({"role": "user", "content": blocks}).record["transcript"] == [
        {"role": "tool", "content": "5", "tool_call_id": "1"},
        {"role": "user", "content": "go on"},
    ]


@pytest.mark.parametrize("wrong", ["text", 5, None, ["nested"]])
def test_every_message_is_an_object(wrong: Any) -> None:
    with pytest.raises(Invalid) as refused:
        completion({"role": "user", "content": "x"}, wrong)
    assert refused.value.fields == {"messages[1]": "must be an object"}


@pytest.mark.parametrize("said", [{"ok": True, "no": False, "half": 0.5, "whole": 3, "below": -1}, {}])
def test_the_clients_own_verdicts_are_booleans_and_numbers(said: Any) -> None:
    kept = completion({"content": "x"}, eval_results=said).record["client_evaluations"]
    assert kept == trace(output="x", eval_results=said).record["client_evaluations"] == said
    assert {name for name, each in kept.items() if isinstance(each, bool)} == {"ok", "no"} & set(said)


@pytest.mark.parametrize("wrong", ["yes", None, [1], {"value": 1}])
def test_other_verdicts_are_refused_by_name(wrong: Any) -> None:
    with pytest.raises(Invalid) as refused:
        completion({"content": "x"}, eval_results={"fine": 1, "wrong": wrong})
    assert refused.value.fields == {"eval_results.wrong": "must be a boolean or a number"}
    with pytest.raises(Invalid) as refused:
        trace(output="x", eval_results=[True])
    assert refused.value.fields == {"eval_results": "must be an object"}


@pytest.mark.parametrize(
    "absent", [{}, {"call_info": None, "eval_results": None, "tool_schema": None, "inputs": None, "session_info": None}]
)
def test_what_is_absent_or_null_leaves_nothing(absent: Any) -> None:
    assert completion({"role": "assistant", "content": "x"}, **absent) == Recording(
        "x", None, None, {"transcript": [{"role": "assistant", "content": "x"}]}
    )


@pytest.mark.parametrize(
    ("call", "milliseconds"),
    [
        ({"start_time": 10, "end_time": 11.5}, 1500),
        ({"start_time": 1769000000.25, "end_time": 1769000000.5}, 250),
        ({"start_time": 2, "end_time": 1}, 0),
        ({"start_time": 0, "end_time": 1e300}, 2**31 - 1),
        ({"start_time": -1e308, "end_time": 1.7e308}, 2**31 - 1),
        ({"start_time": "10", "end_time": 11}, None),
        ({"start_time": None, "end_time": 11}, None),
        ({"start_time": 10}, None),
        ({}, None),
    ],
)
def test_the_time_of_the_call_is_told_in_milliseconds(call: Any, milliseconds: int | None) -> None:
    assert completion({"content": "x"}, call_info=call).execution_time_ms == milliseconds


def test_a_call_that_is_no_object_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        completion({"content": "x"}, call_info="soon")
    assert refused.value.fields == {"call_info": "must be an object"}


def test_usage_and_tools_are_kept() -> None:
    said = completion({"content": "x"}, call_info={"usage": {"prompt_tokens": 3}}, tool_schema=[{"name": "add"}])
    assert (said.record["usage"], said.record["tools"]) == ({"prompt_tokens": 3}, [{"name": "add"}])


@pytest.mark.parametrize(
    ("answered", "output"),
    [
        ("five", "five"),
        ("", ""),
        ({"b": {"d": 1, "c": 2}, "a": [1, "é"]}, '{"a": [1, "é"], "b": {"c": 2, "d": 1}}'),
        ([], "[]"),
        (0, "0"),
        (False, "false"),
    ],
)
def test_a_trace_answers_any_json(answered: Any, output: str) -> None:
    said = trace(input={"q": 1}, output=answered)
    assert (said.output, said.error, said.record["input"]) == (output, None, {"q": 1})
    assert said.record["transcript"] == [{"role": "user", "content": '{"q": 1}'}, {"role": "assistant", "content": output}]


@pytest.mark.parametrize("absent", [{}, {"output": None}])
def test_a_trace_without_an_output_is_an_error(absent: Any) -> None:
    said = trace(input="q", eval_results={"nice": 1}, **absent)
    assert (said.output, said.error, said.record) == (None, "the trace has no output", {"client_evaluations": {"nice": 1}, "input": "q"})


def test_a_recorded_case_is_told_in_canonical_ids() -> None:
    run_id, case_id = new_id(), new_id()
    info = {"test_run_id": str(run_id).upper(), "test_case_id": str(case_id)}
    assert convert.recorded_case(json_format.ParseDict({"test_run_info": info}, pb.RecordTraceRequest())) == (run_id, case_id)


@pytest.mark.parametrize("said", [{}, {"completion_id": None}, {"completion_id": ""}])
def test_a_completion_without_an_id_gets_one(said: Any) -> None:
    assert UUID(convert.completion_id(json_format.ParseDict(said, pb.RecordCompletionRequest()))).version == 7


def test_every_wrong_field_of_a_wish_is_named() -> None:
    request = pb.CreateProjectTestRunRequest(flavor_name="x", target_evaluation_ids=["x", str(new_id()), ""])
    with pytest.raises(Invalid) as refused:
        convert.wanted(request)
    assert set(refused.value.fields) == {"dataset_name", "flavor_name", "target_evaluation_ids[0]", "target_evaluation_ids[2]"}
