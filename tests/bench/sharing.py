"""Case (g): one run shared by two runners and two scorers, against an endpoint that waits; then the same with one of each."""

from collections.abc import Iterator
from pathlib import Path

from deploy.local.settings import Settings
from deploy.local.stack import Stack
from tests.bench.evaluations import CONCURRENCY, Evaluations, cases, endpoint, told_by
from tests.bench.figures import Figure
from tests.bench.gateway import Gateway, Json
from tests.bench.processes import Watch, cpu_figure
from tests.stacks import temporary_stack
from tests.suite.shares import EXECUTED, SCORED, count, shares

ROWS = 4_000
WARM_UP_ROWS = 400
TURNS, CONVERSATIONS = 4, 100
TURN_SECONDS = 3.0
SECOND = ("runner-2", "scoring-2")


def shared_runs(bench: Evaluations) -> Iterator[Figure]:
    """(g): how evenly two share, and how much faster than one they are. A stack of its own."""
    with temporary_stack(Settings(runners=2, scorers=2), "assay-bench-") as stack:
        yield from _compared(stack, Evaluations(Gateway(stack.env()), bench.say))


def _compared(stack: Stack, bench: Evaluations) -> Iterator[Figure]:
    with endpoint() as quick, endpoint(TURN_SECONDS) as slow:
        _independent(bench, quick, WARM_UP_ROWS)
        executed, scored = count(stack.ports(), EXECUTED), count(stack.ports(), SCORED)
        two, cost_of_two = _watched(stack, bench, quick, "two")
        parts = shares(executed, count(stack.ports(), EXECUTED)) | shares(scored, count(stack.ports(), SCORED))
        most = told_by(quick)["most_at_once"]
        talked_by_two = _conversations(bench, slow)
        for name in SECOND:
            stack.stop(name)
        one, cost_of_one = _watched(stack, bench, quick, "one")
        talked_by_one = _conversations(bench, slow)
    told = ", ".join(f"{name} {part:.0%}" for name, part in parts.items())
    least, largest = min(parts.values()), max(parts.values())
    note = f"{told}; at most {most} of {CONCURRENCY} calls at once"
    yield Figure("g", f"shares of {ROWS:,} cases, 2 runners, 2 scorers", f"{least:.0%} to {largest:.0%}", "40 % to 60 %", note)
    note = f"{ROWS / two:,.0f} and {ROWS / one:,.0f} cases/s; the limit of {CONCURRENCY} calls is the same for both"
    yield Figure("g", "two against one, 50 ms, 100 at once", f"{one / two:.2f} times", "", note)
    yield from (cost_of_two, cost_of_one)
    note = f"{talked_by_two:.1f} and {talked_by_one:.1f} s; one runner holds 64 conversations"
    yield Figure("g", f"two against one, {CONVERSATIONS} conversations", f"{talked_by_one / talked_by_two:.2f} times", "about 2", note)


def _watched(stack: Stack, bench: Evaluations, url: str, who: str) -> tuple[float, Figure]:
    """Seconds that the cases took, and the CPU that one of them cost."""
    with Watch(Path(stack.env()["ASSAY_PIDS"])) as watch:
        took = _independent(bench, url, ROWS)
        return took, cpu_figure("g", f"CPU of a case, {who} of each", watch, ROWS)


def _independent(bench: Evaluations, url: str, rows: int) -> float:
    """Seconds that so many cases took."""
    context, test_set = _set(bench, url, "independent")
    bench.upload(test_set, cases(rows, lambda _: "ok"))
    took, _ = bench.run(test_set, context)
    bench.say(f"    {rows} cases: {took:.2f} s")
    bench.forget(test_set)
    return took


def _conversations(bench: Evaluations, url: str) -> float:
    """Seconds that the conversations took, all of them at once as far as the runners go."""
    context, test_set = _set(bench, url, "scenario", max_concurrency=CONVERSATIONS)
    bench.upload(test_set, cases(TURNS, lambda _: "ok"))
    took, _ = bench.run(test_set, context, repeats=CONVERSATIONS)
    bench.say(f"    {CONVERSATIONS} conversations: {took:.2f} s")
    bench.forget(test_set)
    return took


def _set(bench: Evaluations, url: str, mode: str, max_concurrency: int = CONCURRENCY) -> tuple[Json, Json]:
    """A context that answers through the endpoint, and an empty set of it."""
    context = bench.context("bench shared", kind="openai", base_url=f"{url}/v1", model="bench", max_concurrency=max_concurrency)
    return context, bench.test_set(context, "bench shared", mode)
