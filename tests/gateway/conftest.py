"""One gateway and one backend for the whole folder."""

from collections.abc import Iterator

import pytest

from tests.gateway.backend import Backend, Log
from tests.gateway.envoy import Gateway, running, settings

ORIGIN = "http://localhost:3000"


@pytest.fixture(scope="session")
def backend() -> Iterator[Backend]:
    """The backend's servers; the first one is started."""
    servers = Backend()
    servers.start()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def gateway(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway in front of the backend, whose pages of `ORIGIN` may call it."""
    with running(settings(backend.first, allowed_origins=[ORIGIN]), tmp_path_factory.mktemp("gateway")) as envoy:
        yield envoy


@pytest.fixture
def seen(backend: Backend) -> Log:
    """What reached the backend since the test began."""
    backend.log.calls.clear()
    return backend.log
