"""Cases judged by evaluators, in batches: every pair that goes in comes out scored, if only as an error."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.scoring import checking, localizer, mapping
from services.scoring.cases import Case
from services.scoring.entities import (
    CannotScore,
    Endpoint,
    Evaluator,
    Found,
    Item,
    JudgeError,
    Method,
    NotApplicable,
    Score,
    Span,
    verdict,
)
from services.scoring.mapping import Located
from services.scoring.registry import Registry, Template
from services.scoring.scorers import Asks, Scorers, overlaps, politeness, rubric, semantic_quality, template_judge, texts, tool_calls

CHECKS: Mapping[str, texts.Check] = {**texts.CHECKS, **overlaps.CHECKS}
TOOL_CALLS = "tool_call_accuracy"
# What the error localizer looks into, and what is judged without a judge.
OUTPUTS = ("output", template_judge.CONVERSATION, rubric.AGENT)
NO_JUDGE = "no judge is configured for the workspace"


@dataclass(frozen=True, slots=True)
class Task:
    """One case to be judged by one evaluator that is known to be right; texts are what its mapping says."""

    case: Case
    evaluator: Evaluator
    template: Template
    texts: Mapping[str, Located]

    @property
    def threshold(self) -> float:
        """What the value is held against."""
        return threshold(self.evaluator, self.template)

    @property
    def judge(self) -> Endpoint | None:
        """Who is asked; None if nobody need be, or there is nobody."""
        return self.case.judging.judge if self.template.needs_model and not self.decided else None

    @property
    def decided(self) -> bool:
        """Whether it is a criterion that can be decided without a judge."""
        return _is_decided(self.template, self.evaluator)


def threshold(evaluator: Evaluator, template: Template | None) -> float:
    """The evaluator's passing score, or else its template's."""
    if evaluator.passing_score is not None:
        return evaluator.passing_score
    return template.passing_score if template else 1.0


class Evaluations:
    """Judges cases by evaluators. A fault of one pair is that pair's error score and leaves the others alone."""

    def __init__(self, registry: Registry, scorers: Scorers, judge: Asks) -> None:
        self._registry, self._scorers, self._judge = registry, scorers, judge

    def needs_judge(self, evaluators: Sequence[Evaluator]) -> bool:
        """Whether a judge is asked for any of them, if there is one."""
        templates = [self._registry.get(evaluator.template) for evaluator in evaluators]
        return any(
            template is not None and template.needs_model and not _is_decided(template, evaluator)
            for template, evaluator in zip(templates, evaluators, strict=True)
        )

    def threshold(self, evaluator: Evaluator) -> float:
        """What an evaluator's scores are held against."""
        return threshold(evaluator, self._registry.get(evaluator.template))

    async def score(self, pairs: Sequence[tuple[Case, Evaluator]]) -> list[Score]:
        """One score per pair, in their order. Raises nothing but cancellation."""
        # The cases of a run share their evaluators.
        faults = {id(evaluator): self._faults(evaluator) for evaluator in {id(each): each for _, each in pairs}.values()}
        prepared = [self._task(case, evaluator, faults[id(evaluator)]) for case, evaluator in pairs]
        tasks = [each for each in prepared if isinstance(each, Task)]
        found = iter(await self._tasks(tasks))
        scores = [next(found) if isinstance(each, Task) else each for each in prepared]
        return list(await asyncio.gather(*map(self._localized, prepared, scores)))

    def _faults(self, evaluator: Evaluator) -> str:
        return "; ".join(f"{field} {message}" for field, message in checking.evaluator_faults(self._registry, evaluator))

    def _task(self, case: Case, evaluator: Evaluator, faults: str) -> Task | Score:
        template = self._registry.get(evaluator.template)
        if template is None or faults:
            return error_score(f"the evaluator can't be used: {faults}", threshold(evaluator, template))
        try:
            return Task(case, evaluator, template, mapping.resolve(case, evaluator.mapping))
        except Exception as fault:  # noqa: BLE001 - whatever it was, it is this pair's alone
            return error_score(_told(fault), threshold(evaluator, template), scored_by=template.scored_by)

    async def _tasks(self, tasks: Sequence[Task]) -> list[Score]:
        judged = [number for number, task in enumerate(tasks) if task.judge is not None]
        compared = [number for number, task in enumerate(tasks) if task.judge is None and _is_compared(task)]
        elsewhere = {*judged, *compared}
        rest = [number for number in range(len(tasks)) if number not in elsewhere]
        batches = await asyncio.gather(
            asyncio.gather(*(self._judged(tasks[number]) for number in judged)),
            self._compared([tasks[number] for number in compared]),
            # In a thread: patterns that others wrote, and long texts, take their time.
            asyncio.to_thread(lambda: [_alone(tasks[number]) for number in rest]) if rest else _nothing(),
        )
        scores = {
            number: score
            for numbers, batch in zip((judged, compared, rest), batches, strict=True)
            for number, score in zip(numbers, batch, strict=True)
        }
        return [scores[number] for number in range(len(tasks))]

    async def _judged(self, task: Task) -> Score:
        endpoint = task.case.judging.judge
        try:
            asked = template_judge.prompt(task.template, task.evaluator.settings, _judged_texts(task))
            answer = await self._judge.ask(endpoint, asked)  # type: ignore[arg-type] # only those that have a judge come here
            return replace(_score(task, template_judge.found(task.template, answer), "llm_judge"), provenance=answer.provenance)
        except Exception as fault:  # noqa: BLE001 - whatever it was, it is this pair's alone
            provenance = fault.provenance if isinstance(fault, JudgeError) else None
            told = error_score(f"the judge gave no verdict: {_told(fault)}", task.threshold, "llm_judge", task.template.scored_by)
            return replace(told, provenance=provenance)

    async def _compared(self, tasks: Sequence[Task]) -> list[Score]:
        """With no judge but an expected outcome: how near the output is to that."""
        return await self._near(tasks, [task.case.output for task in tasks])

    async def _near(self, tasks: Sequence[Task], outputs: Sequence[str]) -> list[Score]:
        items = [
            Item(task.case.question, task.case.expected, output, "semantic_quality", task.threshold, language=task.case.language)
            for task, output in zip(tasks, outputs, strict=True)
        ]
        return await self._scorers.score(items)

    async def _localized(self, task: Task | Score, score: Score) -> Score:
        if not isinstance(task, Task) or not task.evaluator.localize or score.status != "failed" or score.evidence:
            return score
        try:
            return await self._pointed(task, score) if score.method == "llm_judge" else await self._left_out(task, score)
        except Exception as fault:  # noqa: BLE001 - a verdict isn't lost for want of its place
            return replace(score, warnings=(*score.warnings, f"error localizer: {_told(fault)}"))

    async def _pointed(self, task: Task, score: Score) -> Score:
        located = _output(_judged_texts(task))
        answer = await self._judge.ask(
            task.judge,  # type: ignore[arg-type] # a judge has just given the verdict
            localizer.prompt(task.template.description, score.reason, located),
        )
        found = localizer.pointed(located, answer)
        provenance = {**(score.provenance or {}), "error_localizer": answer.provenance}
        return replace(score, evidence=found.evidence, warnings=(*score.warnings, *found.warnings), provenance=provenance)

    async def _left_out(self, task: Task, score: Score) -> Score:
        compared = _is_compared(task)
        located = Located("output", task.case.output) if compared else _output(task.texts)
        key = next((key for key, text in task.texts.items() if text is located), "output")

        async def values(variants: Sequence[str]) -> Sequence[float | None]:
            if compared:
                return [each.score for each in await self._near([task] * len(variants), variants)]
            changed = [replace(task, texts={**task.texts, key: Located(located.source, text)}) for text in variants]
            return await asyncio.to_thread(lambda: [_alone(each).score for each in changed])

        found = await localizer.by_ablation(located, score.score or 0.0, values)
        return replace(score, evidence=found.evidence, warnings=(*score.warnings, *found.warnings))


