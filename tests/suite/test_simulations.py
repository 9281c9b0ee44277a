"""Family B end to end: conversations with echoes and endpoints, tools and their evaluation, and the chat that a client drives."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.suite.builders import UNKNOWN, Builders, Json, unique
from tests.suite.client import Client
from tests.suite.contract import refused
from tests.suite.contracts_simulations import CALLS as HANDED_OUT, CHAT, EXECUTION, STARTED_CHAT, result, results
from tests.suite.endpoint import Endpoint
from tests.suite.family_builders import CALLS, EXECUTIONS, RUN_TESTS, Projects, Simulations, eventually

# The chat's client gives up at so many turns, without a word.
MOST_TURNS = 50


def contains(text: str) -> Json:
    """An evaluation that needs no judge: whether the transcript says this."""
    return {"name": f"says {text}", "templateName": "contains", "mapping": {"output": "transcript"}, "config": {"config": {"text": text}}}


def test_scripts_are_read_out_and_each_conversation_is_judged(simulations: Simulations, client: Client) -> None:
    scenarios = [simulations.scenario("hello", "my name is Ada"), simulations.scenario("goodbye")]
    run_test = simulations.run_test(*scenarios, evaluationsConfig=[contains("Ada"), contains("nobody says that")])
    assert simulations.summary(run_test) == {}
    started = simulations.execute(run_test)
    assert (started["run_test_id"], started["total_scenarios"], started["total_calls"]) == (run_test["id"], 2, 2)
    assert started["scenario_ids"] == [scenario["id"] for scenario in scenarios]
    execution = simulations.ended(run_test, started["execution_id"])
    assert (execution["status"], execution["completed_calls"]) == ("completed", 2)
    eventually(lambda: simulations.read(run_test)["status"], lambda status: status == "completed")
    expected = {
        "says Ada": {"name": "says Ada", "average_score": 0.5, "total_runs": 2, "passed": 1, "failed": 1},
        "says nobody says that": {"name": "says nobody says that", "average_score": 0, "total_runs": 2, "passed": 0, "failed": 2},
    }
    assert simulations.summary(run_test) == simulations.summary(run_test, started["execution_id"]) == expected
    path = f"{RUN_TESTS}/{run_test['id']}"
    refused(client.get(f"{path}/eval-summary/", {"execution_id": "nonsense"}), 400, "execution_id")
    refused(client.get(f"{path}/eval-summary/", {"execution_id": UNKNOWN}), 404, reason="NOT_FOUND")
    another = simulations.run_test()
    refused(client.get(f"{RUN_TESTS}/{another['id']}/eval-summary/", {"execution_id": started["execution_id"]}), 404)
    assert client.delete(f"{path}/").status == 204
    refused(client.get(f"{path}/executions/"), 404)


def test_some_scenarios_are_executed_alone(simulations: Simulations, client: Client) -> None:
    first, second = simulations.scenario(), simulations.scenario()
    run_test = simulations.run_test(first, second)
    started = simulations.execute(run_test, scenario_ids=[second["id"]])
    assert (started["total_scenarios"], started["total_calls"], started["scenario_ids"]) == (1, 1, [second["id"]])
    refused(client.post(f"{RUN_TESTS}/{run_test['id']}/execute/", {"scenario_ids": [simulations.scenario()["id"]]}), 400)
    executions = results(client.get(f"{RUN_TESTS}/{run_test['id']}/executions/"), EXECUTION)["results"]
    assert executions[0]["id"] == started["execution_id"]


def test_rows_of_a_dataset_are_conversations(simulations: Simulations, projects: Projects, client: Client) -> None:
    dataset = projects.dataset(*[{"inputs": {"q": f"row {number}"}} for number in range(3)])
    rows = client.get(f"{projects.base}/datasets/id/{dataset['id']}/test-cases").json
    scenario = simulations.scenario(kind="dataset", datasetId=dataset["id"], script=None)
    everything = simulations.execute(simulations.run_test(scenario))
    assert (everything["total_scenarios"], everything["total_calls"]) == (1, 3)
    run_test = simulations.run_test(scenario, datasetRowIds=[rows[1]["id"]], evaluationsConfig=[contains("row 1")])
    started = simulations.execute(run_test)
    assert started["total_calls"] == 1
    assert simulations.ended(run_test, started["execution_id"])["status"] == "completed"
    assert simulations.summary(run_test)["says row 1"]["passed"] == 1
    body = {"name": unique("r"), "scenarioIds": [scenario["id"]], "agentDefinitionId": run_test["agent_definition"]}
    refused(client.post(f"{RUN_TESTS}/create/", {**body, "datasetRowIds": [UNKNOWN]}), 404)


def test_the_agents_version_speaks_with_the_simulated_user(simulations: Simulations, build: Builders, endpoint: Endpoint) -> None:
    word, connection = unique("said").replace(" ", "-"), build.endpoint(endpoint.base_url)
    agent = simulations.agent(connectionId=connection["id"], instructions="Be brief.", model="better")
    run_test = simulations.run_test(simulations.scenario(f"{word} one", f"{word} two"), agent=agent, evaluationsConfig=[contains(word)])
    started = simulations.execute(run_test)
    assert simulations.ended(run_test, started["execution_id"])["status"] == "completed"
    last = endpoint.asked(word)[-1]
    assert (last["model"], [message["role"] for message in last["messages"]]) == ("better", ["system", "user", "assistant", "user"])


def test_an_execution_goes_through_its_states(simulations: Simulations, build: Builders, endpoint: Endpoint) -> None:
    name = unique("gate").replace(" ", "-")
    gate, agent = endpoint.gate(name), simulations.agent(connectionId=build.endpoint(endpoint.base_url)["id"])
    run_test = simulations.run_test(simulations.scenario(f"gate {name}"), simulations.scenario("hello"), agent=agent)
    assert run_test["status"] == "pending"
    started = simulations.execute(run_test)
    assert gate.arrived.acquire(timeout=10)
    look: Callable[[], Json] = lambda: simulations.execution(run_test, started["execution_id"])  # noqa: E731 a look is what is wanted
    assert eventually(look, lambda seen: seen["completed_calls"] == 1)["status"] == "running"
    assert simulations.read(run_test)["status"] == "running"
    gate.open()
    assert simulations.ended(run_test, started["execution_id"])["status"] == "completed"


def test_a_conversation_that_fails_is_counted_and_not_judged(simulations: Simulations, build: Builders, endpoint: Endpoint) -> None:
    agent = simulations.agent(connectionId=build.endpoint(endpoint.base_url)["id"])
    run_test = simulations.run_test(simulations.scenario("status 400"), agent=agent, evaluationsConfig=[contains("x")])
    execution = simulations.ended(run_test, simulations.execute(run_test)["execution_id"])
    assert (execution["status"], execution["completed_calls"]) == ("completed", 1)
    summary = simulations.summary(run_test)["says x"]
    assert (summary["total_runs"], summary["passed"], summary["failed"]) == (1, 0, 0)
    assert "average_score" not in summary


TOOL = {
    "type": "function",
    "function": {
        "name": "book",
        "parameters": {
            "type": "object",
            "properties": {"seats": {"type": "integer"}},
            "required": ["seats"],
            "additionalProperties": False,
        },
    },
}


@pytest.mark.parametrize(
    ("said", "passed", "failed"),
    [
        ('call book {"seats": 2}', 1, 0),
        ('call book {"seats": "two"}', 0, 1),
        ('call cancel {"seats": 2}', 0, 1),
        ("hello", 0, 0),  # no call is neither right nor wrong
    ],
)
def test_tool_calls_are_evaluated_when_asked_for(
    simulations: Simulations, build: Builders, endpoint: Endpoint, said: str, passed: int, failed: int
) -> None:
    agent = simulations.agent(connectionId=build.endpoint(endpoint.base_url)["id"], tools=[TOOL])
    run_test = simulations.run_test(simulations.scenario(said), agent=agent, enableToolEvaluation=True)
    simulations.ended(run_test, simulations.execute(run_test)["execution_id"])
    summary = simulations.summary(run_test)
    assert list(summary) == ["tool_evaluation"]
    found = summary["tool_evaluation"]
    assert (found["total_runs"], found["passed"], found["failed"]) == (1, passed, failed)


class Chat:
    """An agent of the client's own, as the official simulation client drives one."""

    def __init__(self, client: Client, run_test: Json) -> None:
        self.client, self.run_test = client, run_test
        path = f"{RUN_TESTS}/{run_test['id']}/chat-execute/"
        self.execution = result(client.post(path, {}), STARTED_CHAT)

    def take(self) -> Json:
        """The next calls."""
        return result(self.client.post(f"{EXECUTIONS}/{self.execution['execution_id']}/chat/call-executions/batch/", {}), HANDED_OUT)

    def calls(self) -> list[str]:
        """All calls, batch by batch."""
        found: list[str] = []
        more = True
        while more:
            batch = self.take()
            found, more = found + batch["call_execution_ids"], batch["has_more"]
        return found

    def begin(self, call: str) -> Json:
        """The first message of a call."""
        return result(self.client.post(f"{CALLS}/{call}/chat/send-message/", {"initiate_chat": True}), CHAT)

    def say(self, call: str, *messages: Json) -> Json:
        """What the agent says."""
        body = {"messages": list(messages), "metrics": {"latency": 12.5}, "initiate_chat": False}
        return result(self.client.post(f"{CALLS}/{call}/chat/send-message/", body), CHAT)

    def echo(self, call: str) -> Json:
        """Says everything that the user says once more, to the end; the chat as it ended."""
        chat = self.begin(call)
        for _ in range(MOST_TURNS):
            if chat["chat_ended"]:
                return chat
            chat = self.say(call, {"role": "user", "content": chat["output_message"][-1]["content"]})
        raise AssertionError(chat)

    def end(self, call: str, status: str, reason: str = "done") -> Any:
        """Ends a call."""
        answer = self.client.patch(f"{CALLS}/{call}/", {"status": status, "ended_reason": reason})
        assert answer.status == 200, answer
        return answer.json


