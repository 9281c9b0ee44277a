"""The rooms of a service: each file answers one question, and only it may do what that takes.

A breach is told as `file:line: what the rule says`.
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("services", "shared", "gateway", "deploy", "tests")
MAX_LINES = 400
CONTEXT_METHODS = {"abort", "abort_with_status", "invocation_metadata", "send_initial_metadata", "set_trailing_metadata"}
ACKNOWLEDGEMENTS = {"ack", "ack_sync", "nak", "term", "in_progress"}
SQL = re.compile(r"\b(SELECT\b.+\bFROM|INSERT\s+INTO|UPDATE\b.+\bSET|DELETE\s+FROM|TRUNCATE|LISTEN|NOTIFY)\b", re.DOTALL)
LIBRARIES_OF_THE_WORLD = {"aiohttp", "asyncpg", "grpc", "nats", "os", "socket", "subprocess"}


@dataclass(frozen=True)
class Source:
    """A file as a rule sees it."""

    path: PurePosixPath
    text: str

    @property
    def service(self) -> str:
        """The service that it belongs to; "" for none."""
        return self.path.parts[1] if self.path.parts[0] == "services" and len(self.path.parts) > 2 else ""

    @property
    def room(self) -> str:
        """The room of its service: a file, or the package that it was split into."""
        return self.path.parts[2].removesuffix(".py") if self.service else ""

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.text)))

    def imports(self) -> Iterator[tuple[int, str]]:
        """(line, full name) of everything that is imported."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)

    def calls(self) -> Iterator[tuple[int, str]]:
        """(line, name) of every method that is called."""
        for node in self.nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield node.lineno, node.func.attr


Breaches = Iterator[tuple[int, str]]


@dataclass(frozen=True)
class Rule:
    """What only some rooms may do. `excepted` names the files that do it too, and why."""

    says: str
    finds: Callable[[Source], Breaches]
    rooms: frozenset[str] = frozenset()
    excepted: dict[str, str] = field(default_factory=dict)

    def breaches(self, source: Source) -> list[str]:
        if source.room in self.rooms or str(source.path) in self.excepted:
            return []
        return [f"{source.path}:{line}: {self.says} ({what})" for line, what in self.finds(source)]


def _environment(source: Source) -> Breaches:
    for node in source.nodes:
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
            and node.attr in {"environ", "getenv"}
        ):
            yield node.lineno, f"os.{node.attr}"
    yield from (
        (line, name) for line, name in source.imports() if name in {"os.environ", "os.getenv", "shared.config", "shared.config.read"}
    )


def _contexts(source: Source) -> Breaches:
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "ServicerContext":
            yield node.lineno, node.attr
    yield from ((line, name) for line, name in source.imports() if name in {"shared.interceptors.Context", "shared.server.answer_with"})
    yield from ((line, f".{name}()") for line, name in source.calls() if name in CONTEXT_METHODS)


def _transactions(source: Source) -> Breaches:
    yield from ((line, f".{name}()") for line, name in source.calls() if name == "transaction")


def _sql(source: Source) -> Breaches:
    prose = {id(node.value) for node in source.nodes if isinstance(node, ast.Expr)}  # docstrings
    for node in source.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose and (found := SQL.search(node.value)):
            yield node.lineno, " ".join(found[0].split())[:40]


def _acknowledgements(source: Source) -> Breaches:
    yield from ((line, f".{name}()") for line, name in source.calls() if name in ACKNOWLEDGEMENTS)


def _stubs(source: Source) -> Breaches:
    yield from ((line, name) for line, name in source.imports() if name.endswith("Stub"))
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr.endswith("Stub"):
            yield node.lineno, node.attr


def _other_services(source: Source) -> Breaches:
    for line, name in source.imports():
        if name.startswith("services.") and name.split(".")[1] != source.service:
            yield line, name


def _services(source: Source) -> Breaches:
    yield from ((line, name) for line, name in source.imports() if name.split(".")[0] == "services")


def _world(source: Source) -> Breaches:
    if source.room == "entities":
        for line, name in source.imports():
            if name.split(".")[0] in LIBRARIES_OF_THE_WORLD or re.match(
                r"services\.\w+\.(store|operations|clients|consumer|servicer)", name
            ):
                yield line, name


def _length(source: Source) -> Breaches:
    lines = source.text.count("\n")
    if lines > MAX_LINES:
        yield lines, f"{lines} lines"


IN_SERVICES = (
    Rule(
        "only __main__ reads the configuration",
        _environment,
        frozenset({"__main__"}),
        {
            "services/catalog/admin.py": "a command line of its own, and so a second __main__",
            "services/scoring/embedding_files.py": "also run while the stack is built, where no service has a Config",
        },
    ),
    Rule("only servicers know gRPC contexts", _contexts, frozenset({"servicer", "servicers"})),
    Rule(
        "only operations open a transaction",
        _transactions,
        frozenset({"operations"}),
        {"services/scoring/tries.py": "counts tries in transactions of their own: those of the effect are rolled back when it fails"},
    ),
    Rule("only store contains SQL", _sql, frozenset({"store"})),
    Rule("only consumer, worker and execution acknowledge", _acknowledgements, frozenset({"consumer", "worker", "execution"})),
    Rule("only clients hold stubs of other services", _stubs, frozenset({"clients", "__main__"})),
    Rule("services never import each other", _other_services),
    Rule("entities are pure", _world),
)
SHORT = Rule("no file over 400 lines", _length)
BELOW = Rule("what services stand on imports none of them", _services)
RULES: dict[str, Sequence[Rule]] = {
    "services": (*IN_SERVICES, SHORT),
    "shared": (BELOW, SHORT),
    "gateway": (BELOW, SHORT),
    "deploy": (SHORT,),
    "tests": (SHORT,),
}


