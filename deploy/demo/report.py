"""The demo's findings on paper: tables of rich, in 100 columns."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from deploy.demo import findings
from deploy.demo.findings import Contrast, Evaluated, Json, Rate, percent, points

SHOWN_TEXT = 210
SHOWN_FIRST, SHOWN_OTHERS = 3, 2
STATUS_STYLES = {"passed": "green", "failed": "red", "error": "yellow"}
VERDICT_STYLES = {"improved": "bold green", "regressed": "bold red", "undecided": "bold yellow"}


def results_table(runs: Sequence[Evaluated]) -> Table:
    """A row per run; `score` is the average."""
    table = _table("run", "status", "questions", "passed", "failed", "errors", "pass rate", "score", "seconds")
    for each in runs:
        run, average = each.run, each.run.get("average_score")
        counts = (run["total_cases"], run["passed_cases"], run["failed_cases"], run["error_cases"])
        rate = percent(run["pass_rate"]) if "pass_rate" in run else "-"
        seconds = f"{each.seconds:.1f}" if each.seconds is not None else "-"
        table.add_row(each.label, run["status"], *map(str, counts), rate, "-" if average is None else f"{average:.3f}", seconds)
    return table


def methods_table(runs: Sequence[Evaluated]) -> Table:
    """A row per test method, a column per run."""
    found = [findings.rates(each) for each in runs]
    table = _table("test method", "questions", *(each.label for each in runs))
    for method in findings.METHODS:
        shown = [rates.get(method, Rate(0, 0)) for rates in found]
        if any(rate.total for rate in shown):
            table.add_row(method, str(max(rate.total for rate in shown)), *(f"{percent(rate.share)} ({rate.passed})" for rate in shown))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="left" if name == "status" else "right", no_wrap=True)
    return table


def failures_report(a: Evaluated, b: Evaluated) -> Group:
    """Where answers failed and why: how many of each kind, and a few of the most telling."""
    found = findings.failures(a, b)
    kinds = [
        (found.only_a, f"missed by {a.label}, right from {b.label}", SHOWN_FIRST),
        (found.both, "missed by both", SHOWN_OTHERS),
        (found.only_b, f"missed by {b.label}, right from {a.label}", SHOWN_OTHERS),
    ]
    parts: list[RenderableType] = []
    for contrasts, name, most in kinds:
        if contrasts:
            parts += _kind(f"{len(contrasts)} {name}", findings.varied(contrasts, most), (a.label, b.label))
    return Group(*parts)


def _kind(title: str, chosen: Sequence[Contrast], labels: tuple[str, str]) -> list[RenderableType]:
    return [Text(f"  {title}", "bold"), *(Padding(_contrast(each, labels), (1, 0, 0, 4)) for each in chosen), ""]


def _contrast(contrast: Contrast, labels: tuple[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim", max_width=22)
    grid.add_column(overflow="fold")
    grid.add_row("question", Text(_shown(contrast.a["question"]), "bold"))
    grid.add_row("expected", _shown(contrast.a["expected_response"]))
    for label, result in zip(labels, (contrast.a, contrast.b), strict=True):
        grid.add_row(label, _answer(result))
        if result["status"] != "passed":
            grid.add_row("", _why(result))
    return grid


def _answer(result: Json) -> Text:
    status = result["status"]
    return Text.assemble((f"{status}: ", STATUS_STYLES[status]), _shown(result.get("actual_response", "(no answer)")))


def _why(result: Json) -> Text:
    reason = result.get("error") or result.get("reasoning", "")
    score = f", {result['score']:.2f}" if "score" in result else ""
    return Text(f"{result['test_method']}{score}: {_shown(reason)}", "dim")


def _shown(text: str) -> str:
    return findings.one_line(text, SHOWN_TEXT)


def errors_report(evaluated: Evaluated) -> Group:
    """Why cases have no score, by reason."""
    reasons = findings.error_reasons(evaluated)
    total = sum(many for _, many in reasons)
    lines = [Text(f"    {many:>5}  {_shown(reason)}") for reason, many in reasons[:5]]
    rest = total - sum(many for _, many in reasons[:5])
    more = [Text(f"    {rest:>5}  for other reasons")] if rest else []
    if total == len(evaluated.results):
        more.append(Text("  Not one call succeeded: is the address right, is the key, and does the model exist there?"))
    return Group(Text(f"  {total} of {evaluated.label} could not be executed or scored", "bold yellow"), *lines, *more, "")


def comparison_report(comparison: Json, a: str, b: str) -> Group:
    """The verdict, what it stands on, and what limits it."""
    sentence = Text("  " + findings.verdict_sentence(comparison, a, b), VERDICT_STYLES[comparison["verdict"]])
    grid = Table.grid(padding=(0, 2))
    for name, value in _figures(comparison, a, b):
        grid.add_row(Text(f"  {name}", "dim"), value)
    warnings = [Text(f"  warning: {_shown(each)}", "yellow") for each in comparison["warnings"]]
    return Group(sentence, "", grid, *warnings)


def _figures(comparison: Json, a: str, b: str) -> list[tuple[str, str]]:
    figures = [("verdict", f"{comparison['verdict']} ({b} against {a}, question by question)")]
    if "pass_rate_diff" in comparison:
        figures.append(("pass rate", f"{points(comparison['pass_rate_diff'])} percentage points"))
    if "confidence_interval" in comparison:
        low, high = comparison["confidence_interval"]
        figures.append(("95 % interval", f"{points(low)} to {points(high)} percentage points"))
    if "p_value" in comparison:
        figures.append(("chance", f"{findings.chance(comparison['p_value'])}: how likely so large a difference is if nothing had changed"))
    if "average_score_diff" in comparison:
        figures.append(("average score", f"{comparison['average_score_diff']:+.3f}"))
    moved = f"{len(comparison['improved'])} better, {len(comparison['regressed'])} worse, {comparison['unchanged']} unchanged"
    return [*figures, ("questions", moved)]


def look_further(console: Console, url: str, runs: Sequence[Evaluated], places: tuple[Path, Sequence[Path]]) -> None:
    """The addresses, the commands that read them, and the files; lines to be copied, so they are never wrapped."""
    env, files = places
    lines = [f"{each.label}: {url}/v1/evaluation/runs/{each.run['id']}" for each in runs]
    a, b = (each.run["id"] for each in runs)
    test_set = runs[0].run["test_set_id"]
    get = 'curl -sH "$AUTH" "$ASSAY_URL/v1/evaluation'
    commands = [
        f'source {env}; AUTH="Authorization: Bearer $ASSAY_TOKEN"',
        f"A={a} B={b}",
        f"SET={test_set}",
        f'{get}/runs/$B/results?status=failed"  # what {runs[1].label} failed, and why',
        f'{get}/compare?run_a=$A&run_b=$B"  # the comparison',
        f'{get}/test-sets/$SET/history"  # all runs of these questions',
    ]
    for line in (*lines, "", *commands, "", *(f"results of {each.label}: {file}" for each, file in zip(runs, files, strict=True))):
        console.print(f"  {line}", soft_wrap=True)
