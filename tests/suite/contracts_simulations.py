"""What every answer of family B looks like, written down from the wire contract: a key without a value is left out."""

from typing import Any
from urllib.parse import urlsplit

from tests.suite.client import Answer
from tests.suite.contract import Check, Shape, anything, conform, count, each, flag, moment, one_of, or_null, rate, said, text, uuid7
from tests.suite.contracts_projects import by_name

STATUSES = ("pending", "running", "evaluating", "completed", "failed", "cancelled")
ENDED = ("completed", "failed", "cancelled")

EVALUATION = Shape(
    {"id": uuid7, "name": said, "template_id": said, "template_name": said, "mapping": by_name(said), "error_localizer": flag},
    {"model": said},
)
SCENARIO = Shape(
    {
        "id": uuid7,
        "name": said,
        "kind": one_of("script", "persona", "dataset"),
        "script": each(said),
        "max_turns": count,
        "created_at": moment,
        "updated_at": moment,
    },
    {"description": said, "persona": anything, "goal": said, "dataset_id": uuid7},
)
RUN_TEST = Shape(
    {
        "id": uuid7,
        "name": said,
        "description": text,
        "status": one_of(*STATUSES),
        "scenarios": each(SCENARIO),
        "agent_definition": uuid7,
        "agent_version": uuid7,
        "evaluations": each(EVALUATION),
        "created_at": moment,
        "updated_at": moment,
    }
)
AGENT = Shape(
    {
        "id": uuid7,
        "agent_name": said,
        "instructions": text,
        "connection_id": uuid7,
        "tools": each(anything),
        "language": said,
        "active_version": uuid7,
        "created_at": moment,
        "updated_at": moment,
    },
    {"model": said, "description": said},
)
VERSION = Shape(
    {
        "id": uuid7,
        "agent_definition": uuid7,
        "instructions": text,
        "connection_id": uuid7,
        "tools": each(anything),
        "is_active": flag,
        "created_at": moment,
        "version_number": count,
        "language": said,
    },
    {"model": said, "commit_message": said},
)
CREATED_SCENARIO = Shape({"message": said, "scenario": SCENARIO, "status": said})
CREATED_AGENT = Shape({"message": said, "agent": AGENT})
CREATED_VERSION = Shape({"message": said, "version": VERSION})
CREATED_EVALUATIONS = Shape({"created_eval_configs": each(EVALUATION)})

_EXECUTED = Shape(
    {
        "message": said,
        "execution_id": uuid7,
        "run_test_id": uuid7,
        "status": one_of(*STATUSES),
        "total_scenarios": count,
        "total_calls": count,
        "scenario_ids": each(uuid7),
    }
)


def EXECUTED(value: Any) -> str:
    """A started execution; it counts the scenarios that it names."""
    fault = _EXECUTED(value)
    return fault or ("" if value["total_scenarios"] == len(value["scenario_ids"]) else "total_scenarios is not their number")


_EXECUTION = Shape(
    {"id": uuid7, "status": one_of(*STATUSES), "total_calls": count, "completed_calls": count},
    {"started_at": moment, "completed_at": moment},
)


def EXECUTION(value: Any) -> str:
    """An execution; one that is completed has every call and says when."""
    fault = _EXECUTION(value)
    if fault or value["status"] != "completed":
        return fault
    return "" if "completed_at" in value and value["completed_calls"] == value["total_calls"] else "completed without all of it"


SUMMARY = Shape(
    {"evaluations": each(Shape({"name": said, "total_runs": count, "passed": count, "failed": count}, {"average_score": rate}))}
)
TEMPLATES = Shape(
    {
        "evals": each(
            Shape(
                {
                    "id": said,
                    "name": said,
                    "eval_template_name": said,
                    "eval_required_keys": each(said),
                    "eval_template_tags": each(said),
                    "description": said,
                    "is_model_required": flag,
                    "type": said,
                }
            )
        )
    }
)

CALLS = Shape({"call_execution_ids": each(uuid7), "has_more": flag, "batched_scenarios": each(uuid7)})
LINE = Shape({"role": one_of("assistant", "user", "tool"), "content": text})
STARTED_CHAT = Shape({"message": said, "execution_id": uuid7, "run_test_id": uuid7, "status": one_of(*STATUSES), "total_scenarios": count})
_CHAT = Shape({"input_message": each(LINE), "output_message": each(LINE), "message_history": each(LINE), "chat_ended": flag})


def CHAT(value: Any) -> str:
    """A chat as it stands: its history ends with what the simulated user says."""
    fault = _CHAT(value)
    if fault:
        return fault
    last = value["message_history"][-1] if value["message_history"] else {}
    return "" if last.get("role") == "assistant" and last["content"] else "the history doesn't end with a line of the simulated user"


def result(answer: Answer, check: Check) -> dict[str, Any]:
    """What a reply of the chat mode holds."""
    assert answer.status == 200, answer
    found: dict[str, Any] = conform(answer.json, Shape({"status": one_of_true, "result": check}))["result"]
    return found


def one_of_true(value: Any) -> str:
    """Nothing but true."""
    return "" if value is True else f"{value!r} is not true"


def _is_url(value: Any) -> str:
    return "" if isinstance(value, str) and urlsplit(value).path.startswith("/") else f"{value!r:.80} is no URL"


def results(answer: Answer, check: Check) -> dict[str, Any]:
    """A page whose numbers fit together, whole."""
    assert answer.status == 200, answer
    numbers = dict.fromkeys(("count", "total_pages", "current_page"), count)
    links = dict.fromkeys(("next", "previous"), or_null(_is_url))
    found: dict[str, Any] = conform(answer.json, Shape({**numbers, **links, "results": each(check)}))
    assert (found["next"] is not None) == (found["current_page"] < found["total_pages"]), found
    assert (found["previous"] is not None) == (found["current_page"] > 1), found
    return found
