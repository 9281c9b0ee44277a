"""The demo's steps: what is made, run and read, each through the gateway and each explained in one line."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from deploy.demo import report, screen
from deploy.demo.answerers import BASIC, GOOD
from deploy.demo.events import Progress, follow, of_run
from deploy.demo.families import Families
from deploy.demo.findings import Evaluated
from deploy.demo.gateway import DemoFailedError, Gateway, Json

HERE = Path(__file__).parent
QUESTIONS = HERE / "questions.csv"
DOCUMENTATION = HERE / "documentation"
TARGET_CONCURRENCY = 16
TARGET_TIMEOUT_MS = 60_000


@dataclass(frozen=True)
class Target:
    """Somebody's own OpenAI-compatible endpoint. `api_key` and `model` may be empty."""

    base_url: str
    model: str
    api_key: str

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.model or "your target"


@dataclass(frozen=True)
class Places:
    """Where the stack's addresses stand, where the demo leaves its files, and the project that it works in."""

    env: Path
    files: Path
    project_id: str


class Demo:
    """One demo: `a` is what is compared against, `b` what is judged better or worse."""

    def __init__(self, console: Console, gateway: Gateway, places: Places) -> None:
        self._console, self._gateway, self._places = console, gateway, places
        self._step = 0
        self._began = time.monotonic()

    async def show(self, target: Target | None) -> None:
        """All of it. Raises DemoFailedError."""
        self._console.print(Text.assemble(("Assay demo", "bold"), f"   through the gateway at {self._gateway.url}"))
        contexts = await self._contexts(target)
        test_set = await self._test_set(next(iter(contexts.values()))["id"])
        runs = await self._run_all(test_set["id"], contexts)
        evaluated = [await self._evaluated(label, run) for label, run in runs.items()]
        await self._report(evaluated[0], evaluated[1])
        await self._families()
        self._look_further([evaluated[0], evaluated[1]], [await self._export(each) for each in evaluated[:2]])

    async def _families(self) -> None:
        families = Families(self._console, self._gateway, self._places.project_id)
        self._explain("Assistant test", "a simulated user talks with an assistant, and a rubric judges.")
        await families.assistant_test()
        self._explain("Project test run", "the client executes the cases, Assay scores what it records.")
        await families.project_test_run()

    def _look_further(self, runs: Sequence[Evaluated], files: Sequence[Path]) -> None:
        self._explain("Look further", "the stack stays up until `make down`.")
        report.look_further(self._console, self._gateway.url, runs, (_relative(self._places.env), files))
        self._console.print(f"\nDone in {time.monotonic() - self._began:.1f} s.")

    def _explain(self, title: str, explanation: str) -> None:
        self._step += 1
        self._console.print()
        self._console.print(Text.assemble((f"{self._step} {title}", "bold cyan"), f"  {explanation}"))

    def _tell(self, line: str) -> None:
        self._console.print(f"  {line}", soft_wrap=True)

    async def _contexts(self, target: Target | None) -> dict[str, Json]:
        self._explain("Connection", "says how what you evaluate is reached, and how hard it may be pressed.")
        builtin = await self._gateway.create("/v1/connections", {"name": "Assay's own answerer", "kind": "builtin", "model": GOOD})
        self._tell("builtin: a small program that answers from Assay's documentation; no model and no network needed")
        self._tell("its answerers are simple retrievers on purpose: an evaluation is shown best on mistakes that are really made")
        theirs = await self._connect(target) if target else None
        self._explain("Contexts", "are what is compared: a connection with a prompt and a model.")
        if target and theirs:
            answering = [(GOOD, builtin, ""), (target.label, theirs, statement())]
            self._tell(f"{GOOD}: the answerer; {target.label}: told to answer briefly from the same documentation,")
            self._tell(
                f"which goes along with every question: {len(statement().encode()) // 1000} kB, about {len(statement()) / 4000:.0f},000 tokens"
            )
        else:
            answering = [(BASIC, builtin, ""), (GOOD, builtin, "")]
            self._tell(f"{BASIC}: takes the sentence that shares most words with the question")
            self._tell(f"{GOOD}: ranks sentences as search engines do (BM25, stems, headings)")
        return {label: await self._context(label, connection, prompt) for label, connection, prompt in answering}

    async def _connect(self, target: Target) -> Json:
        settings = {"max_concurrency": TARGET_CONCURRENCY, "timeout_ms": TARGET_TIMEOUT_MS}
        optional = {name: value for name, value in (("model", target.model), ("api_key", target.api_key)) if value}
        body = {"name": target.label, "kind": "openai", "base_url": target.base_url, **settings, **optional}
        self._tell(
            f"openai: {target.base_url}, at most {TARGET_CONCURRENCY} calls at a time" + (", with OPENAI_API_KEY" * bool(target.api_key))
        )
        return await self._gateway.create("/v1/connections", body)

    async def _context(self, label: str, connection: Json, prompt: str) -> Json:
        model = {"model": label} if connection["kind"] == "builtin" else {}
        return await self._gateway.create("/v1/contexts", {"name": label, "statement": prompt, "connection_id": connection["id"], **model})

    async def _test_set(self, context_id: str) -> Json:
        self._explain("Test set", "holds the questions and what a good answer says; each case names how it is judged.")
        body = {"context_id": context_id, "name": "Questions about Assay", "mode": "independent"}
        test_set = await self._gateway.create("/v1/evaluation/test-sets", body)
        uploaded = await self._gateway.upload(f"/v1/evaluation/test-sets/{test_set['id']}/upload-csv", QUESTIONS.name, _questions())
        if uploaded["error_count"]:
            fault = uploaded["errors"][0]
            raise DemoFailedError(
                f"{uploaded['error_count']} questions were refused; the first, in line {fault['row']}: {fault['message']}."
            )
        self._tell(f"{uploaded['created_count']} questions from {_relative(QUESTIONS)}")
        return test_set

    async def _run_all(self, test_set_id: str, contexts: dict[str, Json]) -> dict[str, Json]:
        self._explain("Runs", "ask every question and score every answer; the bars are fed by the runs' event streams.")
        bodies = {label: {"test_set_id": test_set_id, "context_id": context["id"], "tags": ["demo"]} for label, context in contexts.items()}
        runs = {label: await self._gateway.create("/v1/evaluation/runs", body) for label, body in bodies.items()}
        with screen.bars(self._console, {label: of_run(run) for label, run in runs.items()}) as board:
            await asyncio.gather(*(self._watch(label, run, board) for label, run in runs.items()))
        return runs

    async def _watch(self, label: str, run: Json, board: screen.Bars | screen.Lines) -> None:
        progress = Progress(run["total_cases"])
        async for event in follow(self._gateway, run["stream_url"]):
            progress = progress.after(event)
            board.show(label, progress)

    async def _evaluated(self, label: str, started: Json) -> Evaluated:
        path = f"/v1/evaluation/runs/{started['id']}"
        return Evaluated(label, await self._gateway.read(path), await self._gateway.everything(f"{path}/results"))

    async def _report(self, a: Evaluated, b: Evaluated) -> None:
        self._explain("Results", "what became of the questions.")
        self._console.print(report.results_table([a, b]))
        self._console.print("  Pass rate by test method (and how many passed):")
        self._console.print(report.methods_table([a, b]))
        self._explain("Failures", "where answers failed, and why; a few that tell most.")
        for each in (a, b):
            if each.run["error_cases"]:
                self._console.print(report.errors_report(each))
        self._console.print(report.failures_report(a, b))
        self._explain("Comparison", "is the difference real? The same questions are paired, so luck cancels out.")
        comparison = await self._gateway.read("/v1/evaluation/compare", run_a=a.run["id"], run_b=b.run["id"])
        self._console.print(report.comparison_report(comparison, a.label, b.label))

    async def _export(self, evaluated: Evaluated) -> Path:
        self._places.files.mkdir(parents=True, exist_ok=True)
        name = "".join(character if character.isalnum() or character in "-._" else "-" for character in evaluated.label)
        file = self._places.files / f"{name.lstrip('.') or 'target'}.csv"
        await self._gateway.save(f"/v1/evaluation/runs/{evaluated.run['id']}/export", file)
        return _relative(file)


def _questions() -> bytes:
    return QUESTIONS.read_bytes()


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def statement(pages: Sequence[Path] = ()) -> str:
    """What a model is told: to answer briefly, and the documentation itself, since it can know it from nowhere else."""
    texts = [page.read_text(encoding="utf-8") for page in pages or sorted(DOCUMENTATION.glob("*.md"))]
    task = "Answer the question from the documentation below, in one or two plain sentences. Use its words. Add nothing else."
    return "\n\n".join([task, *texts])
