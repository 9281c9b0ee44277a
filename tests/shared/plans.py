"""How Postgres performs what our stores say."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asyncpg.connection import LoggedQuery

from shared.postgres import Connection

Node = Mapping[str, Any]


class Statements:
    """A query logger of a connection: its statements, to be explained with their own arguments."""

    def __init__(self) -> None:
        self._said: list[LoggedQuery] = []

    def __call__(self, query: LoggedQuery) -> None:
        self._said.append(query)

    async def nodes(self, connection: Connection) -> list[Node]:
        """The nodes of the plans of all that select or change rows."""
        await asyncio.sleep(0)  # the last one is told after it was answered
        said = [one for one in self._said if not one.query.startswith("SET ")]
        told = [await connection.fetchval(f"EXPLAIN (FORMAT JSON) {one.query}", *one.args) for one in said]
        return [node for plan in told for node in _nodes(json.loads(plan)[0]["Plan"])]


def _nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def scanned(nodes: Sequence[Node]) -> set[str]:
    """The tables that are read from their front."""
    return {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}


def indexes(nodes: Sequence[Node]) -> set[str]:
    """The indexes that rows are found by."""
    return {node["Index Name"] for node in nodes if "Index Name" in node}