async def _nothing() -> list[Score]:
    return []


def _is_decided(template: Template, evaluator: Evaluator) -> bool:
    return template.fallback == "rubric" and rubric.decided(str(evaluator.settings.get("criteria"))) is not None


def _is_compared(task: Task) -> bool:
    fallback = task.template.fallback == "expected" and bool(task.case.expected.strip())
    return task.template.needs_model and fallback and not task.case.judging.require_judge


def _judged_texts(task: Task) -> Mapping[str, Located]:
    return template_judge.texts(task.template, task.case, task.texts)


def _output(located: Mapping[str, Located]) -> Located:
    return next((located[key] for key in OUTPUTS if key in located), next(iter(located.values()), Located("", "")))


def _alone(task: Task) -> Score:
    """Scored by rules alone, or not at all."""
    try:
        if not task.template.needs_model:
            return _score(task, _by_rules(task), "deterministic")
        if task.decided:
            return _by_rubric(task)
        return _without_judge(task)
    except NotApplicable as nothing:
        told = error_score(str(nothing), task.threshold, scored_by=task.template.scored_by)
        return replace(told, status="not_applicable")
    except Exception as fault:  # noqa: BLE001 - whatever it was, it is this pair's alone
        return error_score(_told(fault), task.threshold, scored_by=task.template.scored_by)


