"""How runs and cases are spelled: entity ⇄ message."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from assay.catalog.internal.v1 import catalog_pb2, parts_pb2, subjects_pb2
from assay.runner.internal.v1 import events_pb2, runner_pb2
from assay.runner.v1 import runs_pb2
from assay.scoring.internal.v1 import events_pb2 as scoring_events
from services.runner.entities import CANCELLING, CONVERSATION, SCENARIO, Counts, Executed, Outcome, Run, Target, Ticket
from services.runner.subjects import Opened
from services.runner.wishes import Wish
from shared import json_values
from shared.errors import Invalid
from shared.ids import canonical_id
from shared.outbox import parts_by_size

TEXTS_BY_ID_BYTES = 8 * 1024
OUTCOMES = {"passed": "passed", "failed": "failed"}


def wish(request: runs_pb2.StartRunRequest) -> Wish:
    """What a caller asks to be run. Raises Invalid naming every wrong field."""
    wrong: dict[str, str] = {}
    ids = {"test_set_id": UUID(int=0), "context_id": UUID(int=0)}
    for name in ids:
        text = getattr(request, name)
        try:
            ids[name] = canonical_id(text)
        except ValueError:
            wrong[name] = "must be a UUID" if text else "is required"
    asked = Wish(
        ids["test_set_id"],
        ids["context_id"],
        request.repeats if request.HasField("repeats") else None,
        request.max_concurrency if request.HasField("max_concurrency") else None,
        tuple(request.tags),
    )
    wrong |= asked.faults()
    if wrong:
        raise Invalid(wrong)
    return asked


def run(found: Run, counts: Counts = Counts()) -> runs_pb2.Run:  # noqa: B008 frozen
    """The public run. A run that is being cancelled reads cancelled at once."""
    message = runs_pb2.Run(
        id=str(found.id),
        test_set_id=str(found.subject_id),
        context_id=str(found.target_id),
        status=runs_pb2.Run.Status.Value("cancelled" if found.state == CANCELLING else found.state),
        triggered_by=found.triggered_by,
        total_cases=found.total_cases,
        completed_cases=counts.completed,
        passed_cases=counts.passed,
        failed_cases=counts.failed,
        error_cases=counts.errors,
        tags=found.tags,
        stream_url=f"/v1/evaluation/runs/{found.id}/events",
    )
    if counts.completed:
        message.pass_rate = counts.passed / counts.completed
    if counts.average_score is not None:
        message.average_score = counts.average_score
    _tell_times(message, found)
    return message


def run_state(found: Run, executed_cases: int = 0) -> runner_pb2.RunState:
    """The run as other services hear of it."""
    message = runner_pb2.RunState(
        id=str(found.id),
        workspace_id=str(found.workspace_id),
        subject_id=str(found.subject_id),
        target_id=str(found.target_id or ""),
        state=found.state,
        triggered_by=found.triggered_by,
        total_cases=found.total_cases,
        tags=found.tags,
        reason=found.reason,
        family=found.family,
        group_key=found.group_key,
        evaluators=[evaluator["name"] for evaluator in found.evaluators],
        client_driven=found.client_driven,
        executed_cases=executed_cases,
    )
    if found.details:
        message.details.CopyFrom(json_values.struct(found.details))
    _tell_times(message, found)
    return message


def _tell_times(message: runs_pb2.Run | runner_pb2.RunState, found: Run) -> None:
    message.created_at.FromDatetime(found.created_at)
    if found.started_at is not None:
        message.started_at.FromDatetime(found.started_at)
    if found.completed_at is not None:
        message.completed_at.FromDatetime(found.completed_at)


def run_finished(found: Run, counts: Counts) -> events_pb2.RunFinished:
    """The event of a run's end."""
    return events_pb2.RunFinished(
        run=run_state(found),
        expected_results=counts.results,
        passed=counts.passed,
        failed=counts.failed,
        errors=counts.errors,
    )


def ticket(of: Run, issued: Ticket, trace: str = "") -> events_pb2.Ticket:
    """The message of an issued ticket."""
    return events_pb2.Ticket(
        workspace_id=str(of.workspace_id),
        run_id=str(of.id),
        number=issued.number,
        first_ord=issued.range.first,
        last_ord=issued.range.last,
        epoch=issued.epoch,
        connection_id=str(of.target.connection_id),
        at_once=of.at_once,
        connection_slots=of.target.max_concurrency,
        run_slots=of.slots,
        simulator_slots=of.simulator.max_concurrency if of.simulator is not None else 0,
        conversations={SCENARIO: 1, CONVERSATION: len(issued.range.ords)}.get(of.mode, 0),
        trace=trace,
    )


