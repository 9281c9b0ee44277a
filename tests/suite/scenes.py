"""One of everything in a workspace, and every operation of family D as a row that can be called on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.suite.builders import COMPARE, CONNECTIONS, CONTEXTS, FILES, RUNS, SETS, TEMPLATE, Builders, csv_of, made, unique
from tests.suite.client import Answer, Client, File

Ids = Mapping[str, str]
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16


@dataclass(frozen=True)
class Scene:
    """Ids by the names that paths give them."""

    client: Client
    ids: Ids

    def call(self, operation: "Operation", ids: Ids | None = None, *, client: Client | None = None) -> Answer:
        """Calls an operation; `ids` stand in for the scene's own."""
        return operation.call(client or self.client, {**self.ids, **(ids or {})})


@dataclass(frozen=True)
class Operation:
    """A row of the contract. `body` makes a valid one; `status` is what a success answers."""

    name: str
    method: str
    path: str
    status: int = 200
    body: Callable[[Ids], object] | None = None
    file: File | None = None
    query: str = ""

    @property
    def parameters(self) -> list[str]:
        """Names of the ids in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"

    def url(self, ids: Ids) -> str:
        """Path and query."""
        return (self.path + self.query).format(**ids)

    def call(self, client: Client, ids: Ids) -> Answer:
        """Calls it with a valid body."""
        if self.file is not None:
            return client.upload(self.url(ids), self.file)
        if self.body is None:
            return client.send(self.method, self.url(ids), headers={"content-length": "0"} if self.method == "POST" else None)
        send = {"POST": client.post, "PUT": client.put, "PATCH": client.patch}[self.method]
        return send(self.url(ids), self.body(ids))

    def __str__(self) -> str:
        return self.name


def _renamed(_: Ids) -> object:
    return {"name": "renamed"}


SET, CASES = SETS + "/{test_set_id}", SETS + "/{test_set_id}/cases"
CASE, RUN = CASES + "/{case_id}", RUNS + "/{run_id}"
CONTEXT, CONNECTION = CONTEXTS + "/{context_id}", CONNECTIONS + "/{connection_id}"

CREATES = (
    Operation("create connection", "POST", CONNECTIONS, 201, lambda _: {"name": unique("c"), "kind": "builtin", "model": "echo"}),
    Operation("create context", "POST", CONTEXTS, 201, lambda ids: {"name": unique("x"), "connection_id": ids["connection_id"]}),
    Operation("create test set", "POST", SETS, 201, lambda ids: {"name": unique("s"), "context_id": ids["context_id"]}),
    Operation("create case", "POST", CASES, 201, lambda _: {"question": "q", "expected_response": "e"}),
    Operation("start run", "POST", RUNS, 201, lambda ids: {"test_set_id": ids["test_set_id"], "context_id": ids["context_id"]}),
)
UPLOADS = (
    Operation("upload file", "POST", FILES, file=File(PNG, "a.png", "image/png")),
    Operation("upload csv", "POST", SET + "/upload-csv", file=File(csv_of("q,e,exact_match"))),
)
READS = (
    Operation("list test sets", "GET", SETS, query="?context_id={context_id}"),
    Operation("get test set", "GET", SET),
    Operation("list cases", "GET", CASES),
    Operation("get csv template", "GET", TEMPLATE),
    Operation("get run", "GET", RUN),
    Operation("list results", "GET", RUN + "/results"),
    Operation("export results", "GET", RUN + "/export"),
    Operation("stream events", "GET", RUN + "/events"),
    Operation("list history", "GET", SET + "/history"),
    Operation("compare runs", "GET", COMPARE, query="?run_a={run_id}&run_b={run_id}"),
    Operation("get file", "GET", FILES + "/{file_id}"),
    Operation("list contexts", "GET", CONTEXTS),
    Operation("get context", "GET", CONTEXT),
    Operation("list connections", "GET", CONNECTIONS),
    Operation("get connection", "GET", CONNECTION),
)
CHANGES = (
    Operation("update test set", "PUT", SET, body=_renamed),
    Operation("update case", "PUT", CASE, body=lambda _: {"question": "changed"}),
    Operation("update context", "PUT", CONTEXT, body=_renamed),
    Operation("update connection", "PUT", CONNECTION, body=_renamed),
    Operation("cancel run", "POST", RUN + "/cancel", 409),
)
# Each makes the next one possible.
DELETES = (
    Operation("delete run", "DELETE", RUN, 204),
    Operation("delete case", "DELETE", CASE, 204),
    Operation("delete test set", "DELETE", SET, 204),
    Operation("delete context", "DELETE", CONTEXT, 204),
    Operation("delete connection", "DELETE", CONNECTION, 204),
)
OPERATIONS = (*CREATES, *UPLOADS, *READS, *CHANGES, *DELETES)
BY_NAME: Mapping[str, Operation] = {operation.name: operation for operation in OPERATIONS}


def a_scene(client: Client) -> Scene:
    """A new one of everything; its run is completed."""
    build = Builders(client)
    connection = build.connection()
    context = build.context(connection)
    test_set = build.test_set(context)
    case = build.case(test_set)
    run = build.finished(test_set)
    stored = made(BY_NAME["upload file"].call(client, {}), 200)
    ids = {
        "connection_id": connection["id"],
        "context_id": context["id"],
        "test_set_id": test_set["id"],
        "case_id": case["id"],
        "run_id": run["id"],
        "file_id": stored["file_url"].rpartition("/")[2],
    }
    return Scene(client, ids)


def everything(scene: Scene) -> dict[str, Any]:
    """What the scene's resources read as, by operation; to see whether anything changed."""
    names = ("get test set", "list cases", "get run", "list results", "get context", "get connection", "list history")
    return {name: (scene.call(BY_NAME[name]).status, scene.call(BY_NAME[name]).body) for name in names}
