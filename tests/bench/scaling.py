"""Case (h): what a case costs in rows, bytes, messages and CPU, dense and sparse: the table that deploy/SCALING.md begins with."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from deploy.local.settings import Settings
from deploy.local.stack import Stack
from tests.bench.counters import CPU, TABLE, Counters, Growth, counters
from tests.bench.evaluations import WARM_UP_ROWS, Evaluations, cases, echo_set, endpoint
from tests.bench.figures import Figure, by_name
from tests.bench.gateway import Gateway, Json
from tests.bench.processes import memory
from tests.stacks import temporary_stack

DENSE, SPARSE = 10_000, 1_500
AT_ONCE = 50
TARGET_SECONDS = 2.0
# As a language model does: half of the time at least, half as much again at most. Calls that all took the same would come back
# in waves, and their large batches would halve the cost.
SPREAD = 0.5
REST_SECONDS = 20.0
# A read costs what several cases cost, so there are few.
POLL_SECONDS = 1.0
ANSWER = "A ticket is valid for ninety minutes after it was bought, and on one line only.."
# Bytes a case that are worth a name.
LITTLE = 50
PROCESSES: Mapping[str, tuple[str, ...]] = {
    "runner": ("runner-1",),
    "scoring": ("scoring-1",),
    "reporting": ("reporting",),
    "catalog, Envoy": ("catalog", "envoy"),
    "Postgres": ("postgres",),
    "NATS": ("nats",),
}
NOTES = {
    "runner": "/proc; sparse includes an HTTP call each",
    "catalog, Envoy": "the start, and a read each second",
    "Postgres": "its process and all of its backends",
    "NATS": "each message is synced",
}

Tell = Callable[[Growth], str]


def cost_of_a_case(bench: Evaluations) -> Iterator[Figure]:
    """(h): one process per service, on a stack of its own. Says the table as Markdown."""
    with temporary_stack(Settings(), "assay-bench-") as stack, endpoint(TARGET_SECONDS, ANSWER, SPREAD) as url:
        yield from _measured(stack, Evaluations(Gateway(stack.env(), POLL_SECONDS), bench.say), url)


def _measured(stack: Stack, bench: Evaluations, url: str) -> Iterator[Figure]:
    context, test_set, _ = echo_set(bench, WARM_UP_ROWS)
    bench.run(test_set, context)
    few = _sparse_set(bench, url)
    counted = counters(stack, REST_SECONDS)
    # Sparse first: rows that the many of dense left dead would be room for its own.
    sparse = counted.during(lambda: bench.run(*few))
    many, uploaded = _uploaded(bench, counted)
    dense = counted.during(lambda: bench.run(*many))
    for line in table(_each(dense, DENSE), _each(sparse, SPARSE)):
        bench.say(line)
    yield from (_cpu("dense", dense, DENSE), _cpu("sparse", sparse, SPARSE))
    yield _upload(uploaded)
    yield _rest(counted.rest)
    sizes = {name: memory(name, pid) for name, pid in stack.pids().items()}
    yield Figure("h", "memory at the end", f"{sum(sizes.values()):.0f} MB", note=by_name(sizes, "MB"))


def _sparse_set(bench: Evaluations, url: str) -> tuple[Json, Json]:
    """The set, and the context that answers it slowly."""
    context = bench.context("bench sparse", kind="openai", base_url=f"{url}/v1", model="bench", max_concurrency=AT_ONCE)
    test_set = bench.test_set(context, "bench sparse")
    bench.upload(test_set, cases(SPARSE, lambda _: ANSWER))
    return test_set, context


def _uploaded(bench: Evaluations, counted: Counters) -> tuple[tuple[Json, Json], Growth]:
    """The set that `echo` answers at once, the context that does, and what the upload cost."""
    context = bench.context("bench dense", kind="builtin", model="echo")
    test_set = bench.test_set(context, "bench dense")
    content = cases(DENSE, lambda question: question)
    return (test_set, context), counted.during(lambda: bench.upload(test_set, content))


def table(dense: Growth, sparse: Growth) -> Iterator[str]:
    """The lines of SCALING.md's table, from what one case of each load costs."""

    def row(what: str, tell: Tell, source: str = "") -> str:
        return f"| {what} | {tell(dense)} | {tell(sparse)} | {source} |"

    def both(tell: Tell) -> str:
        return f"{tell(dense)}; {tell(sparse)}"

    yield "| per case | dense | sparse | source |"
    yield "|---|---|---|---|"
    yield row("Postgres commits", lambda per: number(per["commits"]), "`pg_stat_database.xact_commit`")
    yield row("rows inserted + updated + deleted", _rows, "`pg_stat_user_tables`")
    yield row("WAL", lambda per: size(per["wal bytes"]), f"`pg_stat_wal`; full-page images: {both(_images)}")
    messages = both(lambda per: f"{number(per['WORK messages'])} + {number(per['EVENTS messages'])}")
    yield row("NATS messages", lambda per: number(per["WORK messages"] + per["EVENTS messages"]), f"JetStream: tickets + events {messages}")
    left = both(lambda per: size(per["WORK bytes"]))
    yield row("NATS bytes (EVENTS)", lambda per: size(per["EVENTS bytes"]), f"stream's bytes; tickets are gone once done: {left} left")
    yield row("Postgres on disk", lambda per: size(per["database bytes"]), f"`pg_database_size`: {both(_tables)}")
    for name in PROCESSES:
        yield row(f"CPU {name}", partial(_milliseconds_of, name), NOTES.get(name, ""))