def test_a_chat_is_driven_by_the_client_from_its_name_to_its_verdict(simulations: Simulations, client: Client) -> None:
    scenario = simulations.scenario("hello", "my name is Ada")
    run_test = simulations.run_test(scenario, evaluationsConfig=[contains("Ada")])
    chat = Chat(client, run_test)
    assert (chat.execution["run_test_id"], chat.execution["total_scenarios"]) == (run_test["id"], 1)
    batch = chat.take()
    assert (len(batch["call_execution_ids"]), batch["has_more"], batch["batched_scenarios"]) == (1, False, [scenario["id"]])
    assert chat.take()["call_execution_ids"] == []
    call = batch["call_execution_ids"][0]
    first = chat.begin(call)
    assert (first["message_history"], first["chat_ended"]) == ([{"role": "assistant", "content": "hello"}], False)
    assert first["output_message"] == first["message_history"]
    second = chat.say(call, {"role": "user", "content": "good day"})
    assert second["input_message"] == [{"role": "user", "content": "good day"}]
    assert [line["content"] for line in second["message_history"]] == ["hello", "good day", "my name is Ada"]
    last = chat.say(call, {"role": "user", "content": "hi Ada"})
    assert last["chat_ended"] is True
    chat.end(call, "completed")
    execution = simulations.ended(run_test, chat.execution["execution_id"])
    assert (execution["status"], execution["total_calls"], execution["completed_calls"]) == ("completed", 1, 1)
    assert simulations.summary(run_test)["says Ada"]["passed"] == 1


