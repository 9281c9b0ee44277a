"""The demo's second part: an assistant test and a project test run, each through its own API."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from rich import box
from rich.console import Console
from rich.table import Table

from deploy.demo.answerers import GOOD
from deploy.demo.gateway import DemoFailedError, Gateway, Json
from deploy.demo.report import STATUS_STYLES

ENDS_WITHIN = 60.0
POLL = 0.2
ENDED = {"passed", "failed", "error", "completed"}

CONVERSATION = """What is Assay for?
Where does a read of a run's status or history go?"""
RUBRIC = [
    {"name": "says what it is for", "criteria": "contains: evaluations"},
    {"name": "names the service that answers reads", "criteria": "contains: reporting"},
    {"name": "offers a phone number", "criteria": "contains: call us at"},
]
SUMS = [(2, 3), (10, 5), (17, 5), (21, 8), (46, 38), (90, 9)]


class Families:
    """What other products call a test, on the same runs, scores and reports."""

    def __init__(self, console: Console, gateway: Gateway, project_id: str) -> None:
        self._console, self._gateway = console, gateway
        self._project = f"/api/v2/projects/{project_id}"

    async def assistant_test(self) -> None:
        """A simulated user talks with an assistant, and each criterion of a rubric gets its verdict."""
        connection = await self._gateway.create("/v1/connections", {"name": "Assay's own answerer", "kind": "builtin", "model": GOOD})
        assistant = await self._gateway.create(
            "/v2/ai/assistants",
            {
                "name": "Assay's guide",
                "instructions": "Answer from Assay's documentation.",
                "model": GOOD,
                "connection_id": connection["id"],
            },
        )
        tests = "/v2/ai/assistants/tests"
        body = {"name": "a newcomer asks", "destination": assistant["id"], "instructions": CONVERSATION, "rubric": RUBRIC}
        test = await self._gateway.create(tests, body)
        runs = f"{tests}/{test['test_id']}/runs"
        started = await self._gateway.create(runs, {})
        ended = await self._ended(lambda: self._gateway.read(f"{runs}/{started['run_id']}"))
        self._tell(f"a user who asks {len(CONVERSATION.splitlines())} questions; the test {ended['status']}, criterion by criterion:")
        wanted = {criterion["name"]: criterion["criteria"] for criterion in RUBRIC}
        rows = [(detail["name"], wanted[detail["name"]], detail["status"]) for detail in ended["detail_status"]]
        self._console.print(_table(("criterion", "wants", "verdict"), rows))

    async def project_test_run(self) -> None:
        """A client executes a dataset's cases itself, records what came out, and reads the verdicts."""
        dataset = await self._gateway.create(
            f"{self._project}/prompt-datasets", {"name": f"sums {time.time_ns()}", "input_names": ["a", "b"]}
        )
        cases = [{"inputs": {"a": str(a), "b": str(b)}, "output": str(a + b)} for a, b in SUMS]
        await self._gateway.create(f"{self._project}/prompt-datasets/{dataset['id']}/test-cases/bulk", {"data": cases})
        criterion = await self._gateway.create(
            f"{self._project}/evaluation-criteria",
            {
                "name": f"right sum {time.time_ns()}",
                "template": "equals",
                "mapping": {"output": "output", "expected": "case.expected_response"},
            },
        )
        wanted = {"dataset_name": dataset["name"], "test_run_name": "sums of the demo", "target_evaluation_ids": [criterion["id"]]}
        run = await self._gateway.create(f"{self._project}/test-runs", wanted)
        answers = [await self._execute(run["test_run_id"], case) for case in run["test_cases"]]
        ended = await self._ended(lambda: self._gateway.read(f"{self._project}/test-runs/id/{run['test_run_id']}"))
        tally = ended["summary_statistics"]["auto_evaluation"][criterion["name"]]
        self._tell("the program under test runs here, in the demo: it adds, and forgets to carry")
        rows = [
            (f"{a} + {b}", answer, "passed" if answer == str(a + b) else "failed") for (a, b), answer in zip(SUMS, answers, strict=True)
        ]
        if sum(verdict == "passed" for _, _, verdict in rows) != tally["passed"]:
            raise DemoFailedError("The verdicts of the project test run are not those that its outputs deserve.")
        self._console.print(_table(("case", "recorded", "verdict"), rows))
        self._tell(f"{tally['passed']} passed, {tally['failed']} failed, {tally['error']} errors, as the run's summary says")

    async def _execute(self, run_id: str, case: Json) -> str:
        answer = _sum_without_carry(case["values"]["a"], case["values"]["b"])
        question = f"What is {case['values']['a']} + {case['values']['b']}?"
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        info = {"test_run_id": run_id, "test_case_id": case["id"]}
        await self._gateway.create(f"{self._project}/sessions/demo/completions", {"messages": messages, "test_run_info": info})
        return answer

    async def _ended(self, look: Callable[[], Awaitable[Json]]) -> Json:
        deadline = time.monotonic() + ENDS_WITHIN
        while (seen := await look())["status"] not in ENDED:
            if time.monotonic() > deadline:
                raise DemoFailedError(f"A run was still {seen['status']} after {ENDS_WITHIN:g} s; `make logs` tells why.")
            await asyncio.sleep(POLL)
        return seen

    def _tell(self, line: str) -> None:
        self._console.print(f"  {line}", soft_wrap=True)


def _sum_without_carry(a: str, b: str) -> str:
    """The program under test, with its mistake: digits are added one by one, and what is over ten is forgotten."""
    width = max(len(a), len(b))
    digits = ((int(x) + int(y)) % 10 for x, y in zip(a.zfill(width), b.zfill(width), strict=True))
    return "".join(map(str, digits))


def _table(columns: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, header_style="bold")
    for name in columns:
        table.add_column(name, no_wrap=True)
    for first, second, verdict in rows:
        table.add_row(first, second, verdict, style=None if verdict == "passed" else STATUS_STYLES.get(verdict))
    return table
