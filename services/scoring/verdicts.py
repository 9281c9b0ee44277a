"""What becomes of every case of an event: scored by its test method, by the run's evaluators, or by what came with its output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from assay.runner.internal.v1 import events_pb2, runner_pb2
from services.scoring import client_evaluations, convert
from services.scoring.cases import Case
from services.scoring.entities import Evaluator, Judging, Verdict
from services.scoring.evaluations import Evaluations
from services.scoring.scorers import Scorers

JUDGED_METHOD = "semantic_quality"
Texts = Mapping[int, runner_pb2.CaseTexts]
Verdicts = list[list[Verdict]]


@dataclass(frozen=True, slots=True)
class Judges:
    """Who judges: the test methods, and the evaluators."""

    scorers: Scorers
    evaluations: Evaluations

    def asks(self, event: events_pb2.CasesExecuted) -> bool:
        """Whether a judge would be asked, if the workspace has one."""
        if event.evaluators:
            return self.evaluations.needs_judge(evaluators(event))
        return any(case.test_method == JUDGED_METHOD for case in event.cases)

    async def verdicts(self, event: events_pb2.CasesExecuted, texts: Texts, judging: Judging) -> Verdicts:
        """At least one verdict on each case, in order, under names that are unique within the case."""
        if event.evaluators:
            return await self._by_evaluators(event, texts, judging)
        by_method = await self._by_method(event, texts, judging)
        return [[by_method[case.ord]] if case.test_method else _by_record(case, texts.get(case.ord)) for case in event.cases]

    async def _by_method(self, event: events_pb2.CasesExecuted, texts: Texts, judging: Judging) -> dict[int, Verdict]:
        named = [case for case in event.cases if case.test_method]
        answered = [case for case in named if _has_output(case, texts)]
        found = await self.scorers.score([convert.item(case, texts.get(case.ord), judging, event.language) for case in answered])
        by_ord = {case.ord: convert.storable(score) for case, score in zip(answered, found, strict=True)}
        return {case.ord: Verdict(case.test_method, by_ord.get(case.ord) or convert.not_executed(case)) for case in named}

    async def _by_evaluators(self, event: events_pb2.CasesExecuted, texts: Texts, judging: Judging) -> Verdicts:
        known = evaluators(event)
        cases = {case.ord: convert.case(case, texts.get(case.ord), judging, event.language) for case in event.cases}
        answered = [case.ord for case in event.cases if _has_output(case, texts)]
        found = iter(await self.evaluations.score([(cases[ord_], each) for ord_ in answered for each in known]))
        scored = {ord_: [Verdict(each.name, convert.storable(next(found)), each.localize) for each in known] for ord_ in answered}
        thresholds = {each.name: self.evaluations.threshold(each) for each in known}
        return [
            _unique([*(scored.get(case.ord) or self._not_executed(case, known)), *_clients(cases[case.ord], thresholds)])
            for case in event.cases
        ]

    def _not_executed(self, case: events_pb2.ExecutedCase, known: Sequence[Evaluator]) -> list[Verdict]:
        score = convert.not_executed(case)
        return [Verdict(each.name, replace(score, threshold=self.evaluations.threshold(each))) for each in known]


def evaluators(event: events_pb2.CasesExecuted) -> list[Evaluator]:
    """The evaluators of an event, under names that are unique and can be stored."""
    named = [convert.evaluator(message) for message in event.evaluators]
    names = _names([each.name or each.template for each in named])
    return [replace(each, name=name) for each, name in zip(named, names, strict=True)]


def given_up(event: events_pb2.CasesExecuted, tries: int) -> Verdicts:
    """An error of everybody who should have judged."""
    names = [each.name for each in evaluators(event)]
    return [
        [Verdict(name, convert.given_up(case, tries)) for name in names or [case.test_method or client_evaluations.RECORDED]]
        for case in event.cases
    ]


def _by_record(case: events_pb2.ExecutedCase, texts: runner_pb2.CaseTexts | None) -> list[Verdict]:
    """Nobody judges: what the client said counts, or else that there is an output. A case without one is an error in any case."""
    told = _clients(convert.case(case, texts, Judging(), ""), {})
    if not (case.HasField("output") or (texts is not None and texts.HasField("output"))):
        return _unique([Verdict(client_evaluations.RECORDED, convert.not_executed(case)), *told])
    return _unique(told) or [client_evaluations.recorded()]


def _clients(case: Case, thresholds: Mapping[str, float]) -> list[Verdict]:
    return [replace(each, score=convert.storable(each.score)) for each in client_evaluations.verdicts(case.record, thresholds)]


def _has_output(case: events_pb2.ExecutedCase, texts: Texts) -> bool:
    return case.HasField("output") or (case.ord in texts and texts[case.ord].HasField("output"))


def _unique(verdicts: Sequence[Verdict]) -> list[Verdict]:
    names = _names([each.evaluator for each in verdicts])
    return [replace(each, evaluator=name) for each, name in zip(verdicts, names, strict=True)]


def _names(wanted: Sequence[str]) -> list[str]:
    """Each as it is, or cut to what an index holds; of two that are the same the later one gets a number."""
    names: list[str] = []
    for name in (convert.name(each) for each in wanted):
        number = 1
        unique = name
        while unique in names:
            number += 1
            unique = f"{name} ({number})"
        names.append(unique)
    return names
