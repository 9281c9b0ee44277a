"""What tests of families A, B, C and E build before they look: each has defaults, so that a test says only what matters to it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.suite import contracts_assistants as of_assistants, contracts_prompts as of_prompts, contracts_simulations as of_simulations
from tests.suite.builders import ENDS_WITHIN, Json, made, unique
from tests.suite.client import Client
from tests.suite.contract import conform
from tests.suite.contracts_projects import CRITERION, DATASET, STARTED, TEST_RUN

ASSISTANTS, TESTS, SUITES = "/v2/ai/assistants", "/v2/ai/assistants/tests", "/v2/ai/assistants/tests/test-suites"
RUN_TESTS, SCENARIOS, AGENTS = "/simulate/run-tests", "/simulate/scenarios", "/simulate/agent-definitions"
EXECUTIONS, CALLS, TEMPLATES = "/simulate/test-executions", "/simulate/call-executions", "/model-hub/eval-groups/get_evals_list"
PROMPTS, VERSIONS, APPLICATIONS, CASES = "/prompt", "/prompt-version", "/prompt-application", "/test-case"
TEXT = [{"type": "text", "text": "<string>"}]
# A case of a prompt dataset with everything that it may have, and one with what it must.
FULL_CASE: dict[str, Any] = {
    "inputs": {"country": "France", "nested": {"a": [1, None, True]}},
    "output": "<string>",
    "output_message": {"role": "user", "content": TEXT},
    "history": [{"role": "user", "content": TEXT}],
    "metadata": {"k": {"v": None}},
    "media_inputs": {"photo": {"type": "url", "url": "https://example.com/a.png"}},
}
BARE_CASE: dict[str, Any] = {"inputs": {}}
T = TypeVar("T")


def eventually(look: Callable[[], T], ends: Callable[[T], bool], within: float = ENDS_WITHIN) -> T:
    """What is seen once it is as wanted. Raises AssertionError if it isn't in time."""
    deadline = time.monotonic() + within
    while not ends(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)
    return seen


@dataclass(frozen=True)
class Projects:
    """Makes things of family A in one project."""

    client: Client
    project: str

    @property
    def base(self) -> str:
        """Where the project's things are."""
        return f"/api/v2/projects/{self.project}"

    def dataset(self, *cases: Mapping[str, Any], kind: str = "prompt", **fields: object) -> Json:
        """One with these cases."""
        found = made(self.client.post(f"{self.base}/{kind}-datasets", {"name": unique("dataset"), **fields}))
        if cases:
            made(self.client.post(f"{self.base}/{kind}-datasets/{found['id']}/test-cases/bulk", {"data": list(cases)}))
        return dict(conform(found, DATASET))

    def criterion(self, **fields: object) -> Json:
        """One that compares an output with what was expected."""
        mapping = {"output": "output", "expected": "case.expected_response"}
        body = {"name": unique("criterion"), "template": "equals", "mapping": mapping, **fields}
        return dict(conform(made(self.client.post(f"{self.base}/evaluation-criteria", body)), CRITERION))

    def start(self, dataset: Mapping[str, Any], **fields: object) -> Json:
        """A started run with its cases."""
        answer = self.client.post(f"{self.base}/test-runs", {"dataset_name": dataset["name"], **fields})
        return dict(conform(made(answer), STARTED))

    def read(self, run: Mapping[str, Any]) -> Json:
        """The run as it reads now."""
        return dict(conform(made(self.client.get(f"{self.base}/test-runs/id/{run['test_run_id']}"), 200), TEST_RUN))

    def completed(self, run: Mapping[str, Any]) -> Json:
        """The run once it is complete."""
        return eventually(lambda: self.read(run), lambda seen: seen["status"] == "completed")

    def completion(self, run: Mapping[str, Any], case: Mapping[str, Any], output: str, **fields: object) -> Json:
        """The body of a recording."""
        info = {"test_run_id": run["test_run_id"], "test_case_id": case["test_case_id"]}
        messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": output}]
        return {"messages": messages, "inputs": {}, "test_run_info": info, **fields}


