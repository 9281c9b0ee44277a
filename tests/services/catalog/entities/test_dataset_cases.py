"""Rules of the cases of datasets."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.catalog.entities.dataset_cases import DatasetCase, Example
from services.catalog.entities.datasets import AGENT, PROMPT
from shared.ids import new_id

HELLO = {"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "tool_call", "id": "1", "name": "n"}]}


def a_case(kind: str = PROMPT, **said: Any) -> DatasetCase:
    return DatasetCase(new_id(), new_id(), new_id(), Example(**{"inputs": {}, **said}).content(kind), datetime.now(UTC))


@pytest.mark.parametrize(
    ("kind", "inputs", "question"),
    [
        (PROMPT, {"q": "Why?"}, "Why?"),
        (PROMPT, {"q": ["Why?"]}, '["Why?"]'),
        (PROMPT, {"q": None}, ""),
        (PROMPT, {}, "{}"),
        (PROMPT, {"b": 1, "a": "é"}, '{"a": "é", "b": 1}'),
        (AGENT, "do it", "do it"),
        (AGENT, 0, "0"),
        (AGENT, {"task": "do it"}, "do it"),
    ],
)
def test_the_question_is_a_readable_text_of_the_input(kind: str, inputs: Any, question: str) -> None:
    assert a_case(kind, inputs=inputs).question == question


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        (PROMPT, {}, ""),
        (PROMPT, {"output": "o", "output_message": HELLO}, "o"),
        (PROMPT, {"output": "", "output_message": HELLO}, ""),
        (PROMPT, {"output_message": HELLO}, "Hello"),
        (PROMPT, {"output_message": {"role": "user", "content": "Hello"}}, "Hello"),
        (AGENT, {"output": {"b": 1, "a": None}}, '{"a": null, "b": 1}'),
        (AGENT, {"output": False}, "false"),
    ],
)
def test_what_is_expected_is_a_text_of_the_output(kind: str, said: dict[str, Any], expected: str) -> None:
    assert a_case(kind, **said).expected == expected


def test_an_agents_case_keeps_nothing_of_a_prompts() -> None:
    said = {"output": "o", "output_message": HELLO, "history": [HELLO], "media_inputs": {"a": {}}, "metadata": {"m": 1}}
    assert not list(Example("i", output_message=3, history=3, media_inputs=3).faults(AGENT))
    assert a_case(AGENT, inputs="i", **said).content == {"kind": "agent", "input": "i", "output": "o", "metadata": {"m": 1}}


def test_every_fault_of_a_case_is_found() -> None:
    wrong = Example(None, 1, {"role": "nobody"}, [], "h", {"a": {"type": "base64"}})
    assert [path for path, _ in wrong.faults(PROMPT)] == [
        *(".inputs", ".metadata", ".output", ".output_message.role", ".output_message.content", ".history"),
        *(".media_inputs.a.data", ".media_inputs.a.content_type"),
    ]
