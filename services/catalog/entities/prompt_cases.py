"""A test case of a prompt."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.prompt_messages import Json
from services.catalog.entities.prompts import title_faults

TITLE_WIDTH = 60
TITLE_FROM = 1000  # characters that a title is made of at most, however long the text
UNTITLED = "Test case"


@dataclass(frozen=True)
class CaseContent:
    """What a caller says about a test case, as JSON in the API's spelling; None where nothing was said."""

    title: str = ""
    messages: Sequence[Json] | None = None
    variables: Json | None = None
    variables_rich_content: Json | None = None
    files: Sequence[Json] | None = None
    expected_output: str | None = None
    answers: Json | None = None
    application_id: UUID | None = None
    metadata: Json | None = None

    def checked(self, place: str = "") -> "CaseContent":
        """These values. Raises Invalid naming each wrong field; `place` stands before its name."""
        faults.refuse({f"{place}{field}": fault for field, fault in title_faults(self.title).items()})
        return self

    def titled(self) -> "CaseContent":
        """With the first words of what is asked for a title, if there is none."""
        return self if self.title else replace(self, title=_first_words(next(self._texts(), UNTITLED)))

    @property
    def answered_versions(self) -> set[str]:
        """Ids of the versions that it holds answers of."""
        answers = self.answers or {}
        return {answer["promptVersionId"] for verdict in ("good", "bad") for answer in answers.get(verdict, ())}

    def _texts(self) -> Iterator[str]:
        said = [(message["role"], message["content"]) for message in self.messages or () if message["content"].strip()]
        yield from (content for role, content in said if role == "user")
        yield from (content for _, content in said)
        yield from (value for value in (self.variables or {}).values() if isinstance(value, str) and value.strip())


@dataclass(frozen=True)
class PromptCase:
    """A test case of a prompt of a workspace."""

    id: UUID
    workspace_id: UUID
    prompt_id: UUID
    content: CaseContent
    created_at: datetime
    updated_at: datetime

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "PromptCase":
        """With these values changed. Raises Invalid if one is wrong."""
        return replace(self, content=replace(self.content, **changes).checked(), updated_at=now)


def _first_words(text: str) -> str:
    begun = " ".join(text.strip()[:TITLE_FROM].split())
    shortened = textwrap.shorten(begun, TITLE_WIDTH, placeholder="…")
    return shortened if shortened != "…" else f"{begun[: TITLE_WIDTH - 1]}…"
