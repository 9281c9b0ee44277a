"""The gateway as the bench asks it: one kept-alive connection of the standard library, since a heavy client would be measured too."""

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05
ENDED = frozenset({"completed", "error", "cancelled"})

Json = dict[str, Any]


class BenchFailedError(RuntimeError):
    """A case could not be measured; the message says why."""


class Gateway:
    """Asks as the stack's first workspace."""

    def __init__(self, env: Mapping[str, str], poll_seconds: float = POLL_SECONDS) -> None:
        self.env, self._poll_seconds = env, poll_seconds
        self.address = urlsplit(env["ASSAY_URL"])
        self._headers = {"authorization": f"Bearer {env['ASSAY_TOKEN']}"}
        self._connection = http.client.HTTPConnection(self.address.hostname or "", self.address.port, timeout=PATIENCE_SECONDS)

    def get(self, path: str) -> Json:
        """A JSON object. Raises BenchFailedError."""
        return self._asked("GET", path)

    def create(self, path: str, **body: object) -> Json:
        """What was made. Raises BenchFailedError."""
        return self._asked("POST", path, json.dumps(body).encode(), "application/json")

    def upload(self, path: str, content: bytes) -> Json:
        """What became of an uploaded CSV file. Raises BenchFailedError."""
        boundary = "assay-bench"
        head = f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="cases.csv"\r\ncontent-type: text/csv\r\n\r\n'
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        return self._asked("POST", path, body, f"multipart/form-data; boundary={boundary}")

    def delete(self, path: str) -> None:
        """Deletes. Raises BenchFailedError."""
        self._asked("DELETE", path)

    def completed(self, run_id: str, timeout: float) -> Json:
        """The run once it has ended. Raises BenchFailedError if that takes longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (run := self.get(f"/v1/evaluation/runs/{run_id}"))["status"] not in ENDED:
            if time.monotonic() > deadline:
                raise BenchFailedError(f"the run had {run['completed_cases']} of {run['total_cases']} results after {timeout:g} s")
            time.sleep(self._poll_seconds)
        return run

    def _asked(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> Json:
        headers = {**self._headers, **({"content-type": content_type} if content_type else {})}
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as fault:
            self._connection.close()
            raise BenchFailedError(f"{method} {path}: {fault or type(fault).__name__}") from fault
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise BenchFailedError(f"{method} {path}: {response.status} {content[:300].decode(errors='replace')}")
        answer: Json = json.loads(content) if content else {}
        return answer
