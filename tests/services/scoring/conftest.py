"""One embedder for all tests, a chat server per test, and a judge that asks it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from services.scoring.embedding import Embedder
from services.scoring.embedding_files import directory
from services.scoring.judge import CacheValue, Judge
from shared.guard import Guard, open_session
from tests.services.scoring.chat_server import ChatServer, serving


class Memory:
    """A cache of verdicts that lives as long as the test."""

    def __init__(self) -> None:
        self.values: dict[str, CacheValue] = {}

    async def get(self, key: str) -> CacheValue | None:
        return self.values.get(key)

    async def put(self, key: str, value: CacheValue) -> None:
        self.values[key] = value


@pytest.fixture(scope="session")
def embedder() -> Iterator[Embedder]:
    embedder = Embedder(directory())
    yield embedder
    embedder.close()


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(ChatServer()) as server:
        yield server


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def judge(memory: Memory) -> AsyncIterator[Judge]:
    async with open_session(Guard(["127.0.0.0/8"])) as session:
        judge = Judge(session, memory)
        yield judge
        await judge.close()
