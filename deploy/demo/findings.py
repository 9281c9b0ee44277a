"""What two runs of the same questions tell: rates by test method, and the failures that are worth a reader's time."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

METHODS = ("keyword_match", "exact_match", "similarity", "semantic_quality")

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """A run that ended: whose answers it judged, the run and its results as the API shows them."""

    label: str
    run: Json
    results: Sequence[Json]

    @property
    def seconds(self) -> float | None:
        """From its first case to its last result; None if it never started."""
        if "started_at" not in self.run or "completed_at" not in self.run:
            return None
        return (_time(self.run["completed_at"]) - _time(self.run["started_at"])).total_seconds()

    def by_case(self) -> dict[str, Json]:
        """Results by the case they belong to."""
        return {result["test_case_id"]: result for result in self.results}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass(frozen=True)
class Rate:
    """How many of how many results passed."""

    passed: int
    total: int

    @property
    def share(self) -> float:
        """0-1; 0 of none."""
        return self.passed / self.total if self.total else 0.0


def rates(evaluated: Evaluated) -> dict[str, Rate]:
    """The rate of each test method that occurs, in the usual order."""
    totals = Counter(result["test_method"] for result in evaluated.results)
    passed = Counter(result["test_method"] for result in evaluated.results if result["status"] == "passed")
    return {method: Rate(passed[method], totals[method]) for method in METHODS if totals[method]}


def error_reasons(evaluated: Evaluated) -> list[tuple[str, int]]:
    """Why cases could not be executed or scored, the most frequent reason first."""
    return Counter(result.get("error", "") for result in evaluated.results if result["status"] == "error").most_common()


@dataclass(frozen=True)
class Contrast:
    """One question in both runs."""

    a: Json
    b: Json

    @property
    def gain(self) -> float:
        """How much better b's answer scored, -1 to 1; what has no score counts as 0."""
        return float(self.b.get("score", 0.0)) - float(self.a.get("score", 0.0))

    @property
    def shortfall(self) -> float:
        """How far b's answer is from a full score."""
        return 1.0 - float(self.b.get("score", 0.0))


def contrasts(a: Evaluated, b: Evaluated) -> list[Contrast]:
    """Every question that both runs have a result for."""
    others = b.by_case()
    return [Contrast(result, others[case]) for case, result in a.by_case().items() if case in others]


@dataclass(frozen=True)
class Failures:
    """Questions that both runs answered, by whose answer failed, the most telling first."""

    only_a: Sequence[Contrast]
    only_b: Sequence[Contrast]
    both: Sequence[Contrast]


def failures(a: Evaluated, b: Evaluated) -> Failures:
    """The questions that at least one of the runs answered wrongly. Errors are left out: nobody said anything there."""
    found = [each for each in contrasts(a, b) if "error" not in (each.a["status"], each.b["status"])]
    return Failures(
        only_a=_sorted(found, (False, True), lambda contrast: -contrast.gain),
        only_b=_sorted(found, (True, False), lambda contrast: contrast.gain),
        both=_sorted(found, (False, False), lambda contrast: -contrast.shortfall),
    )


def _sorted(found: Sequence[Contrast], passed: tuple[bool, bool], order: Callable[[Contrast], float]) -> list[Contrast]:
    wanted = [each for each in found if (each.a["status"] == "passed", each.b["status"] == "passed") == passed]
    return sorted(wanted, key=order)


def varied(ranked: Sequence[Contrast], most: int) -> list[Contrast]:
    """The first few, in turns from each test method: three failures of one kind tell less than one of each of three."""
    queues: dict[str, list[Contrast]] = defaultdict(list)
    for contrast in ranked:
        queues[contrast.a["test_method"]].append(contrast)
    return [contrast for contrast, _ in zip(_turns(list(queues.values())), range(most), strict=False)]


def _turns(queues: Sequence[Sequence[Contrast]]) -> Iterator[Contrast]:
    for turn in range(max(map(len, queues), default=0)):
        yield from (queue[turn] for queue in queues if turn < len(queue))


def verdict_sentence(comparison: Json, a: str, b: str) -> str:
    """What the comparison says, in words."""
    verdict = comparison["verdict"]
    if verdict == "undecided":
        return f"Undecided: the difference between {b} and {a} may be chance."
    better, worse = (b, a) if verdict == "improved" else (a, b)
    return f"{better} is better than {worse}, by more than chance explains."


def percent(share: float) -> str:
    """A rate for readers."""
    return f"{share * 100:.1f} %"


def points(difference: float) -> str:
    """A difference of rates for readers, in percentage points."""
    return f"{difference * 100:+.1f}"


def chance(p_value: float) -> str:
    """A p-value for readers."""
    return "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.4f}"  # noqa: PLR2004 - smaller ones tell nothing more


def one_line(text: str, most: int) -> str:
    """A text on one line, cut to so many characters, without what a terminal would obey."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    folded = " ".join(shown.split())
    return folded if len(folded) <= most else folded[: most - 1].rstrip() + "…"