def _by_rules(task: Task) -> Found:
    if task.template.name == TOOL_CALLS:
        return tool_calls.score(task.case, task.evaluator.settings)
    check = CHECKS.get(task.template.name)
    if check is None:
        raise CannotScore(f"nothing scores {task.template.name}")
    return check({key: located.text for key, located in task.texts.items()}, task.evaluator.settings)


def _by_rubric(task: Task) -> Score:
    decide = rubric.decided(str(task.evaluator.settings["criteria"]))
    found = decide(task.case) if decide else Found(0.0, rubric.NO_JUDGE)
    return _score(replace(task, texts={rubric.AGENT: mapping.of_agent(task.case)}), found, "deterministic")


def _without_judge(task: Task) -> Score:
    if task.template.fallback == "rubric":
        return error_score(rubric.NO_JUDGE, task.threshold, "llm_judge", task.template.scored_by)
    if task.template.fallback == "lexicon" and not task.case.judging.require_judge:
        found = _by_lexicon(task)
        return replace(_score(task, found, "heuristic_fallback"), scored_by=politeness.SCORER)
    reason = semantic_quality.NEEDS_JUDGE if task.case.judging.require_judge else f"{NO_JUDGE}, and nothing else can tell"
    return replace(error_score(reason, task.threshold, "llm_judge", task.template.scored_by), status="unscored")


def _by_lexicon(task: Task) -> Found:
    key, located = next((key, each) for key, each in task.texts.items() if each is _output(task.texts))
    users = {turn.number for turn in task.case.turns if turn.role != "assistant"}
    spans = [Span(key, *span) for span in politeness.rude(located.text)]
    # How the user speaks is no fault of the agent's.
    mine = [span for span in spans if not located.parts or mapping.place(located, span.start, span.end).turn not in users]
    quotes = [located.text[span.start : span.end] for span in mine]
    return Found(float(not mine), politeness.reason(quotes), tuple(mine), (politeness.NO_JUDGE,))


def _score(task: Task, found: Found, method: Method) -> Score:
    status = verdict(found.value, task.threshold)
    evidence = tuple(mapping.place(task.texts[span.key], span.start, span.end) for span in found.spans if span.key in task.texts)
    return Score(status, found.value, method, task.threshold, found.reason, task.template.scored_by, found.warnings, evidence)


def error_score(error: str, passing: float, method: Method = "deterministic", scored_by: str = "") -> Score:
    """Neither a zero nor a pass."""
    return Score("error", None, method, passing, error, scored_by, error=error)


def _told(fault: Exception) -> str:
    return str(fault) or type(fault).__name__
