"""The image's first process: how it ends under load, and with what it doesn't begin."""

import http.client
import runpy
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.local.binaries import ROOT
from tests.certificates import an_authority
from tests.gateway.backend import Backend
from tests.gateway.envoy import Gateway
from tests.gateway.image import Image, laid_out, running, settings

ANSWERS = ROOT / "deploy" / "chart" / "files" / "answers.py"
SETS = "/v1/evaluation/test-sets"
HELD = 20
CLIENTS = 4
SOON = 60.0


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return laid_out(tmp_path_factory.mktemp("image"))


@pytest.fixture
def held(backend: Backend) -> Iterator[threading.Event]:
    """Set it, and the calls for "held" are answered."""
    backend.log.released.clear()
    yield backend.log.released
    backend.log.released.set()


@dataclass
class Client:
    """Asks again and again, on a new connection each time, until nobody takes it."""

    gateway: Gateway
    answered: list[tuple[float, int]] = field(default_factory=list)
    """When each request began that was answered, and with which status."""
    failed: list[float] = field(default_factory=list)
    """When each request began whose connection was taken and then ended without an answer."""

    def ask_until_refused(self) -> None:
        while True:
            began = time.monotonic()
            try:
                self.answered.append((began, self.gateway.send("GET", f"{SETS}/a").status))
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException):
                self.failed.append(began)


def test_what_began_before_sigterm_is_answered_and_so_is_what_comes_until_nobody_is_let_in(
    backend: Backend, image: Image, held: threading.Event
) -> None:
    with running(image, patient(backend)) as started, ThreadPoolExecutor(HELD + CLIENTS) as pool:
        backend.log.calls.clear()
        waiting = [pool.submit(started.gateway.send, "GET", f"{SETS}/held") for _ in range(HELD)]
        clients = [Client(started.gateway) for _ in range(CLIENTS)]
        asking = [pool.submit(client.ask_until_refused) for client in clients]
        until(lambda: reached(backend) == HELD and all(len(client.answered) > 5 for client in clients))
        told = time.monotonic()
        started.process.terminate()
        until(lambda: all(client.answered[-1][0] > told + 1 for client in clients))
        assert started.process.poll() is None, "it waits for those that are held"
        held.set()
        assert [answer.result(SOON).status for answer in waiting] == [200] * HELD
        assert started.process.wait(SOON) == 0
        ended(asking)
    assert {status for client in clients for _, status in client.answered} == {200}
    assert [began for client in clients for began in client.failed if began < told] == []


def test_clients_are_told_to_go_elsewhere_while_it_drains(backend: Backend, image: Image, held: threading.Event) -> None:
    with running(image, patient(backend)) as started, ThreadPoolExecutor(1) as pool:
        backend.log.calls.clear()
        waiting = pool.submit(started.gateway.send, "GET", f"{SETS}/held")
        until(lambda: reached(backend) == 1)
        assert "connection" not in started.gateway.send("GET", f"{SETS}/a").headers
        started.process.terminate()
        until(lambda: started.gateway.send("GET", f"{SETS}/a").headers.get("connection") == "close")
        held.set()
        assert waiting.result(SOON).headers["connection"] == "close"


def test_it_does_not_wait_for_ever(backend: Backend, image: Image, held: threading.Event) -> None:
    with running(image, settings(backend.first) | {"ASSAY_DRAIN_SECONDS": "1"}) as started, ThreadPoolExecutor(1) as pool:
        backend.log.calls.clear()
        waiting = pool.submit(started.gateway.send, "GET", f"{SETS}/held")
        until(lambda: reached(backend) == 1)
        started.process.terminate()
        assert started.process.wait(SOON) == 0
        assert waiting.exception(SOON) is not None
        assert not held.is_set()


def test_with_tls_towards_clients_probes_and_the_charts_test_are_answered_too(backend: Backend, image: Image, tmp_path: Path) -> None:
    files = an_authority().issue(tmp_path / "own", "assay.example.com")
    told = settings(backend.first) | {"ASSAY_LISTEN_TLS_CERT": files.cert, "ASSAY_LISTEN_TLS_KEY": files.key}
    status = runpy.run_path(str(ANSWERS))["status"]
    with running(image, told) as started:
        assert status("GET", f"https://127.0.0.1:{started.gateway.port}/openapi.json") == 200
        assert status("GET", f"http://127.0.0.1:{started.gateway.port}/openapi.json") == 0
        assert started.metrics.send("GET", "/ready").status == 200


@pytest.mark.parametrize("name", ["TLS", "LISTEN_TLS"])
def test_certificates_that_are_missing_or_no_pair_are_named(name: str, image: Image, tmp_path: Path) -> None:
    one, other = an_authority().issue(tmp_path / "one"), an_authority().issue(tmp_path / "other")
    told = {f"ASSAY_{name}_CERT": one.cert, f"ASSAY_{name}_KEY": other.key, f"ASSAY_{name}_CA": one.ca}
    for wrong in (told, told | {f"ASSAY_{name}_KEY": f"{tmp_path}/missing"}, told | {f"ASSAY_{name}_CA": one.key}):
        process = image.start(settings(1) | wrong)
        assert process.wait(SOON) == 2
        assert one.cert in image.log.read_text()


def test_an_address_of_metrics_that_is_none_is_refused(image: Image) -> None:
    process = image.start(settings(1) | {"ASSAY_METRICS_LISTEN": "9090"})
    assert process.wait(SOON) == 2
    assert "'9090' is not HOST:PORT" in image.log.read_text()


def patient(backend: Backend) -> dict[str, str]:
    """Settings with which a slow machine is no reason to cut what is held."""
    return settings(backend.first) | {"ASSAY_DRAIN_SECONDS": str(SOON), "ASSAY_TIMEOUT_SECONDS": str(round(SOON))}


def reached(backend: Backend) -> int:
    """How many of the calls that are held have reached the backend."""
    return sum(call.request.test_set_id == "held" for call in list(backend.log.calls))


def until(holds: Callable[[], bool]) -> None:
    """Waits until it holds, at most a minute."""
    give_up = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < give_up, "it never came to that"
        time.sleep(0.05)


def ended(asking: list["Future[None]"]) -> None:
    """All clients were refused in the end, none raised."""
    for each in asking:
        each.result(SOON)
