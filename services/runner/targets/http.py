"""JSON endpoints: POST {question, history, statement, model, parameters}, answered by {"output": text}.

In a conversation `messages` and `tools` go along, and the answer may have tool_calls and usage, spelled as OpenAI does.
"""

import aiohttp
import orjson

from services.runner.targets import Call, Refused, Reply
from services.runner.targets.openai import SHOWN, parsed, post
from services.runner.targets.tools import read_tool_calls, read_usage
from shared import chat


class Http:
    """Calls `<base_url>` through a guarded session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, call: Call) -> Reply:
        """The text under `output`. Raises Refused, Failed or Throttled."""
        body = orjson.dumps(
            {
                "question": call.question,
                "history": [{"question": turn.question, "answer": turn.answer} for turn in call.history],
                "statement": call.statement,
                **({"messages": list(call.messages)} if call.messages else {}),
                **({"tools": list(call.tools)} if call.tools else {}),
                "model": call.model,
                "parameters": dict(call.parameters),
                "file_url": call.file_url,
            }
        )
        answer = await post(self._session, call.base_url, call, body)
        try:
            said = parsed(answer)
            text, tool_calls, usage = said["output"], read_tool_calls(said.get("tool_calls")), read_usage(said.get("usage"))
        except (ValueError, KeyError, IndexError, TypeError):
            raise Refused(f"not an answer: {chat.shown(answer, call.api_key, SHOWN)}") from None
        if not isinstance(text, str) and not (text is None and tool_calls):
            raise Refused("the answer's output is no text")
        return Reply(text or "", (), tool_calls, usage)
