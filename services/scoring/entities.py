"""What scoring knows: an item to be scored, what was found, and the endpoint of a judge."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

Status = Literal["passed", "failed", "error", "not_applicable", "unscored"]
Method = Literal["deterministic", "embedding", "llm_judge", "heuristic_fallback", "client"]
FoundBy = Literal["scorer", "judge", "ablation"]
Match = Literal["exact", "fuzzy", "none"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible chat endpoint that a workspace uses as its judge; base_url ends in `/v1`.

    workspace separates the cached verdicts of two workspaces that use the same endpoint.
    max_input_chars bounds the judged text of one call, all fields together; requests_per_minute is 0 for no limit.
    """

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)
    workspace: str = ""
    max_concurrency: int = 4
    timeout_seconds: float = 60.0
    max_input_chars: int = 24_000
    requests_per_minute: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """One of an endpoint's slots, counted from 1, as it was taken by the transaction `taken_by`."""

    number: int
    taken_by: str


@dataclass(frozen=True, slots=True)
class Judging:
    """How a workspace wants its answers judged; require_judge leaves a case unscored when there is no judge."""

    judge: Endpoint | None = None
    require_judge: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One output to be scored against what was expected.

    method is the test method of the case; passing_score is 0-1; language is an IETF tag, which only chooses the
    negation words; judge is None where the workspace has none.
    """

    question: str
    expected: str
    output: str
    method: str
    passing_score: float = 0.7
    keywords: tuple[str, ...] = ()
    language: str = "en"
    context: str = ""
    judge: Endpoint | None = None
    require_judge: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span of text that the reason rests on: characters start to end (exclusive) of the field, in the given turn.

    found_by tells who pointed at it: the scorer itself, a judge, or leaving out one sentence after the other. match is "exact"
    where the quote stands there to the letter, "fuzzy" where nearly, "none" where a judge quoted what isn't there.
    """

    field: str
    turn: int
    start: int
    end: int
    quote: str
    found_by: FoundBy = "scorer"
    match: Match = "exact"


@dataclass(frozen=True, slots=True)
class Cosine:
    """How near two texts are, 0-1; truncated tells that only the first part of a very long one was read."""

    value: float
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """How an item fared and how that was found out.

    score is 0-1 and None where there is none: an error is not a zero. threshold is the item's passing score,
    scored_by the scorer and its version (`exact_match@1`). provenance is set for a judge's verdict only. error is
    set where status is error, not_applicable or unscored.
    """

    status: Status
    score: float | None
    method: Method
    threshold: float
    reason: str
    scored_by: str
    warnings: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    provenance: Mapping[str, object] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """One structured question to a judge.

    instructions is ours; texts are the judged ones by name, hostile until proved otherwise; schema is the JSON schema
    of the answer, its reasoning first. version grows with every change of the wording.
    """

    template: str
    version: int
    instructions: str
    texts: Mapping[str, str]
    schema: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class JudgeAnswer:
    """What a judge said, valid against the prompt's schema, and how it came about.

    provenance: endpoint, model, template, prompt_hash, response_format, samples, agreement, prompt_tokens,
    completion_tokens, latency_ms, cache_hit, repaired.
    """

    answer: Mapping[str, object]
    provenance: Mapping[str, object]
    warnings: tuple[str, ...] = ()


class JudgeError(RuntimeError):
    """No usable verdict could be had; the message says why, provenance how it was tried."""

    def __init__(self, message: str, provenance: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.provenance = provenance


@dataclass(frozen=True, slots=True)
class Span:
    """Characters start to end (exclusive) of one of the texts that a scorer was given, by its key."""

    key: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a scorer found before it is held against a threshold; value is 0-1."""

    value: float
    reason: str
    spans: tuple[Span, ...] = ()
    warnings: tuple[str, ...] = ()


class CannotScore(ValueError):
    """There is no value: neither 0 nor a pass. The message says why."""


class NotApplicable(ValueError):
    """There is nothing to judge. The message says what is missing."""


@dataclass(frozen=True, slots=True)
class Evaluator:
    """One way to judge an output: a template by name or id, what is filled into its keys, and its settings.

    passing_score is 0-1, None: the template's own. localize: whether the spans that a failure rests on are looked for.
    """

    name: str
    template: str
    mapping: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    passing_score: float | None = None
    localize: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one evaluator found of a case; its name is unique among those of the case.

    localized: whether the evidence is told with the score, rather than only kept.
    """

    evaluator: str
    score: Score
    localized: bool = False


@dataclass(frozen=True, slots=True)
class Scored:
    """A case of a run by its names, and what was found."""

    run_id: UUID
    case_id: UUID
    repeat: int
    evaluator: str
    score: Score


def verdict(score: float, threshold: float) -> Status:
    """Passed at the threshold or above it."""
    return "passed" if score >= threshold else "failed"


def failure(item: Item, method: Method, scored_by: str, error: str) -> Score:
    """The score of an item that could not be scored: neither a zero nor a pass."""
    return Score("error", None, method, item.passing_score, error, scored_by, error=error)
