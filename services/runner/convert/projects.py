"""Family A: a dataset's run, the cases that the client executes, and what it records of them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from assay.catalog.internal.v1 import subjects_pb2
from assay.runner.v1 import project_test_runs_pb2 as pb
from services.runner.convert.messages import text_for, text_of, turns
from services.runner.entities import Run
from services.runner.projects import FLAVORS, NewTestRun
from services.runner.subjects import Opened, Recording
from shared import json_values
from shared.errors import Invalid
from shared.ids import canonical_id, new_id

DATASET = "dataset"
LONGEST_MILLISECONDS = 2**31 - 1


def wanted(request: pb.CreateProjectTestRunRequest) -> NewTestRun:
    """What a client asks to be run. Raises Invalid naming each wrong field."""
    wrong: dict[str, str] = {}
    if not request.dataset_name:
        wrong["dataset_name"] = "is required"
    if request.HasField("flavor_name") and request.flavor_name not in FLAVORS:
        wrong["flavor_name"] = f"must be one of {', '.join(FLAVORS)}"
    for index, evaluator in enumerate(request.target_evaluation_ids):
        if _uuid(evaluator) is None:
            wrong[f"target_evaluation_ids[{index}]"] = "must be a UUID"
    if wrong:
        raise Invalid(wrong)
    return NewTestRun(
        request.project_id,
        request.dataset_name,
        request.include_outputs,
        request.test_run_name,
        request.test_run_description,
        request.flavor_name,
        tuple(request.target_evaluation_ids),
    )


def opening(asked: NewTestRun) -> subjects_pb2.OpenSubjectRequest:
    """The dataset, by its name."""
    return subjects_pb2.OpenSubjectRequest(
        family=DATASET, name=asked.dataset_name, project_id=asked.project_id, evaluator_ids=asked.evaluator_ids
    )


def created(run: Run, opened: Opened, *, with_outputs: bool) -> pb.CreatedTestRun:
    """The run with its cases, in order."""
    contents = [(case.id, json_values.plain(case.content) or {}) for case in opened.cases]
    traces = run.details.get("kind") == "agent"
    return pb.CreatedTestRun(
        test_run_id=str(run.id),
        test_run_name=run.details["name"],
        test_run_description=run.details["description"],
        test_cases=[] if traces else [_prompt_case(case_id, content, with_outputs=with_outputs) for case_id, content in contents],
        trace_test_cases=[_trace_case(case_id, content, with_outputs=with_outputs) for case_id, content in contents] if traces else [],
    )


def _prompt_case(case_id: str, content: Mapping[str, Any], *, with_outputs: bool) -> pb.PromptTestCase:
    values = json_values.struct(content.get("values"))
    metadata = json_values.value(content.get("metadata"))
    return pb.PromptTestCase(
        id=case_id,
        test_case_id=case_id,
        values=values,
        variables=values,
        output=json_values.value(content.get("output") if with_outputs else None),
        output_message=json_values.value(content.get("output_message") if with_outputs else None),
        history=json_values.value(content.get("history")),
        metadata=metadata,
        custom_metadata=metadata,
        media_variables=json_values.value(content.get("media_variables")),
        test_case_type="completion",
    )


def _trace_case(case_id: str, content: Mapping[str, Any], *, with_outputs: bool) -> pb.TraceTestCase:
    return pb.TraceTestCase(
        test_case_id=case_id,
        input=json_values.value(content.get("input")),
        output=json_values.value(content.get("output") if with_outputs else None),
        custom_metadata=json_values.value(content.get("metadata")),
        test_case_type="trace",
    )


def recorded_case(request: pb.RecordCompletionRequest | pb.RecordTraceRequest) -> tuple[UUID, UUID]:
    """The (run id, case id) that a recording is of. Raises Invalid: outside a test run nothing is kept."""
    if not request.HasField("test_run_info"):
        raise Invalid({"test_run_info": "is required: recordings outside a test run are not kept"})
    run_id, case_id = _uuid(request.test_run_info.test_run_id), _uuid(request.test_run_info.test_case_id)
    if run_id is None or case_id is None:
        found = {"test_run_info.test_run_id": run_id, "test_run_info.test_case_id": case_id}
        raise Invalid({name: "must be a UUID" for name, parsed in found.items() if parsed is None})
    return run_id, case_id


def completion(request: pb.RecordCompletionRequest) -> Recording:
    """What a client says of a prompt's case. Raises Invalid naming each wrong field."""
    messages = [json_values.plain(message) for message in request.messages]
    if not messages:
        raise Invalid({"messages": "must hold at least one message; the last one is the output"})
    wrong = [index for index, message in enumerate(messages) if not isinstance(message, dict)]
    if wrong:
        raise Invalid({f"messages[{index}]": "must be an object" for index in wrong})
    call = _object(request.call_info, "call_info")
    record: dict[str, Any] = {
        "transcript": [turn for message in messages for turn in turns(message)],
        **_present(
            tools=json_values.plain(request.tool_schema),
            usage=call.get("usage"),
            client_evaluations=_verdicts(json_values.plain(request.eval_results)),
        ),
    }
    output = text_of(messages[-1])
    return Recording(output, None, _milliseconds(call), record)


def trace(request: pb.RecordTraceRequest) -> Recording:
    """What a client says of an agent's case; an agent that answered nothing is an error. Raises Invalid."""
    given, answered = json_values.plain(request.input), json_values.plain(request.output)
    record = _present(client_evaluations=_verdicts(json_values.plain(request.eval_results)), input=given)
    if answered is None:
        return Recording(None, "the trace has no output", None, record)
    output = text_for(answered)
    record["transcript"] = [{"role": "user", "content": text_for(given)}, {"role": "assistant", "content": output}]
    return Recording(output, None, None, record)


def completion_id(request: pb.RecordCompletionRequest) -> str:
    """The client's own id, or a new one."""
    return request.completion_id or str(new_id())


def _verdicts(said: Any) -> dict[str, bool | float] | None:
    if said is None:
        return None
    if not isinstance(said, dict):
        raise Invalid({"eval_results": "must be an object"})
    wrong = {
        f"eval_results.{name}": "must be a boolean or a number" for name, found in said.items() if not isinstance(found, bool | int | float)
    }
    if wrong:
        raise Invalid(wrong)
    return said


def _object(message: Any, name: str) -> dict[str, Any]:
    found = json_values.plain(message)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Invalid({name: "must be an object"})
    return found


def _milliseconds(call: Mapping[str, Any]) -> int | None:
    start, end = call.get("start_time"), call.get("end_time")
    if not isinstance(start, int | float) or not isinstance(end, int | float):
        return None
    # Bounded before it is made whole: of two finite times the difference may be infinite.
    return int(min(max((end - start) * 1000, 0), LONGEST_MILLISECONDS))


def _present(**values: Any) -> dict[str, Any]:
    return {name: found for name, found in values.items() if found is not None}


def _uuid(text: str) -> UUID | None:
    try:
        return canonical_id(text)
    except ValueError:
        return None