def _rows(per: Growth) -> str:
    return " + ".join(number(per[f"rows {done}"]) for done in ("inserted", "updated", "deleted"))


def _images(per: Growth) -> str:
    return number(per["full-page images"])


def _tables(per: Growth) -> str:
    """The largest first, by the names that they have in their schemas."""
    grown = sorted(((value, name) for name, value in per.items() if name.startswith(TABLE) and value >= LITTLE), reverse=True)
    return ", ".join(f"`{name.removeprefix(TABLE)}` {size(value)}" for value, name in grown)


def _milliseconds(per: Growth) -> dict[str, float]:
    """CPU by what SCALING.md calls the processes."""
    return {name: 1000 * sum(per[CPU + process] for process in parts) for name, parts in PROCESSES.items()}


def _milliseconds_of(name: str, per: Growth) -> str:
    return f"{_milliseconds(per)[name]:.2f} ms"


def number(value: float) -> str:
    """Two digits that matter, and what is too little to be told from rest as 0."""
    return f"{value:.0f}" if abs(value) >= 10 else f"{round(value, 4) + 0.0:.2g}"


def size(value: float) -> str:
    """Bytes, or kB of 1,000 bytes."""
    return f"{value / 1000:.1f} kB" if abs(value) >= 1000 else f"{value + 0.0:.0f} B"


def _each(growth: Growth, count: float) -> Growth:
    return {name: value / count for name, value in growth.items()}


def _cpu(load: str, growth: Growth, count: int) -> Figure:
    each = _milliseconds(_each(growth, count))
    note = f"{count:,} in {growth['seconds']:.1f} s; everything else on the machine took {growth['others']:.1f} s of CPU"
    return Figure("h", f"CPU of a case, {load}", f"{sum(each.values()):.2f} ms", note=note)


def _upload(growth: Growth) -> Figure:
    each = _each(growth, DENSE)
    note = f"WAL, and {size(each['database bytes'])} of disk; {by_name(_milliseconds(each), 'ms', 2)}"
    return Figure("h", f"a case uploaded, of {DENSE:,}", size(each["wal bytes"]), note=note)


def _rest(growth: Growth) -> Figure:
    second = _each(growth, growth["seconds"])
    cores = {name: value / 1000 for name, value in _milliseconds(second).items()}
    note = f"commits; {size(second['wal bytes'])} of WAL; {sum(cores.values()):.2f} cores: {by_name(cores, 'cores', 3)}"
    return Figure("h", "each second at rest", number(second["commits"]), note=note)
