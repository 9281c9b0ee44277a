"""What every answer of family A looks like, written down from the wire contract. Here a key is always there, null without a value."""

from collections.abc import Mapping
from typing import Any

from tests.suite.client import Answer
from tests.suite.contract import (
    Check,
    Shape,
    anything,
    conform,
    count,
    each,
    flag,
    moment,
    one_of,
    or_null,
    rate,
    said,
    text,
    uuid7,
)


def any_json(_: Any) -> str:
    """Whatever JSON can say."""
    return ""


def _by_type(value: Any) -> str:
    kind = str(value.get("type")) if isinstance(value, dict) else ""
    return BLOCKS[kind](value) if kind in BLOCKS else f"{value!r:.80} is no block of a message"


BLOCKS: Mapping[str, Shape] = {
    "text": Shape({"type": text, "text": text}),
    "tool_call": Shape({"type": text, "id": text, "name": said, "arguments": any_json}),
    "tool_result": Shape({"type": text, "tool_call_id": text, "content": any_json}),
}
MESSAGE = Shape({"role": one_of("system", "user", "assistant", "developer"), "content": each(_by_type)})

DATASET = Shape(
    {"id": uuid7, "name": said, "description": text, "input_names": each(said), "media_input_names": each(said), "support_history": flag}
)
PROMPT_CASE = Shape(
    {
        "id": uuid7,
        "inputs": anything,
        "values": anything,
        "output": or_null(text),
        "output_message": or_null(MESSAGE),
        "metadata": or_null(anything),
        "history": or_null(each(MESSAGE)),
        "media_inputs": or_null(anything),
    }
)
AGENT_CASE = Shape({"id": uuid7, "input": any_json, "output": any_json, "metadata": or_null(anything)})
# A trace case has an input beside, since its values need not be an object.
DATASET_CASE = Shape(
    {
        "id": uuid7,
        "values": or_null(anything),
        "output": any_json,
        "output_message": or_null(MESSAGE),
        "history": or_null(each(MESSAGE)),
        "metadata": or_null(anything),
    },
    {"input": any_json},
)

_RUN_CASE = Shape(
    {
        "id": uuid7,
        "test_case_id": uuid7,
        "values": anything,
        "variables": anything,
        "output": or_null(text),
        "output_message": or_null(MESSAGE),
        "history": or_null(each(MESSAGE)),
        "metadata": or_null(anything),
        "custom_metadata": or_null(anything),
        "media_variables": or_null(anything),
        "test_case_type": one_of("completion"),
    }
)
SPELLED_TWICE = (("id", "test_case_id"), ("values", "variables"), ("metadata", "custom_metadata"))


def RUN_CASE(value: Any) -> str:
    """A case of a prompt dataset as a run hands it out: some keys in two spellings."""
    return _RUN_CASE(value) or "; ".join(f"{one} is not {other}" for one, other in SPELLED_TWICE if value[one] != value[other])


TRACE_CASE = Shape(
    {
        "test_case_id": uuid7,
        "input": any_json,
        "output": any_json,
        "custom_metadata": or_null(anything),
        "test_case_type": one_of("trace"),
    }
)

_STARTED = Shape(
    {
        "test_run_id": uuid7,
        "test_run_name": text,
        "test_run_description": text,
        "test_cases": each(RUN_CASE),
        "trace_test_cases": each(TRACE_CASE),
    }
)


def STARTED(value: Any) -> str:
    """What a started run answers: the cases of one kind, never of both."""
    fault = _STARTED(value)
    return fault or ("cases of both kinds" if value["test_cases"] and value["trace_test_cases"] else "")


TALLY = Shape({"passed": count, "failed": count, "error": count, "average_score": or_null(rate)})


def by_name(check: Check) -> Check:
    """An object whose every value is such."""

    def faults(value: Any) -> str:
        if not isinstance(value, dict):
            return f"{value!r:.80} is not an object"
        return "; ".join(f"{name}: {fault}" for name, item in value.items() if (fault := check(item)))

    return faults


TEST_RUN = Shape(
    {
        "id": uuid7,
        "test_run_id": uuid7,
        "name": text,
        "description": text,
        "created_at": moment,
        "sessions_count": count,
        "status": one_of("running", "completed"),
        "summary_statistics": Shape(dict.fromkeys(("human_evaluation", "auto_evaluation", "client_evaluation"), by_name(TALLY))),
    }
)
CRITERION = Shape(
    {"id": uuid7, "name": said, "template": said, "mapping": by_name(said), "passing_score": rate, "is_enabled": flag},
    {"config": anything},
)
PAGINATION = Shape({"page": count, "page_size": count, "has_next": flag})
RECORDED = Shape({"completion_id": said})
TRACED = Shape({"trace_id": said})


def data(answer: Answer, check: Check, **pagination: object) -> list[dict[str, Any]]:
    """The entries of a list, whose pagination says what is given here."""
    assert answer.status == 200, answer
    found = conform(answer.json, Shape({"data": each(check), "pagination": PAGINATION}))
    assert found["pagination"].items() >= pagination.items(), found["pagination"]
    assert len(found["data"]) <= found["pagination"]["page_size"], found["pagination"]
    items: list[dict[str, Any]] = found["data"]
    return items
