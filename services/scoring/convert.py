"""How cases and scores are spelled: message ⇄ entity."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from uuid import UUID

from google.protobuf import json_format, timestamp_pb2

from assay.catalog.internal.v1 import catalog_pb2, parts_pb2
from assay.runner.internal.v1 import events_pb2, runner_pb2
from assay.scoring.internal.v1 import events_pb2 as scoring_events, templates_pb2
from assay.scoring.v1 import templates_pb2 as public_templates
from services.scoring.cases import Case
from services.scoring.checking import Fault
from services.scoring.entities import Endpoint, Evaluator, Item, Judging, Score, Scored, Verdict
from services.scoring.registry import Template
from shared import json_values
from shared.hygiene import UNSTORABLE, cleaned
from shared.outbox import parts_by_size

# Characters of one reason, error or warning.
MAX_TEXT = 4_000
# Characters of an evaluator's name: it is part of a key.
MAX_NAME = 200
# What the documented API calls a template that nobody of the workspace made.
BUILT_IN = "futureagi_built"


def judging(workspace: UUID, settings: catalog_pb2.JudgeSettings) -> Judging:
    """How a workspace wants its answers judged."""
    if not settings.HasField("judge"):
        return Judging(None, settings.require_judge)
    judge = settings.judge
    endpoint = Endpoint(
        judge.base_url,
        settings.model,
        judge.api_key,
        str(workspace),
        judge.max_concurrency,
        judge.timeout_ms / 1000,
        requests_per_minute=judge.requests_per_minute,
    )
    return Judging(endpoint, settings.require_judge)


def item(case: events_pb2.ExecutedCase, texts: runner_pb2.CaseTexts | None, judged: Judging, language: str) -> Item:
    """What is to be scored of a case that has an output."""
    source = case if texts is None else texts
    return Item(
        source.question,
        source.expected,
        source.output,
        case.test_method,
        case.passing_score,
        tuple(case.keywords),
        language,
        judge=judged.judge,
        require_judge=judged.require_judge,
    )


def case(executed: events_pb2.ExecutedCase, texts: runner_pb2.CaseTexts | None, judged: Judging, language: str) -> Case:
    """What evaluators judge of a case that has an output."""
    source = executed if texts is None else texts
    record = json_values.plain(source.record)
    return Case(source.question, source.expected, source.output, tuple(executed.keywords), language, record, judged)


def evaluator(message: parts_pb2.Evaluator) -> Evaluator:
    """One of an event's evaluators, or one that is looked at before a run."""
    passing_score = message.passing_score if message.HasField("passing_score") else None
    mapping = {key: source for key, source in sorted(message.mapping.items()) if source}
    return Evaluator(message.name, message.template, mapping, json_values.plain(message.config), passing_score, message.error_localizer)


def template(known: Template) -> templates_pb2.Template:
    """A template as the other services see it."""
    return templates_pb2.Template(
        id=known.id,
        name=known.name,
        version=known.version,
        description=known.description,
        required_keys=known.required_keys,
        tags=known.tags,
        needs_model=known.needs_model,
        passing_score=known.passing_score,
    )


def listed(known: Template) -> public_templates.Eval:
    """A template as everybody sees it."""
    return public_templates.Eval(
        id=known.id,
        name=known.name,
        eval_template_name=known.name,
        eval_required_keys=known.required_keys,
        eval_template_tags=known.tags,
        description=known.description,
        is_model_required=known.needs_model,
        type=BUILT_IN,
    )


def checked(faults: Sequence[Fault], templates: Sequence[Template | None]) -> templates_pb2.CheckEvaluatorsResponse:
    """What was found of evaluators, and the template of each."""
    return templates_pb2.CheckEvaluatorsResponse(
        faults=[
            templates_pb2.CheckEvaluatorsResponse.Fault(
                index=fault.index, field=fault.field, message=fault.message, unknown_template=fault.unknown_template
            )
            for fault in faults
        ],
        templates=[templates_pb2.Template() if known is None else template(known) for known in templates],
    )


def not_executed(case: events_pb2.ExecutedCase) -> Score:
    """The score of a case that has no output: its error, kept in the denominator."""
    reason = case.error or "the target gave no answer"
    return Score("error", None, "deterministic", case.passing_score, reason, "", error=reason)


def given_up(case: events_pb2.ExecutedCase, tries: int) -> Score:
    """The score of a case of an event that was tried too often; a case that has an error of its own keeps it."""
    if case.HasField("error"):
        return not_executed(case)
    reason = f"scoring was tried {tries} times and never ended"
    return Score("error", None, "deterministic", case.passing_score, reason, "", error=reason)


def storable(score: Score) -> Score:
    """What a judge and its endpoint said is hostile: without what Postgres and protobuf refuse, and no longer than an event carries."""
    texts = (score.reason, score.error or "", *score.warnings, *(span.quote for span in score.evidence))
    if all(map(_is_fit, texts)):
        return score
    return replace(
        score,
        reason=_text(score.reason),
        error=None if score.error is None else _text(score.error),
        warnings=tuple(map(_text, score.warnings)),
        evidence=tuple(replace(span, quote=cleaned(span.quote)[0]) for span in score.evidence),
    )


def name(wanted: str) -> str:
    """An evaluator's name as it can be stored and indexed."""
    return cleaned(wanted)[0][:MAX_NAME]


def _is_fit(text: str) -> bool:
    return len(text) <= MAX_TEXT and UNSTORABLE.search(text) is None


def _text(text: str) -> str:
    clean, _ = cleaned(text)
    return clean if len(clean) <= MAX_TEXT else clean[: MAX_TEXT - 1] + "…"


def scored(run_id: str, cases: Sequence[events_pb2.ExecutedCase], verdicts: Sequence[Sequence[Verdict]]) -> list[Scored]:
    """Rows for the store."""
    run = UUID(run_id)
    return [
        Scored(run, UUID(case.case_id), case.repeat, verdict.evaluator, verdict.score)
        for case, found in zip(cases, verdicts, strict=True)
        for verdict in found
    ]


def cases_scored(event: events_pb2.CasesExecuted, verdicts: Sequence[Sequence[Verdict]], now: datetime) -> list[scoring_events.CasesScored]:
    """The events that tell of an event's scores; one, unless reasons made it too large."""
    moment = timestamp_pb2.Timestamp()
    moment.FromDatetime(now)
    messages: Iterable[scoring_events.ScoredCase] = (
        scoring_events.ScoredCase(executed=case, scores=[_score(verdict, moment) for verdict in found])
        for case, found in zip(event.cases, verdicts, strict=True)
    )
    return [
        scoring_events.CasesScored(workspace_id=event.workspace_id, run_id=event.run_id, cases=part) for part in parts_by_size(messages)
    ]


def _score(verdict: Verdict, moment: timestamp_pb2.Timestamp) -> scoring_events.Score:
    score = verdict.score
    message = scoring_events.Score(
        evaluator=verdict.evaluator,
        status=score.status,
        value=score.score,
        method=score.method,
        threshold=score.threshold,
        reason=score.reason,
        error=score.error,
        scored_by=score.scored_by,
        warnings=score.warnings,
        scored_at=moment,
    )
    if details := _details(verdict):
        json_format.ParseDict(details, message.details)
    return message


def _details(verdict: Verdict) -> dict[str, object]:
    score = verdict.score
    provenance = {} if score.provenance is None else {"provenance": dict(score.provenance)}
    evidence = [asdict(span) for span in score.evidence] if verdict.localized else []
    return {**provenance, **({"evidence": evidence} if evidence else {})}
