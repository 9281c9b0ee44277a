"""TLS to Postgres and NATS, told by their URLs, with real servers and certificates."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local import binaries, nats, ports
from deploy.local.migrate import MigrationFailedError, migrate
from shared.jetstream import Broker
from shared.postgres import open_pool
from shared.tls import Files, Transport
from tests.certificates import Authority, an_authority
from tests.servers import PostgresServer
from tests.shared.tls_terminator import in_front_of
from tests.shared.waiting import until


@pytest.fixture(scope="module")
def authority() -> Authority:
    return an_authority()


@pytest.fixture(scope="module")
def files(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Files:
    return authority.issue(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return an_authority("foreign").issue(tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="module")
def secured(postgres: PostgresServer, files: Files) -> Iterator[str]:
    """The URL of a Postgres that is spoken to over TLS alone."""
    url = postgres.create(["runner"])["runner"]
    with in_front_of(postgres.cluster.port, files) as port:
        yield url.replace(f":{postgres.cluster.port}/", f":{port}/")


async def test_a_pool_checks_postgres_certificate_where_its_url_says_so(secured: str, files: Files) -> None:
    pool = await open_pool(f"{secured}?sslmode=verify-full&sslrootcert={files.ca}", 1)
    try:
        assert await pool.fetchval("SELECT max(version) FROM schema_migrations")
    finally:
        await pool.close()


async def test_a_postgres_of_another_authority_is_not_talked_to(secured: str, foreign: Files) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(f"{secured}?sslmode=verify-full&sslrootcert={foreign.ca}", timeout=5)


def test_migrations_check_it_too(secured: str, files: Files, foreign: Files) -> None:
    migrate("runner", f"{secured}?sslmode=verify-full&sslrootcert={files.ca}")
    with pytest.raises(MigrationFailedError, match="certificate"):
        migrate("runner", f"{secured}?sslmode=verify-full&sslrootcert={foreign.ca}")


def a_nats(folder: Path) -> nats.NatsServer:
    """A NATS that isn't started yet."""
    port = ports.any_free()
    server = nats.NatsServer(folder / "nats", folder / "nats.conf", port, ports.any_free({port}), "secret")
    nats.write_config(server)
    return server


@contextlib.contextmanager
def wanting_certificates(server: nats.NatsServer, files: Files) -> Iterator[str]:
    """It runs with this certificate, and lets in who shows one of the same authority: its address."""
    asked = ["--tlsverify", f"--tlscert={files.cert}", f"--tlskey={files.key}", f"--tlscacert={files.ca}"]
    process = subprocess.Popen([*binaries.dies_with_parent("KILL"), *nats.command(server), *asked], stderr=subprocess.DEVNULL)
    try:
        nats.wait_ready(server, 30)
        yield server.url.replace("nats://", "tls://")
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def nats_with_tls(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a NATS that wants a certificate of the authority."""
    with wanting_certificates(a_nats(tmp_path_factory.mktemp("nats")), files) as url:
        yield url


async def connects(url: str, told: Transport, within: float) -> bool:
    broker = Broker(url, "tests", tls=told.nats_tls)
    broker.start()
    try:
        await until(lambda: broker.connected, within)
    except AssertionError:
        return False
    finally:
        await broker.close()
    return True


async def test_nats_is_reached_with_a_certificate(nats_with_tls: str, files: Files) -> None:
    assert await connects(nats_with_tls, Transport(nats_ca=files.ca, nats_cert=files.cert, nats_key=files.key), within=20)


async def test_a_nats_of_another_authority_is_not_talked_to(nats_with_tls: str, files: Files, foreign: Files) -> None:
    assert not await connects(nats_with_tls, Transport(nats_ca=foreign.ca, nats_cert=files.cert, nats_key=files.key), within=2)


async def test_nats_refuses_who_shows_no_certificate(nats_with_tls: str, files: Files) -> None:
    assert not await connects(nats_with_tls, Transport(nats_ca=files.ca), within=2)


async def test_a_connection_is_made_again_with_the_certificates_of_that_time(files: Files, authority: Authority, tmp_path: Path) -> None:
    server, ours = a_nats(tmp_path), authority.issue(tmp_path / "ours")
    told = Transport(nats_ca=ours.ca, nats_cert=ours.cert, nats_key=ours.key)
    with wanting_certificates(server, files) as url:
        broker = Broker(url, "tests", tls=told.nats_tls)
        broker.start()
        await asyncio.wait_for(broker.ready(), 10)
    # From now on the server shows, and lets in, what is signed by another authority alone.
    new = an_authority("new")
    with wanting_certificates(server, new.issue(tmp_path / "theirs")):
        await asyncio.sleep(1)  # some attempts are refused meanwhile
        assert not broker.connected
        new.issue(tmp_path / "ours")
        await until(lambda: broker.connected)
        assert (await broker.jetstream.account_info()).streams == 2
        await broker.close()


async def test_a_certificate_that_does_not_fit_its_key_yet_is_not_used(nats_with_tls: str, authority: Authority, tmp_path: Path) -> None:
    ours, next_ = authority.issue(tmp_path / "ours"), authority.issue(tmp_path / "next")
    tls = Transport(nats_ca=ours.ca, nats_cert=ours.cert, nats_key=ours.key).nats_tls
    shutil.copy(next_.cert, ours.cert)
    broker = Broker(nats_with_tls, "tests", tls=tls)
    broker.start()
    await asyncio.wait_for(broker.ready(), 10)
    await broker.close()
