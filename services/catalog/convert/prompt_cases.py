"""PromptCase ⇄ message, and JSON."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import ListValue, Value

from assay.catalog.v1 import prompt_test_cases_pb2 as pb
from assay.reporting.internal.v1.reporting_pb2 import Generation
from services.catalog.convert import fields
from services.catalog.convert.json_object import JsonObject
from services.catalog.convert.prompt_parts import messages, optional_text, sent
from services.catalog.entities import faults
from services.catalog.entities.prompt_cases import CaseContent, PromptCase
from services.catalog.entities.prompt_messages import Json
from services.catalog.operations.prompt_cases import NewCase, Wanted
from shared.errors import Invalid
from shared.json_values import plain, value

MAX_CASES = 10_000
SOURCE = "api"
FILE_TEXTS = ("name", "mimeType", "vaultUrl", "variableName", "url")
FIELDS = (
    "title",
    "messages",
    "variables",
    "variables_rich_content",
    "files",
    "expected_output",
    "answers",
    "prompt_application_id",
    "metadata",
)


def new_cases(body: Value) -> list[NewCase]:
    """The test cases of an object or an array. Raises Invalid naming each wrong field, by its place in the array."""
    said = plain(body)
    if not isinstance(said, list):
        said = [said]
        places = [""]
    else:
        places = [f"[{index}]" for index in range(len(said))]
    if len(said) > MAX_CASES:
        raise Invalid({"body": f"must have at most {MAX_CASES} test cases"})
    wrong: dict[str, str] = {}
    made = [_new_case(JsonObject(item, place, wrong)) for item, place in zip(said, places, strict=True)]
    faults.refuse(wrong)
    return [case for case in made if case is not None]


def packer(body: Value) -> Callable[[Sequence[PromptCase]], Value]:
    """What makes the answer: an object for an object, an array for an array."""
    if body.HasField("list_value"):
        return lambda made: value([_json(case) for case in made])
    return lambda made: value(_json(made[0]))


def changes(request: pb.UpdatePromptTestCaseRequest) -> dict[str, Any]:
    """What is to change, by name. Raises Invalid naming each wrong field."""
    said = sent(request, FIELDS)
    values = _values(said)
    faults.refuse(said.faults)
    return values


def wanted(request: pb.ListPromptTestCasesRequest) -> Wanted:
    """Which cases. Raises Invalid naming each wrong parameter."""
    wrong: dict[str, str] = {}
    versions = [_version_id(index, text, wrong) for index, text in enumerate(request.prompt_version_ids)]
    prompt_id = fields.body_id("promptId", request.prompt_id, wrong)
    faults.refuse(wrong)
    return Wanted(prompt_id, frozenset(versions), request.include_generations)


def message(case: PromptCase, generations: Sequence[Generation] | None = None) -> pb.PromptTestCase:
    """As it is shown; `generations`: None where they weren't asked for."""
    said = case.content
    return pb.PromptTestCase(
        id=str(case.id),
        title=said.title,
        messages=value(said.messages),
        variables=value(said.variables),
        variables_rich_content=value(said.variables_rich_content),
        files=value(said.files),
        prompt_id=str(case.prompt_id),
        expected_output=value(said.expected_output),
        answers=value(said.answers),
        prompt_application_id=value(str(said.application_id) if said.application_id else None),
        metadata=value(said.metadata),
        created_at=fields.timestamp(case.created_at),
        updated_at=fields.timestamp(case.updated_at),
        deleted_at=value(None),
        generations=None if generations is None else _list(generations),
    )


def _json(case: PromptCase) -> Json:
    shown: Json = MessageToDict(message(case))
    return shown


def _list(generations: Sequence[Generation]) -> ListValue:
    return value([_generation(one) for one in generations]).list_value


def _generation(one: Generation) -> Json:
    """As it is shown; what is absent is null."""
    return {
        "id": one.id,
        "testCaseId": one.test_case_id,
        "promptVersionId": one.prompt_version_id,
        "status": one.status,
        "output": one.output if one.HasField("output") else None,
        "error": one.error if one.HasField("error") else None,
        "latencyMs": one.latency_ms if one.HasField("latency_ms") else None,
        "usage": plain(one.usage) if one.HasField("usage") else None,
        "createdAt": one.created_at.ToJsonString(),
        "completedAt": one.completed_at.ToJsonString() if one.HasField("completed_at") else None,
    }


def _version_id(index: int, text: str, wrong: dict[str, str]) -> str:
    try:
        return str(fields.body_id(f"promptVersionIds[{index}]", text))
    except Invalid as fault:
        wrong.update(fault.fields)
        return ""


def _new_case(said: JsonObject) -> NewCase | None:
    prompt_id, values = said.required_id("promptId"), _values(said)
    if said.faults or prompt_id is None:
        return None
    place = f"{said.place}." if said.place else ""
    return NewCase(prompt_id, CaseContent(**values).titled().checked(place), place)


def _files(said: JsonObject, key: str) -> list[Json] | None:
    rows = said.parts(key)
    return None if rows is None else [_file(row, position) for position, row in enumerate(rows)]


def _file(row: JsonObject, position: int) -> Json:
    row.name("name")
    index = row.whole("index")
    return {"index": position if index is None else index, **{name: row.text(name) for name in FILE_TEXTS}}


def _answers(said: JsonObject, key: str) -> Json | None:
    part = said.part(key)
    return None if part is None else {verdict: [_answer(row) for row in part.parts(verdict) or ()] for verdict in ("good", "bad")}


def _answer(row: JsonObject) -> Json:
    evals = row.array("evals") or []
    if not all(isinstance(one, dict) for one in evals):
        row.fault("evals", "must be an array of objects")
    version_id = row.required_id("promptVersionId")
    return {"promptVersionId": str(version_id), "output": row.text("output"), "evals": evals}


def _metadata(said: JsonObject, key: str) -> Json | None:
    found = said.object(key)
    return None if found is None else {"source": SOURCE, **found}


READERS: Mapping[str, tuple[str, Callable[[JsonObject, str], Any]]] = {
    "title": ("title", JsonObject.text),
    "messages": ("messages", messages),
    "variables": ("variables", JsonObject.object),
    "variablesRichContent": ("variables_rich_content", JsonObject.object),
    "files": ("files", _files),
    "expectedOutput": ("expected_output", optional_text),
    "answers": ("answers", _answers),
    "promptApplicationId": ("application_id", JsonObject.id),
    "metadata": ("metadata", _metadata),
}


def _values(said: JsonObject) -> dict[str, Any]:
    """What is said, by the entity's names."""
    return {name: read(said, key) for key, (name, read) in READERS.items() if said.has(key)}
