"""Targets that are part of the suite: `echo`, and the demo's answerer."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from services.runner.targets import Call, Refused, Reply
from services.runner.targets.answerer import VARIANTS, Answerer

ECHO = "echo"


class Builtin:
    """Answers in this process. `documentation` is the folder that the answerer retrieves from."""

    def __init__(self, documentation: Path) -> None:
        self._documentation = documentation

    @cached_property
    def _answerer(self) -> Answerer:
        return Answerer.load(self._documentation)

    def answering(self, model: str) -> Callable[[str], str]:
        """The function from question to answer of a model. Raises Refused for an unknown model."""
        if model == ECHO:
            return _echo
        if model in VARIANTS:
            answerer = self._answerer
            return lambda question: answerer.answer(question, model)
        raise Refused(f"the suite has no builtin model '{model}'")

    async def ask(self, call: Call) -> Reply:
        """The answer, at once."""
        return Reply(self.answering(call.model)(call.question))


def _echo(question: str) -> str:
    return question