@dataclass(frozen=True)
class Simulations:
    """Makes things of family B."""

    client: Client

    def agent(self, **fields: object) -> Json:
        """One that answers by the workspace's default connection, an echo."""
        body = {"agentName": unique("agent"), **fields}
        found = conform(made(self.client.post(f"{AGENTS}/create/", body)), of_simulations.CREATED_AGENT)
        return dict(found["agent"])

    def scenario(self, *script: str, **fields: object) -> Json:
        """One that reads out these lines."""
        body = {"name": unique("scenario"), "script": list(script or ("hello",)), **fields}
        found = conform(made(self.client.post(f"{SCENARIOS}/create/", body)), of_simulations.CREATED_SCENARIO)
        return dict(found["scenario"])

    def run_test(self, *scenarios: Mapping[str, Any], agent: Mapping[str, Any] | None = None, **fields: object) -> Json:
        """One of these scenarios, or of one that says hello."""
        ids = [scenario["id"] for scenario in scenarios or (self.scenario(),)]
        body = {"name": unique("run test"), "scenarioIds": ids, "agentDefinitionId": (agent or self.agent())["id"], **fields}
        return dict(conform(made(self.client.post(f"{RUN_TESTS}/create/", body)), of_simulations.RUN_TEST))

    def read(self, run_test: Mapping[str, Any]) -> Json:
        """The run test as it reads now."""
        return dict(conform(made(self.client.get(f"{RUN_TESTS}/{run_test['id']}/"), 200), of_simulations.RUN_TEST))

    def execute(self, run_test: Mapping[str, Any], **fields: object) -> Json:
        """A started execution."""
        answer = self.client.post(f"{RUN_TESTS}/{run_test['id']}/execute/", fields)
        return dict(conform(made(answer, 200), of_simulations.EXECUTED))

    def execution(self, run_test: Mapping[str, Any], execution_id: str) -> Json:
        """An execution as its list tells it."""
        answer = self.client.get(f"{RUN_TESTS}/{run_test['id']}/executions/", {"limit": 100})
        found = of_simulations.results(answer, of_simulations.EXECUTION)["results"]
        return dict(next(each for each in found if each["id"] == execution_id))

    def ended(self, run_test: Mapping[str, Any], execution_id: str) -> Json:
        """An execution once it has ended."""
        look = lambda: self.execution(run_test, execution_id)  # noqa: E731 a look is what is wanted
        return eventually(look, lambda seen: seen["status"] in of_simulations.ENDED)

    def summary(self, run_test: Mapping[str, Any], execution_id: str | None = None) -> dict[str, Json]:
        """What each evaluation found, by its name."""
        answer = self.client.get(f"{RUN_TESTS}/{run_test['id']}/eval-summary/", {"execution_id": execution_id})
        return {each["name"]: each for each in conform(made(answer, 200), of_simulations.SUMMARY)["evaluations"]}


@dataclass(frozen=True)
class Prompts:
    """Makes things of family C."""

    client: Client

    def prompt(self, **fields: object) -> Json:
        """A prompt."""
        return dict(conform(made(self.client.post(PROMPTS, {"title": unique("prompt"), **fields})), of_prompts.PROMPT))

    def version(self, prompt: Mapping[str, Any], content: str = "{{question}}", **fields: object) -> Json:
        """A version that says this to the workspace's default connection, an echo."""
        body = {"promptId": prompt["id"], "messages": [{"role": "user", "content": content}], **fields}
        return dict(conform(made(self.client.post(VERSIONS, body)), of_prompts.VERSION))

    def application(self, version: Mapping[str, Any], **fields: object) -> Json:
        """An application of a version."""
        body = {"promptId": version["promptId"], "promptVersionId": version["id"], "title": unique("application"), **fields}
        return dict(conform(made(self.client.post(APPLICATIONS, body)), of_prompts.APPLICATION))

    def case(self, prompt: Mapping[str, Any], **fields: object) -> Json:
        """A test case that asks for Paris."""
        body = {"promptId": prompt["id"], "variables": {"question": "Paris"}, **fields}
        return dict(conform(made(self.client.post(CASES, body)), of_prompts.TEST_CASE))

    def listed(self, prompt: Mapping[str, Any], *versions: Mapping[str, Any], generations: bool = False) -> list[Json]:
        """The prompt's test cases."""
        query = [("promptId", prompt["id"]), *(("promptVersionIds", version["id"]) for version in versions)]
        answer = self.client.get(CASES, [*query, *([("includeGenerations", "true")] if generations else [])])
        assert answer.status == 200, answer
        shape = of_prompts.WITH_GENERATIONS if generations else of_prompts.TEST_CASE
        return [dict(conform(item, shape)) for item in answer.json]

    def start(self, case: Mapping[str, Any], version: Mapping[str, Any]) -> Json:
        """A generation that was asked for."""
        answer = self.client.post(f"{CASES}/{case['id']}/run", {"promptVersionId": version["id"]})
        return dict(conform(made(answer, 200), of_prompts.STARTED))

    def generated(self, prompt: Mapping[str, Any], generation_id: str) -> Json:
        """A generation once it has ended."""

        def look() -> Json:
            cases = self.listed(prompt, generations=True)
            return next((each for case in cases for each in case["generations"] if each["id"] == generation_id), {})

        return eventually(look, lambda seen: seen.get("status") in ("succeeded", "failed"))


@dataclass(frozen=True)
class Assistants:
    """Makes things of family E."""

    client: Client

    def assistant(self, **fields: object) -> Json:
        """One that answers by the workspace's default connection, an echo."""
        body = {"name": unique("assistant"), "instructions": "Be kind.", **fields}
        return dict(conform(made(self.client.post(ASSISTANTS, body)), of_assistants.ASSISTANT))

    def test(self, assistant: Mapping[str, Any] | None = None, **fields: object) -> Json:
        """One that an echo passes."""
        rubric = [{"name": "greets", "criteria": "contains: hello"}]
        body = {"name": unique("test"), "destination": (assistant or self.assistant())["id"], "instructions": "hello", "rubric": rubric}
        return dict(conform(made(self.client.post(TESTS, {**body, **fields})), of_assistants.TEST))

    def trigger(self, test: Mapping[str, Any], **fields: object) -> Json:
        """A triggered run."""
        return dict(conform(made(self.client.post(f"{TESTS}/{test['test_id']}/runs", fields)), of_assistants.RUN))

    def read(self, run: Mapping[str, Any]) -> Json:
        """The run as it reads now."""
        answer = self.client.get(f"{TESTS}/{run['test_id']}/runs/{run['run_id']}")
        return dict(conform(made(answer, 200), of_assistants.RUN))

    def ended(self, run: Mapping[str, Any]) -> Json:
        """The run once it has ended."""
        return eventually(lambda: self.read(run), lambda seen: seen["status"] in of_assistants.ENDED)
