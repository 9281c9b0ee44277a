"""Events and internal answers → entities."""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from assay.runner.internal.v1 import events_pb2 as runner_events, runner_pb2
from assay.scoring.internal.v1 import events_pb2 as scoring_events
from services.reporting.entities.results import NO_RECORD, CaseRecord, NewResult, Texts
from services.reporting.entities.runs import ERROR, FAILED, PASSED, TEST_SET, Ending, News, Subject
from shared.ids import new_id

NO_WARNINGS = "[]"
UNEXPLAINED = "the case could not be scored"
CasesScored = scoring_events.CasesScored


def news(state: runner_pb2.RunState) -> News:
    """What the runner says of a run."""
    return News(
        id=UUID(state.id),
        workspace_id=UUID(state.workspace_id),
        subject=_subject(state),
        state=state.state,
        triggered_by=state.triggered_by,
        total_cases=state.total_cases,
        tags=tuple(state.tags),
        created_at=_time(state.created_at),
        started_at=_time(state.started_at) if state.HasField("started_at") else None,
        ended_at=_time(state.completed_at) if state.HasField("completed_at") else None,
        reason=_stored(state.reason),
        executed_cases=state.executed_cases,
    )


def _subject(state: runner_pb2.RunState) -> Subject:
    return Subject(
        id=UUID(state.subject_id),
        target_id=UUID(state.target_id) if state.target_id else None,
        family=state.family or TEST_SET,
        group_key=state.group_key,
        evaluators=tuple(state.evaluators),
        details=_object(state.details),
        client_driven=state.client_driven,
    )


def ending(finished: runner_events.RunFinished) -> Ending:
    """How a run ended."""
    told = news(finished.run)
    return Ending(told.state, told.ended_at or datetime.now(UTC), finished.expected_results, told.reason)


def texts(told: runner_pb2.CaseTexts) -> Texts:
    """Texts that were too long for an event."""
    return Texts(told.question, told.expected, told.output if told.HasField("output") else None, _json(told.record))


def long_ords(event: scoring_events.CasesScored) -> list[int]:
    """The cases of an event whose texts must be asked for."""
    return sorted({case.executed.ord for case in event.cases if case.executed.texts_by_id})


def part(event: scoring_events.CasesScored, ords: Collection[int]) -> scoring_events.CasesScored:
    """The event with these of its cases."""
    cases = [case for case in event.cases if case.executed.ord in ords]
    return scoring_events.CasesScored(workspace_id=event.workspace_id, run_id=event.run_id, cases=cases)


def results(event: scoring_events.CasesScored, long_texts: Mapping[int, Texts]) -> Iterator[NewResult]:
    """The result rows of an event; `long_texts` by ord."""
    workspace, run_id = UUID(event.workspace_id), UUID(event.run_id)
    for case in event.cases:
        for score in case.scores:
            yield _result(workspace, run_id, case.executed, score, long_texts.get(case.executed.ord))


def records(event: scoring_events.CasesScored, long_texts: Mapping[int, Texts]) -> Iterator[CaseRecord]:
    """What an event tells of how its cases were executed; nothing of those of a test set, which name their own method."""
    workspace, run_id = UUID(event.workspace_id), UUID(event.run_id)
    for executed in (case.executed for case in event.cases if not case.executed.test_method):
        long = long_texts.get(executed.ord)
        answered = executed.HasField("output") if long is None else long.output is not None
        yield CaseRecord(run_id, executed.ord, workspace, answered, _json(executed.record) if long is None else long.record)


def _result(
    workspace: UUID, run_id: UUID, executed: runner_events.ExecutedCase, score: scoring_events.Score, long_texts: Texts | None
) -> NewResult:
    texts = long_texts or Texts(executed.question, executed.expected, executed.output if executed.HasField("output") else None)
    status = score.status if score.status in (PASSED, FAILED) else ERROR
    return NewResult(
        run_id,
        executed.ord,
        score.evaluator,
        workspace,
        new_id(),
        UUID(executed.case_id),
        executed.repeat,
        _stored(texts.question),
        _stored(texts.expected),
        None if texts.output is None else _stored(texts.output),
        executed.test_method,
        score.method,
        status,
        score.value if score.HasField("value") else None,
        score.threshold,
        _reasoning(score),
        executed.execution_time_ms if executed.HasField("execution_time_ms") else None,
        _why(executed, score) if status == ERROR else None,
        score.scored_by,
        _judge(score.details) if score.HasField("details") else None,
        _warnings(executed, score),
        executed.attempts,
        _time(score.scored_at),
        _json(score.details) if score.HasField("details") else None,
    )


def _reasoning(score: scoring_events.Score) -> str | None:
    """The reason, and what the score was held against: the documented result has no key of its own for the threshold."""
    if not score.reason:
        return None
    held_against = f" (threshold {score.threshold:g})" if score.HasField("value") else ""
    return _stored(score.reason) + held_against


def _why(executed: runner_events.ExecutedCase, score: scoring_events.Score) -> str:
    # not_applicable and unscored read as errors too; what they say stands in `reason`.
    return _stored(score.error or executed.error or score.reason or UNEXPLAINED)


def _warnings(executed: runner_events.ExecutedCase, score: scoring_events.Score) -> str:
    if not executed.warnings and not score.warnings:
        return NO_WARNINGS
    return orjson.dumps([_stored(text) for text in (*executed.warnings, *score.warnings)]).decode()


def _judge(details: Struct) -> str | None:
    """Who judged, as `model at endpoint`: what makes two verdicts comparable."""
    if "provenance" not in details.fields:
        return None
    provenance = details.fields["provenance"].struct_value.fields
    named = [provenance[key].string_value for key in ("model", "endpoint") if key in provenance]
    return _stored(" at ".join(name for name in named if name)) or None


def _json(told: Struct) -> str:
    return orjson.dumps(_object(told)).decode() if told.fields else NO_RECORD


def _object(told: Struct) -> dict[str, Any]:
    return {_stored(name): _plain(value) for name, value in told.fields.items()}


def _plain(value: Value) -> Any:
    # By hand: json_format refuses NaN and infinities, which would make the event undeliverable; orjson makes them null.
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _object(value.struct_value)
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    if kind == "string_value":
        return _stored(value.string_value)
    if kind == "number_value":
        return int(value.number_value) if value.number_value.is_integer() else value.number_value
    return value.bool_value if kind == "bool_value" else None


def _stored(text: str) -> str:
    # Postgres refuses U+0000, and an event that is refused for ever would keep its run open for ever.
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _time(told: Timestamp) -> datetime:
    return told.ToDatetime(tzinfo=UTC)