def test_each_call_is_handed_out_once(simulations: Simulations, client: Client) -> None:
    run_test = simulations.run_test(*[simulations.scenario(f"line {number}") for number in range(25)])
    chat = Chat(client, run_test)
    calls = chat.calls()
    assert len(calls) == len(set(calls)) == chat.execution["total_scenarios"] == 25
    for call in calls:
        assert chat.echo(call)["chat_ended"]
    assert simulations.ended(run_test, chat.execution["execution_id"])["completed_calls"] == 25


def test_tools_of_the_clients_agent_are_told_and_evaluated(simulations: Simulations, client: Client) -> None:
    run_test = simulations.run_test(simulations.scenario("book me"), agent=simulations.agent(tools=[TOOL]), enableToolEvaluation=True)
    chat = Chat(client, run_test)
    call = chat.take()["call_execution_ids"][0]
    chat.begin(call)
    asked = {"id": "1", "type": "function", "function": {"name": "book", "arguments": '{"seats": 2}'}}
    said = chat.say(
        call,
        {"role": "user", "content": None, "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "1", "content": "booked"},
        {"role": "user", "content": "It is booked."},
    )
    assert all(isinstance(line["content"], str) for line in said["message_history"])
    chat.end(call, "completed")
    simulations.ended(run_test, chat.execution["execution_id"])
    assert simulations.summary(run_test)["tool_evaluation"]["passed"] == 1


def test_a_chat_ends_before_the_client_gives_up(simulations: Simulations, client: Client) -> None:
    chat = Chat(client, simulations.run_test(simulations.scenario(*[f"line {number}" for number in range(60)], maxTurns=50)))
    last = chat.echo(chat.take()["call_execution_ids"][0])
    assert last["chat_ended"]
    assert sum(line["role"] == "user" for line in last["message_history"]) < MOST_TURNS


def test_a_failed_call_counts_and_what_cannot_be_said_is_refused(simulations: Simulations, client: Client) -> None:
    run_test = simulations.run_test(evaluationsConfig=[contains("hello")])
    chat = Chat(client, run_test)
    call = chat.take()["call_execution_ids"][0]
    path = f"{CALLS}/{call}/chat/send-message/"
    refused(client.post(path, {"messages": [{"role": "user", "content": "too early"}]}), 409)
    chat.begin(call)
    refused(client.post(path, {"messages": [{"role": "assistant", "content": "x"}]}), 400)
    refused(client.post(path, {"messages": []}), 400)
    for status in ("", "gone", None):
        refused(client.patch(f"{CALLS}/{call}/", {"status": status}), 400, "status")
    chat.end(call, "failed", "the agent broke down")
    refused(client.post(path, {"messages": [{"role": "user", "content": "too late"}]}), 409)
    chat.end(call, "completed")
    execution = simulations.ended(run_test, chat.execution["execution_id"])
    assert (execution["status"], execution["completed_calls"]) == ("completed", 1)


def test_an_execution_of_the_suites_has_no_calls_to_hand_out(simulations: Simulations, client: Client) -> None:
    run_test = simulations.run_test()
    started = simulations.execute(run_test)
    refused(client.post(f"{EXECUTIONS}/{started['execution_id']}/chat/call-executions/batch/", {}), 404, reason="NOT_FOUND")
    simulations.ended(run_test, started["execution_id"])
