"""What every answer of family C looks like, written down from the wire contract: camelCase, and null where there is no value."""

from typing import Any

from tests.suite.contract import Shape, anything, count, each, flag, moment, one_of, or_null, said, text, uuid7

MESSAGE = Shape({"role": one_of("system", "user", "assistant", "function", "developer"), "content": text})
FILE = Shape(
    {
        "index": count,
        "name": said,
        "mimeType": or_null(said),
        "vaultUrl": or_null(said),
        "variableName": or_null(said),
        "url": or_null(said),
    }
)
_ANSWER = Shape({"promptVersionId": uuid7, "output": or_null(text), "evals": each(anything)})
ANSWERS = Shape({"good": each(_ANSWER), "bad": each(_ANSWER)})


def _metadata(value: Any) -> str:
    return anything(value) or ("" if isinstance(value.get("source"), str) else "it has no source")


_TEST_CASE = {
    "id": uuid7,
    "title": said,
    "messages": or_null(each(MESSAGE)),
    "variables": or_null(anything),
    "variablesRichContent": or_null(anything),
    "files": or_null(each(FILE)),
    "promptId": uuid7,
    "expectedOutput": or_null(text),
    "answers": or_null(ANSWERS),
    "promptApplicationId": or_null(uuid7),
    "metadata": or_null(_metadata),
    "createdAt": moment,
    "updatedAt": moment,
    "deletedAt": or_null(moment),
}
TEST_CASE = Shape(_TEST_CASE)

_GENERATION = Shape(
    {
        "id": uuid7,
        "testCaseId": uuid7,
        "promptVersionId": uuid7,
        "status": one_of("initializing", "running", "succeeded", "failed"),
        "output": or_null(text),
        "error": or_null(said),
        "latencyMs": or_null(count),
        "usage": or_null(anything),
        "createdAt": moment,
        "completedAt": or_null(moment),
    }
)


def GENERATION(value: Any) -> str:
    """A generation, with what its status goes along with."""
    fault = _GENERATION(value)
    if fault:
        return fault
    there = {name: value[name] is not None for name in ("output", "error", "completedAt")}
    wanted = {
        "succeeded": {"output": True, "error": False, "completedAt": True},
        "failed": {"error": True, "completedAt": True},
    }.get(value["status"], {"error": False, "completedAt": False})
    return "" if there.items() >= wanted.items() else f"{value['status']} with {there}"


WITH_GENERATIONS = Shape({**_TEST_CASE, "generations": each(GENERATION)})
STARTED = Shape({"generationId": uuid7, "success": flag})

PROMPT = Shape(
    {"id": uuid7, "title": said, "projectId": or_null(uuid7), "createdAt": moment, "updatedAt": moment, "deletedAt": or_null(moment)}
)
VERSION = Shape(
    {
        "id": uuid7,
        "promptId": uuid7,
        "title": said,
        "messages": each(MESSAGE),
        "variables": each(Shape({"name": said, "required": flag})),
        "configuration": anything,
        "promoted": flag,
        "draft": flag,
        "createdAt": moment,
        "updatedAt": moment,
        "deletedAt": or_null(moment),
    }
)
APPLICATION = Shape({"id": uuid7, "promptId": uuid7, "promptVersionId": uuid7, "title": said, "createdAt": moment, "updatedAt": moment})
