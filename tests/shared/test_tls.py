"""TLS between services: who gets in, and what happens when certificates rotate. Every certificate is real."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local import ports
from shared.channels import open_channel
from shared.config import ConfigError
from shared.server import serve
from shared.tls import Files, RotatingChannel, Transport, Watched
from tests.certificates import Authority, an_authority
from tests.shared.test_server import an_app, until_says
from tests.shared.waiting import until

SERVING = health_pb2.HealthCheckResponse.SERVING
ROTATED_WITHIN = 1.2  # a look every second


@pytest.fixture(scope="module")
def authority() -> Authority:
    return an_authority()


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> Files:
    return authority.issue(tmp_path / "service")


@contextlib.asynccontextmanager
async def serving(files: Files) -> AsyncIterator[tuple[str, str]]:
    """A service with these certificates: where it listens, and where it answers probes."""
    listen, probes = f"127.0.0.1:{ports.any_free()}", f"127.0.0.1:{ports.any_free()}"
    task = asyncio.create_task(serve(an_app(listen, certificates=files, health_listen=probes)))
    await until_says(probes, "tests", SERVING)
    try:
        yield listen, probes
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(task, 10)


async def asked(channel: grpc.aio.Channel) -> int:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="tests"), timeout=20)
    return int(answer.status)


async def refused(channel: grpc.aio.Channel) -> bool:
    try:
        await asked(channel)
    except grpc.aio.AioRpcError as fault:
        return fault.code() is grpc.StatusCode.UNAVAILABLE
    return False


async def test_who_shows_a_certificate_of_the_authority_is_answered(files: Files) -> None:
    async with serving(files) as (listen, _), open_channel(listen, files) as channel:
        assert await asked(channel) == SERVING
        assert [await asked(channel) for _ in range(3)] == [SERVING] * 3


async def test_plaintext_is_refused(files: Files) -> None:
    async with serving(files) as (listen, _), grpc.aio.insecure_channel(listen) as channel:
        assert await refused(channel)


async def test_a_client_without_a_certificate_is_refused(files: Files, authority: Authority) -> None:
    credentials = grpc.ssl_channel_credentials(authority.pem)
    async with serving(files) as (listen, _), grpc.aio.secure_channel(listen, credentials) as channel:
        assert await refused(channel)


async def test_a_client_of_another_authority_is_refused(files: Files, authority: Authority, tmp_path: Path) -> None:
    foreign = an_authority("foreign").issue(tmp_path / "foreign", trusting=authority.pem)  # it trusts us; we don't trust it
    async with serving(files) as (listen, _), open_channel(listen, foreign) as channel:
        assert await refused(channel)


async def test_a_server_of_another_authority_is_not_talked_to(files: Files, authority: Authority, tmp_path: Path) -> None:
    foreign = an_authority("foreign").issue(tmp_path / "foreign", trusting=authority.pem)  # it would let us in
    async with serving(foreign) as (listen, _), open_channel(listen, files) as channel:
        assert await refused(channel)


async def test_a_server_whose_certificate_names_another_is_not_talked_to(authority: Authority, files: Files, tmp_path: Path) -> None:
    other = authority.issue(tmp_path / "other", "other.svc")
    async with serving(other) as (listen, _), open_channel(listen, files) as channel:
        assert await refused(channel)


async def test_probes_are_answered_in_plaintext_beside_it(files: Files) -> None:
    async with serving(files) as (_, probes), grpc.aio.insecure_channel(probes) as channel:
        assert await asked(channel) == SERVING


async def test_a_new_authority_takes_over_without_a_restart(files: Files, tmp_path: Path) -> None:
    async with serving(files) as (listen, _), open_channel(listen, files) as channel:
        assert await asked(channel) == SERVING
        old = kept(files, tmp_path / "old")
        an_authority("new").issue(Path(files.cert).parent)
        await asyncio.sleep(ROTATED_WITHIN)
        # The next connection on either side is made with the new certificates; calls go on.
        await until(lambda: answers(channel))
        async with open_channel(listen, old) as late:
            assert await refused(late)


def kept(files: Files, folder: Path) -> Files:
    """Copies of what is about to be replaced."""
    shutil.copytree(Path(files.cert).parent, folder)
    return Files(*(str(folder / Path(path).name) for path in (files.cert, files.key, files.ca)))


async def answers(channel: grpc.aio.Channel) -> bool:
    return not await refused(channel)


async def test_a_call_that_has_begun_ends_on_the_old_connection(files: Files, authority: Authority) -> None:
    async with serving(files) as (listen, _), open_channel(listen, files) as channel:
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="tests"))
        assert (await watching.read()).status == SERVING
        authority.issue(Path(files.cert).parent)
        await asyncio.sleep(ROTATED_WITHIN)
        assert await asked(channel) == SERVING
        assert not watching.done()
        watching.cancel()


async def test_one_channel_serves_stubs_that_were_made_before_it_was_replaced(files: Files, authority: Authority) -> None:
    async with serving(files) as (listen, _), open_channel(listen, files) as channel:
        assert isinstance(channel, RotatingChannel)
        stub = health_pb2_grpc.HealthStub(channel)
        first = channel._channel
        authority.issue(Path(files.cert).parent)
        await asyncio.sleep(ROTATED_WITHIN)
        assert (await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)).status == SERVING
        assert channel._channel is not first


def test_a_key_that_is_not_the_certificates_is_not_taken(files: Files, authority: Authority, tmp_path: Path) -> None:
    watched = Watched(files)
    before = watched.current()
    Path(files.key).write_bytes(Path(authority.issue(tmp_path / "next").key).read_bytes())
    watched._look_at = 0
    assert watched.current() is before


def test_files_that_are_gone_for_a_moment_change_nothing(files: Files) -> None:
    watched = Watched(files)
    before = watched.current()
    Path(files.cert).unlink()
    watched._look_at = 0
    assert watched.current() is before


def test_without_usable_files_there_is_no_start(files: Files) -> None:
    Path(files.cert).write_text("not PEM")
    with pytest.raises(OSError):  # noqa: PT011 ssl.SSLError is one
        Watched(files)


def test_no_paths_mean_plaintext_and_all_three_belong_together() -> None:
    assert Transport().tls is None
    assert Transport(tls_cert="a", tls_key="b", tls_ca="c").tls == Files("a", "b", "c")
    with pytest.raises(ConfigError, match="belong together"):
        _ = Transport(tls_cert="a", tls_key="b").tls


def test_a_certificate_for_nats_needs_its_key() -> None:
    assert Transport().nats_tls is None
    with pytest.raises(ConfigError, match="belong together"):
        _ = Transport(nats_cert="a").nats_tls