def breaches(path: str, text: str) -> list[str]:
    """What is wrong with a file, `path` being relative to the root of the repository."""
    source = Source(PurePosixPath(path), text)
    return [breach for rule in RULES[source.path.parts[0]] for breach in rule.breaches(source)]


def _files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def test_every_file_keeps_to_its_room() -> None:
    found = [breach for path in _files() for breach in breaches(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))]
    assert not found, "\n" + "\n".join(found)


def test_every_exception_names_a_file_that_needs_it() -> None:
    for rule in IN_SERVICES:
        for path in rule.excepted:
            text = (ROOT / path).read_text(encoding="utf-8")
            assert list(rule.finds(Source(PurePosixPath(path), text))), f"{path} keeps to its room by now"


PLANTED = [
    ("services/x/operations.py", "import os\nA = os.environ['A']", "only __main__ reads the configuration"),
    ("services/x/clients.py", "from os import environ", "only __main__ reads the configuration"),
    ("services/x/store/a.py", "import os\nos.getenv('A')", "only __main__ reads the configuration"),
    ("services/x/servicer.py", "from shared import config", "only __main__ reads the configuration"),
    ("services/x/operations/a.py", "async def f(context): await context.abort(1, 'x')", "only servicers know gRPC contexts"),
    ("services/x/convert.py", "import grpc\ndef f(context: grpc.aio.ServicerContext): ...", "only servicers know gRPC contexts"),
    ("services/x/store.py", "from shared.interceptors import Context", "only servicers know gRPC contexts"),
    ("services/x/operations.py", "from shared.server import answer_with", "only servicers know gRPC contexts"),
    ("services/x/servicers/a.py", "async def f(d):\n  async with d.transaction() as c: ...", "only operations open a transaction"),
    ("services/x/store/a.py", "async def f(c):\n  async with c.transaction(): ...", "only operations open a transaction"),
    ("services/x/reconciler.py", "def f(d): return d.connection(), d.transaction()", "only operations open a transaction"),
    ("services/x/operations.py", "Q = 'SELECT a, b FROM t'", "only store contains SQL"),
    ("services/x/servicer.py", 'def f(t): return f"INSERT INTO {t} VALUES (1)"', "only store contains SQL"),
    ("services/x/consumer.py", 'Q = """UPDATE t\n   SET a = 1"""', "only store contains SQL"),
    ("services/x/entities.py", "Q = 'WITH a AS (DELETE  FROM t RETURNING 1) TABLE a'", "only store contains SQL"),
    ("services/x/operations/a.py", "async def f(m): await m.ack()", "only consumer, worker and execution acknowledge"),
    ("services/x/reconciler.py", "async def f(m): await m.nak(delay=1)", "only consumer, worker and execution acknowledge"),
    ("services/x/operations.py", "from assay.y.v1.y_pb2_grpc import YServiceStub", "only clients hold stubs of other services"),
    (
        "services/x/servicer.py",
        "from assay.y.v1 import y_pb2_grpc\nS = y_pb2_grpc.YServiceStub",
        "only clients hold stubs of other services",
    ),
    ("services/x/clients.py", "from services.y import store", "services never import each other"),
    ("services/x/__main__.py", "import services.y.convert", "services never import each other"),
    ("services/x/entities.py", "import asyncpg", "entities are pure"),
    ("services/x/entities/a.py", "from services.x.store import a", "entities are pure"),
    ("shared/a.py", "from services.x import entities", "what services stand on imports none of them"),
    ("gateway/a.py", "import services.x", "what services stand on imports none of them"),
    *((f"{folder}/x/a.py", "\n" * 401, "no file over 400 lines") for folder in FOLDERS),
]
FINE = [
    ("services/x/__main__.py", "import os\nfrom shared import config\nconfig.read(C, os.environ)"),
    ("services/x/servicers/a.py", "from shared.interceptors import Context\nasync def f(context): await context.abort(1, 'x')"),
    ("services/x/operations.py", "async def f(d):\n  async with d.transaction() as c: ..."),
    ("services/x/store/a.py", "Q = 'SELECT a FROM t'"),
    ("services/x/operations.py", "'''UPDATE t SET a; SELECT a FROM t'''\ndef f():\n  'INSERT INTO t'"),
    ("services/x/consumer.py", "async def f(m): await m.ack()"),
    ("services/x/clients.py", "from assay.y.v1.y_pb2_grpc import YServiceStub"),
    ("services/x/a.py", "from services.x import store\nimport os.path\nP = os.path.sep"),
    ("services/x/convert.py", "T = 'Select a file from the list; please update the set'"),
    ("shared/a.py", "import os, asyncpg\nQ = 'SELECT a FROM t'\nasync def f(c, m):\n  async with c.transaction(): await m.ack()"),
    ("tests/a.py", "\n" * 400),
]


@pytest.mark.parametrize(("path", "text", "says"), PLANTED, ids=range(len(PLANTED)))
def test_a_planted_fault_is_told_with_its_place_and_rule(path: str, text: str, says: str) -> None:
    [breach] = breaches(path, text)
    place, _, told = breach.partition(": ")
    assert place.rpartition(":")[0] == path
    assert told.startswith(says)


@pytest.mark.parametrize(("path", "text"), FINE, ids=range(len(FINE)))
def test_what_a_room_may_do_is_no_breach(path: str, text: str) -> None:
    assert breaches(path, text) == []
