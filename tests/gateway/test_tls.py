"""TLS towards services and towards clients, with real certificates."""

import http.client
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from gateway.certificates import Certificates
from gateway.render import Address, render
from shared.tls import Files
from tests.certificates import Authority, an_authority, mounted
from tests.gateway.backend import Backend
from tests.gateway.envoy import SERVICES, Gateway, running, settings, validate

SET = "/v1/evaluation/test-sets/a"
SOON = 15.0
NAMES = {name: [Address(f"{name}.assay.svc", 5051)] for name in SERVICES}


def shown(files: Files) -> Certificates:
    return Certificates(files.cert, files.key, files.ca)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return an_authority()


@contextmanager
def behind(backend: Backend, served: Files, called: Files, folder: Path) -> Iterator[Gateway]:
    """A gateway that shows `called` to a service which shows `served`."""
    port = backend.start(files=served)
    with ExitStack() as stack:
        stack.callback(backend.stop, port)
        yield stack.enter_context(running(settings(port, tls=shown(called), secrets=str(folder)), folder))


def test_the_gateway_reaches_services_that_want_its_certificate(backend: Backend, authority: Authority, tmp_path: Path) -> None:
    with behind(backend, authority.issue(tmp_path / "service"), authority.issue(tmp_path / "own"), tmp_path) as gateway:
        assert status(gateway, 200) == 200


def test_a_service_of_another_authority_is_not_believed(backend: Backend, authority: Authority, tmp_path: Path) -> None:
    foreign = an_authority("foreign").issue(tmp_path / "foreign", trusting=authority.pem)
    with behind(backend, foreign, authority.issue(tmp_path / "own"), tmp_path) as gateway:
        assert gateway.send("GET", SET).refusal[:2] == (503, 14)


def test_a_certificate_for_another_host_is_not_believed(backend: Backend, authority: Authority, tmp_path: Path) -> None:
    elsewhere = authority.issue(tmp_path / "elsewhere", "127.0.0.2", "other.svc")
    with behind(backend, elsewhere, authority.issue(tmp_path / "own"), tmp_path) as gateway:
        assert gateway.send("GET", SET).refusal[:2] == (503, 14)


def test_a_gateway_of_another_authority_is_refused(backend: Backend, authority: Authority, tmp_path: Path) -> None:
    foreign = an_authority("foreign").issue(tmp_path / "foreign", trusting=authority.pem)
    with behind(backend, authority.issue(tmp_path / "service"), foreign, tmp_path) as gateway:
        assert gateway.send("GET", SET).refusal[:2] == (503, 14)


def test_a_new_authority_takes_over_without_a_restart(backend: Backend, authority: Authority, tmp_path: Path) -> None:
    served, mount = authority.issue(tmp_path / "service"), tmp_path / "mount"
    own = mounted(mount, authority.issue(tmp_path / "own"))
    port = backend.start(files=served)
    with running(settings(port, tls=shown(own), secrets=str(tmp_path)), tmp_path) as gateway:
        assert status(gateway, 200) == 200
        new = an_authority("new")
        backend.stop(port)  # ends the connections that were made with the old one
        mounted(mount, new.issue(tmp_path / "next"))
        backend.start(port, new.issue(tmp_path / "service"))
        assert status(gateway, 200) == 200
    backend.stop(port)


def test_clients_are_served_with_tls(backend: Backend, authority: Authority, tmp_path: Path) -> None:
    listener = authority.issue(tmp_path / "listener", "127.0.0.1")
    chosen = settings(backend.first, listen_tls=Certificates(listener.cert, listener.key), secrets=str(tmp_path))
    with running(chosen, tmp_path) as gateway:
        assert over_tls(gateway, listener) == 200


def test_clients_may_have_to_show_a_certificate(backend: Backend, authority: Authority, tmp_path: Path) -> None:
    listener, mine = authority.issue(tmp_path / "listener"), authority.issue(tmp_path / "mine")
    with running(settings(backend.first, listen_tls=shown(listener), secrets=str(tmp_path)), tmp_path) as gateway:
        assert over_tls(gateway, listener, mine) == 200
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            over_tls(gateway, listener)


def test_envoy_accepts_tls_to_services_by_name(authority: Authority, tmp_path: Path) -> None:
    files = shown(authority.issue(tmp_path / "own"))
    validate(settings(1, backends=NAMES, tls=files, listen_tls=files, secrets=str(tmp_path)), tmp_path)


@pytest.mark.parametrize("told", [{"tls": Certificates("a", "b")}, {"tls": Certificates("a", "b", "c"), "secrets": ""}])
def test_tls_that_is_told_by_halves_is_refused(told: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="TLS needs"):
        render(settings(1, **{"secrets": "/tmp", **told}))  # noqa: S108 never opened


def status(gateway: Gateway, wanted: int) -> int:
    """The status of a read, as soon as it is this one, at the latest in 15 s."""
    give_up = time.monotonic() + SOON
    while (seen := gateway.send("GET", SET).status) != wanted and time.monotonic() < give_up:
        time.sleep(0.1)
    return seen


def over_tls(gateway: Gateway, trusted: Files, shown_by_us: Files | None = None) -> int:
    context = ssl.create_default_context(cafile=trusted.ca)
    if shown_by_us:
        context.load_cert_chain(shown_by_us.cert, shown_by_us.key)
    connection = http.client.HTTPSConnection("127.0.0.1", gateway.port, timeout=10, context=context)
    try:
        connection.request("GET", SET)
        return connection.getresponse().status
    finally:
        connection.close()
