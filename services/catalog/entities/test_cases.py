"""A test case: a question, what is expected of the answer, and how that is judged."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.catalog.entities import faults
from services.catalog.entities.connections import url_fault
from services.catalog.entities.faults import Faults
from services.catalog.entities.files import is_own_path

KEYWORD_MATCH = "keyword_match"
METHODS = ("exact_match", KEYWORD_MATCH, "similarity", "semantic_quality")
MAX_MIME_TYPE = 255


@dataclass(frozen=True)
class Content:
    """What a caller says about a case."""

    question: str
    expected_response: str
    test_method: str = "semantic_quality"
    passing_score: float = 0.7
    keywords: tuple[str, ...] = ()
    order: int = 0
    file_url: str | None = None
    file_mime_type: str | None = None

    def checked(self) -> "Content":
        """This content. Raises Invalid naming each wrong field."""
        faults.refuse(self.faults())
        return self

    def faults(self) -> Faults:
        """What is wrong, by field."""
        found: dict[str, str] = {}
        if not self.question:
            found["question"] = "must not be empty"
        if not self.expected_response:
            found["expected_response"] = "must not be empty"
        if not 0 <= self.passing_score <= 1:
            found["passing_score"] = "must be from 0 to 1"
        found.update(faults.one_of("test_method", self.test_method, METHODS))
        found.update(self._keyword_faults())
        found.update(self._file_faults())
        return found

    def _keyword_faults(self) -> Faults:
        if self.test_method == KEYWORD_MATCH and not self.keywords:
            return {"keywords": "must not be empty for keyword_match"}
        return {f"keywords[{index}]": "must not be empty" for index, keyword in enumerate(self.keywords) if not keyword}

    def _file_faults(self) -> Faults:
        found = dict(faults.length("file_mime_type", self.file_mime_type, MAX_MIME_TYPE))
        if self.file_url is not None and not is_own_path(self.file_url):
            fault = url_fault(self.file_url, ("http", "https"))
            if fault:
                found["file_url"] = fault
        return found


@dataclass(frozen=True)
class TestCase:
    """A case of a test set, as it is at one revision of the set."""

    id: UUID
    workspace_id: UUID
    test_set_id: UUID
    content: Content
    created_at: datetime
    updated_at: datetime

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "TestCase":
        """With this content changed. Raises Invalid if it doesn't go together."""
        return replace(self, content=replace(self.content, **changes).checked(), updated_at=now)
