"""JSON endpoints: POST {question, history, statement, model, parameters}, answered by {"output": text}."""

import aiohttp
import orjson

from services.runner.targets import Call, Refused, Reply
from services.runner.targets.openai import SHOWN, check_status, parsed, post


class Http:
    """Calls `<base_url>` through a guarded session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, call: Call) -> Reply:
        """The text under `output`. Raises Refused, Failed or Throttled."""
        headers = {"content-type": "application/json", "idempotency-key": call.key}
        if call.api_key:
            headers["authorization"] = f"Bearer {call.api_key}"
        body = orjson.dumps(
            {
                "question": call.question,
                "history": [{"question": turn.question, "answer": turn.answer} for turn in call.history],
                "statement": call.statement,
                "model": call.model,
                "parameters": dict(call.parameters),
                "file_url": call.file_url,
            }
        )
        status, content, retry_after = await post(self._session, call.base_url, body, headers, call.timeout)
        check_status(status, content, retry_after)
        try:
            text = parsed(content)["output"]
        except (ValueError, KeyError, IndexError, TypeError):
            raise Refused(f"not an answer: {content[:SHOWN].decode('utf-8', 'replace')}") from None
        if not isinstance(text, str):
            raise Refused("the answer's output is no text")
        return Reply(text)
