"""Long texts come to an event portion by portion, each scored before the next is fetched: all at once they may be a gigabyte."""

from collections.abc import Collection
from uuid import UUID

from assay.runner.internal.v1 import events_pb2
from services.scoring.entities import Judging, Verdict
from services.scoring.verdicts import Judges, Texts, Verdicts
from shared.long_texts import LongTexts


async def verdicts(judges: Judges, long_texts: LongTexts, event: events_pb2.CasesExecuted, judging: Judging) -> Verdicts:
    """The verdicts on every case of an event, in order; at least one on each."""
    rest = sorted(case.ord for case in event.cases if case.texts_by_id)
    if not rest:
        return await judges.verdicts(event, {}, judging)

    async def scored(ords: Collection[int], texts: Texts) -> dict[int, list[Verdict]]:
        part = _part(event, ords)
        found = await judges.verdicts(part, texts, judging)
        return {case.ord: each for case, each in zip(part.cases, found, strict=True)}

    by_ord = await scored({case.ord for case in event.cases if not case.texts_by_id}, {})
    while rest:
        async with long_texts.portion(UUID(event.workspace_id), event.run_id, rest) as portion:
            by_ord |= await scored(set(rest) - set(portion.rest), portion.texts)
            rest = portion.rest
    return [by_ord[case.ord] for case in event.cases]


def _part(event: events_pb2.CasesExecuted, ords: Collection[int]) -> events_pb2.CasesExecuted:
    """The event with these of its cases."""
    part = events_pb2.CasesExecuted()
    part.CopyFrom(event)
    del part.cases[:]
    part.cases.extend(case for case in event.cases if case.ord in ords)
    return part