def cases_executed(of: Run, executed: Sequence[Executed]) -> list[events_pb2.CasesExecuted]:
    """Events of at most 512 KiB each; the texts of a long case travel by id."""
    evaluators = [json_format.ParseDict(dict(evaluator), parts_pb2.Evaluator()) for evaluator in of.evaluators]
    workspace, run_id = str(of.workspace_id), str(of.id)
    return [
        events_pb2.CasesExecuted(workspace_id=workspace, run_id=run_id, language=of.language, cases=part, evaluators=evaluators)
        for part in parts_by_size(map(_executed_case, executed))
    ]


def record(plan: Mapping[str, Any] | None, recorded: Mapping[str, Any] | None) -> Struct | None:
    """What is known of an execution beside its output: the case's own content, and what was recorded."""
    known = {**((plan or {}).get("content") or {}), **(recorded or {})}
    return json_values.struct(known) if known else None


def case_texts(row: Mapping[str, Any]) -> runner_pb2.CaseTexts:
    """The texts of a case that were too long for an event."""
    return runner_pb2.CaseTexts(
        ord=row["ord"],
        question=row["question"],
        expected=row["expected"],
        output=row["output"],
        record=record(row["plan"], row["record"]),
    )


def _executed_case(each: Executed) -> events_pb2.ExecutedCase:
    case = each.case
    known = record(case.plan, each.record) if case.plan or each.record else None
    length = len(case.question) + len(case.expected) + len(each.output or "") + (known.ByteSize() if known else 0)
    message = events_pb2.ExecutedCase(
        ord=case.ord,
        case_id=str(case.case_id),
        repeat=case.repeat,
        test_method=case.test_method,
        passing_score=case.passing_score,
        keywords=case.keywords,
        execution_time_ms=each.execution_time_ms,
        attempts=case.attempts + each.attempts,
        warnings=each.warnings,
        error=each.error,
        texts_by_id=length > TEXTS_BY_ID_BYTES,
    )
    if not message.texts_by_id:
        message.question, message.expected = case.question, case.expected
        if known is not None:
            message.record.CopyFrom(known)
        if each.output is not None:
            message.output = each.output
    return message


def target(found: catalog_pb2.Target) -> Target:
    """What is called; its parameters spelled whole, since endpoints refuse `"max_tokens": 100.0`."""
    return Target(
        connection_id=UUID(found.connection_id),
        kind=found.kind,
        base_url=found.base_url,
        model=found.model,
        statement=found.statement,
        parameters=json_values.plain(found.parameters),
        max_concurrency=found.max_concurrency,
        requests_per_minute=found.requests_per_minute,
        timeout_ms=found.timeout_ms,
    )


def opened(family: str, subject: subjects_pb2.Subject, cases: Sequence[catalog_pb2.Case]) -> Opened:
    """What the catalog opened."""
    return Opened(
        family,
        UUID(subject.subject_id),
        subject.group_key,
        UUID(subject.target_id) if subject.target_id else None,
        subject.mode,
        subject.language,
        target(subject.target) if subject.HasField("target") else None,
        target(subject.simulator) if subject.HasField("simulator") else None,
        tuple(json_format.MessageToDict(evaluator, preserving_proto_field_name=True) for evaluator in subject.evaluators),
        json_values.plain(subject.details),
        cases,
    )


def frozen(of: Run, repeat: int, position: int, batch: Sequence[catalog_pb2.Case]) -> list[tuple[object, ...]]:
    """Records for the store: one batch of cases, in one repeat, from `position` on."""
    first = (repeat - 1) * of.case_count + position
    return [
        (
            of.id,
            first + index,
            UUID(case.id),
            repeat,
            case.question,
            case.expected,
            case.test_method,
            case.passing_score,
            list(case.keywords),
            case.file_url or None,
            case.file_mime_type or None,
            plan(case),
            True if of.client_driven else None,
        )
        for index, case in enumerate(batch)
    ]


def plan(case: catalog_pb2.Case) -> dict[str, Any] | None:
    """What a family adds to a case; None for a test case."""
    added: dict[str, Any] = {}
    if case.HasField("simulation"):
        added["simulation"] = json_format.MessageToDict(case.simulation, preserving_proto_field_name=True)
    if case.messages:
        added["messages"] = [{"role": message.role, "content": message.content} for message in case.messages]
    if case.HasField("content"):
        added["content"] = json_values.plain(case.content)
    return added or None


def outcomes(event: scoring_events.CasesScored) -> dict[int, Outcome]:
    """Ord → outcome of every scored case; whatever is neither passed nor failed is an error."""
    return {each.executed.ord: _outcome(each.scores) for each in event.cases}


def _outcome(scores: Sequence[scoring_events.Score]) -> Outcome:
    """Of all evaluators together: an error outweighs a failure, a failure outweighs a pass."""
    found = {OUTCOMES.get(score.status, "error") for score in scores}
    values = [score.value for score in scores if score.HasField("value")]
    status = next(status for status in ("error", "failed", "passed") if status in found)
    return Outcome(status, sum(values) / len(values) if values else None, len(scores))
