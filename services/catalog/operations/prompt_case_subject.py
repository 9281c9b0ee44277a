"""What a generation executes: a version of a prompt, filled from one test case."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from assay.catalog.internal.v1 import catalog_pb2, parts_pb2, subjects_pb2 as pb
from services.catalog.convert.internal import target
from services.catalog.entities.connections import Connection
from services.catalog.entities.prompt_cases import PromptCase
from services.catalog.entities.prompt_messages import Json
from services.catalog.entities.prompt_versions import PromptVersion, Wording
from services.catalog.operations.creation import Clock
from services.catalog.operations.defaults import default_connection
from services.catalog.store import connections, prompt_cases, prompt_versions, prompts
from shared.errors import Invalid, NotFound
from shared.ids import canonical_id, parse_id
from shared.json_values import struct
from shared.postgres import Connection as Sql, Database

CASE = "prompt_test_case"
PROMPT = "prompt"
INDEPENDENT = "independent"
LANGUAGE = "en"
# The deprecated name of what a tool answers.
SPELLED = {"function": "tool"}


@dataclass(frozen=True)
class PromptCaseSubject:
    """Opens the family `prompt_test_case`."""

    database: Database
    now: Clock

    async def open(self, workspace_id: UUID, request: pb.OpenSubjectRequest) -> AsyncIterator[pb.SubjectPart]:
        """The version, then its one case. Raises NotFound for the case or the version, Invalid for what doesn't go together."""
        case_id = parse_id(request.subject_id, prompt_cases.KIND)
        async with self.database.transaction() as sql:
            case = await prompt_cases.get(sql, workspace_id, case_id)
            version = await _version(sql, case, request.version_id)
            connection = await self._connection(sql, workspace_id, version.wording)
        filled = _case(case, version.wording)
        yield pb.SubjectPart(subject=_subject(case, version, connection))
        yield pb.SubjectPart(cases=catalog_pb2.CaseBatch(cases=[filled]))

    async def check(self, workspace_id: UUID, subject_id: str) -> None:
        """Raises NotFound if the workspace has no such test case."""
        case_id = parse_id(subject_id, prompt_cases.KIND)
        async with self.database.connection() as sql:
            await prompt_cases.get(sql, workspace_id, case_id)

    async def _connection(self, sql: Sql, workspace: UUID, wording: Wording) -> Connection:
        if wording.connection_id is None:
            return await default_connection(sql, workspace, self.now())
        try:
            return await connections.get(sql, workspace, wording.connection_id)
        except NotFound:
            raise Invalid({"configuration.connectionId": "the connection was deleted"}) from None


@dataclass(frozen=True)
class PromptSubject:
    """Prompts: generations are listed by them, and each test case is run by itself."""

    database: Database

    async def check(self, workspace_id: UUID, subject_id: str) -> None:
        """Raises NotFound if the workspace has no such prompt."""
        prompt_id = parse_id(subject_id, prompts.KIND)
        async with self.database.connection() as sql:
            await prompts.get(sql, workspace_id, prompt_id)


async def _version(sql: Sql, case: PromptCase, version_id: str) -> PromptVersion:
    if not version_id:
        version = await prompt_versions.promoted(sql, case.workspace_id, case.prompt_id)
        if version is None:
            raise Invalid({"promptVersionId": "is required while no version of the prompt is promoted"})
        return version
    try:
        version = await prompt_versions.get(sql, case.workspace_id, canonical_id(version_id))
    except ValueError:
        raise Invalid({"promptVersionId": "must be a UUID"}) from None
    if version.prompt_id != case.prompt_id:
        raise Invalid({"promptVersionId": "must be a version of the test case's prompt"})
    return version


def _subject(case: PromptCase, version: PromptVersion, connection: Connection) -> pb.Subject:
    wording, prompt_id, version_id = version.wording, str(case.prompt_id), str(version.id)
    return pb.Subject(
        subject_id=str(case.id),
        group_key=prompt_id,
        target_id=version_id,
        mode=INDEPENDENT,
        language=LANGUAGE,
        target=target(connection, wording.model_on(connection), parameters=wording.parameters),
        details=struct({"prompt_id": prompt_id, "prompt_version_id": version_id}),
    )


def _case(case: PromptCase, wording: Wording) -> catalog_pb2.Case:
    said = case.content
    messages = [*wording.filled(said.variables or {}), *(said.messages or ())]
    if not messages:
        raise Invalid({"messages": "neither the version of the prompt nor the test case has any"})
    content = {"variables": said.variables or {}, **({"files": said.files} if said.files else {})}
    return catalog_pb2.Case(
        id=str(case.id),
        question=_question(messages),
        expected=said.expected_output or "",
        messages=[_message(message) for message in messages],
        content=struct(content),
    )


def _question(messages: Sequence[Json]) -> str:
    """What is asked last, for those who read results."""
    asked: list[str] = [message["content"] for message in messages if message["role"] == "user"]
    return asked[-1] if asked else str(messages[-1]["content"])


def _message(message: Json) -> parts_pb2.ChatMessage:
    role: str = message["role"]
    return parts_pb2.ChatMessage(role=SPELLED.get(role, role), content=message["content"])
