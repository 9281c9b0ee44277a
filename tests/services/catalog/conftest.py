"""Fixtures: the catalog in this process."""

from collections.abc import AsyncIterator

import pytest

from tests.servers import PostgresServer
from tests.services.catalog.house import House, open_house


@pytest.fixture(scope="module")
def catalog_url(postgres: PostgresServer) -> str:
    """A database of the module's own."""
    return postgres.create(["catalog"])["catalog"]


@pytest.fixture
async def house(catalog_url: str) -> AsyncIterator[House]:
    """The catalog with two new workspaces; what other tests of the module made is in others."""
    async with open_house(catalog_url) as opened:
        yield opened
