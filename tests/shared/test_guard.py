"""Which addresses may be called, with a canary on loopback that nothing may ever reach."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.guard import Forbidden, Guard, GuardedConnector, check_url, open_session

INSIDE = """
127.0.0.1 127.0.0.2 127.1.2.3 127.255.255.255 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1
192.168.255.255 169.254.0.1 169.254.169.254 169.254.170.2 100.64.0.1 100.100.100.200 100.127.255.255 192.0.0.1 192.0.0.8
192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1
255.255.255.255 :: ::1 ::2 ::127.0.0.1 ::10.0.0.1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:0:0 ::ffff:10.1.2.3 ::ffff:169.254.169.254
::ffff:100.64.0.1 0:0:0:0:0:ffff:7f00:0001 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b::a9fe:a9fe
64:ff9b:1::1 64:ff9b:1::7f00:1 2002:7f00:1:: 2002:7f00:0001::1 2002:a00:1:: 2002:a9fe:a9fe:: 2002:c0a8:101::1 2002:6440:1::
2001:0:4136:e378:8000:63bf:80ff:fffe 2001:0:4136:e378:8000:63bf:f5ff:fffe 2001::1 2001:db8::1 2001:10::1 100::1 3fff::1 5f00::1
fc00::1 fd00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 febf::1 fec0::1 feff::1 ff01::1 ff02::1 ff05::2 ff0e::1 4000::1 8000::1
"""
OUTSIDE = """
1.1.1.1 8.8.8.8 9.9.9.9 93.184.216.34 172.15.255.255 172.32.0.1 100.63.255.255 100.128.0.1 192.0.1.1 198.17.255.255 223.255.255.255
2606:4700:4700::1111 2001:4860:4860::8888 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1
"""
# {port} is the canary's. Each would end at loopback if it were called as it stands.
URLS = """
http://127.0.0.1:{port}/ http://127.1:{port}/ http://127.0.1:{port}/ http://127.0.0.1.:{port}/ http://2130706433:{port}/
http://02130706433:{port}/ http://017700000001:{port}/ http://0x7f000001:{port}/ http://0x7f.1:{port}/ http://0x7f.0.0.1:{port}/
http://0177.0.0.1:{port}/ http://0177.1:{port}/ http://00000177.0.0.01:{port}/ http://0:{port}/ http://0.0.0.0:{port}/
http://00.0.0.0:{port}/ http://localhost:{port}/ http://LOCALHOST:{port}/ http://localhost.:{port}/ http://①②⑦.⓪.⓪.①:{port}/
http://１２７.０.０.１:{port}/ http://127。0。0。1:{port}/ http://[::1]:{port}/ http://[::]:{port}/ http://[0:0:0:0:0:0:0:1]:{port}/
http://[::ffff:127.0.0.1]:{port}/ http://[::ffff:7f00:1]:{port}/ http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/
http://[::127.0.0.1]:{port}/ http://[::1%25lo]:{port}/ http://[fe80::1%25lo]:{port}/ http://[2002:7f00:1::]:{port}/
http://[64:ff9b::7f00:1]:{port}/ http://public.example@127.0.0.1:{port}/ http://u:p@127.1:{port}/ http://127.0.0.1:{port}#@8.8.8.8/
http://127.0.0.1:{port}?@8.8.8.8/ http://8.8.8.8@127.0.0.1:{port}/ https://127.0.0.1:{port}/ http://127.0.0.1%00.example:{port}/
"""  # noqa: RUF001 full-width digits are the point
NO_URLS = """
ftp://127.0.0.1/ file:///etc/passwd gopher://127.0.0.1:70/_x unix:///var/run/docker.sock http+unix://%2Fvar%2Frun/ data:text/plain,x
javascript:alert(1) ws://127.0.0.1/ //127.0.0.1/ /etc/passwd 127.0.0.1 localhost:80 http:// http:/// http://:80/ http://[::1 http://[x]/
http://[::1]x/ http://127.0.0.1:99999/ http:\\\\127.0.0.1\\ https:127.0.0.1
"""


@dataclass
class Canary:
    """A listener on loopback, on IPv4 and IPv6 where there is any; counts who comes."""

    port: int
    connections: int = 0


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async def came(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret")
        writer.close()

    server = await asyncio.start_server(came, "127.0.0.1", 0)
    found = Canary(server.sockets[0].getsockname()[1])
    servers = [server]
    with contextlib.suppress(OSError):
        servers.append(await asyncio.start_server(came, "::1", found.port))
    yield found
    for each in servers:
        each.close()
        await each.wait_closed()


async def call(session: aiohttp.ClientSession, url: str) -> str:
    """As targets are called: checked, then asked, without redirects."""
    check_url(session, url)
    async with session.get(url, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=3)) as response:
        return await response.text()


def forbids(guard: Guard, address: str) -> bool:
    try:
        guard.check(address)
    except Forbidden:
        return True
    return False


@pytest.mark.parametrize("address", INSIDE.split())
def test_addresses_inside_may_not_be_called(address: str) -> None:
    assert forbids(Guard(), address)


@pytest.mark.parametrize("address", OUTSIDE.split())
def test_public_addresses_may_be_called(address: str) -> None:
    assert not forbids(Guard(), address)


@pytest.mark.parametrize("url", URLS.split())
async def test_no_spelling_reaches_loopback(canary: Canary, url: str) -> None:
    async with open_session(Guard()) as session:
        with pytest.raises((Forbidden, aiohttp.ClientError, ValueError)):
            await call(session, url.format(port=canary.port))
        # Not even by a caller that forgot to check the URL.
        with pytest.raises((aiohttp.ClientError, ValueError)):
            await session.get(url.format(port=canary.port))
    assert canary.connections == 0


@pytest.mark.parametrize("url", NO_URLS.split())
async def test_anything_but_a_web_address_is_refused(url: str) -> None:
    async with open_session(Guard()) as session:
        with pytest.raises((Forbidden, aiohttp.InvalidURL)):
            await call(session, url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://127.0.0.1.nip.example@127.0.0.1:{port}/"])
async def test_an_allowed_network_may_be_called(canary: Canary, url: str) -> None:
    async with open_session(Guard(["127.0.0.0/8", "::1/128"])) as session:
        assert await call(session, url.format(port=canary.port)) == "secret"
    assert canary.connections == 1


@pytest.mark.parametrize(
    ("network", "address", "allowed"),
    [
        ("10.0.0.0/8", "10.9.9.9", True),
        ("10.0.0.0/8", "::ffff:10.9.9.9", True),
        ("10.0.0.0/8", "11.0.0.1", True),
        ("10.0.0.0/8", "127.0.0.1", False),
        ("127.0.0.1/32", "127.0.0.2", False),
        ("::1/128", "127.0.0.1", False),
        ("fd00::/8", "fd12::1", True),
    ],
)
def test_an_allowed_network_opens_itself_alone(network: str, address: str, allowed: bool) -> None:  # noqa: FBT001 a column of a table
    assert forbids(Guard([network]), address) != allowed


class Rebinding(AbstractResolver):
    """Answers each address in turn, and the last ever after."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        family = socket.AF_INET6 if ":" in answer else socket.AF_INET
        return [ResolveResult(hostname=host, host=answer, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)]

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("answers", [("127.0.0.1",), ("::1",), ("::ffff:127.0.0.1",), ("127.0.0.9", "127.0.0.1"), ("127.0.0.9", "::1")])
@pytest.mark.parametrize("asked_again", [False, True])
async def test_a_name_that_is_bound_anew_never_reaches_what_is_forbidden(
    canary: Canary,
    answers: tuple[str, ...],
    asked_again: bool,  # noqa: FBT001 a column of a table
) -> None:
    # Nobody listens on 127.0.0.9, which stands for the public address that an attacker's name has at first.
    async with open_session(Guard(["127.0.0.9/32"])) as session:
        connector = session.connector
        assert isinstance(connector, GuardedConnector)
        connector._resolver._resolver = Rebinding(*answers)  # type: ignore[attr-defined]
        for _ in range(3):
            with pytest.raises(aiohttp.ClientError):
                await call(session, f"http://rebinding.example:{canary.port}/")
            if asked_again:
                connector.clear_dns_cache()
    assert canary.connections == 0


async def test_one_forbidden_address_among_several_forbids_the_name() -> None:
    class Several(Rebinding):
        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
            return [each for answer in ("8.8.8.8", "127.0.0.1") for each in await Rebinding(answer).resolve(host, port, family)]

    async with open_session(Guard()) as session:
        session.connector._resolver._resolver = Several("")  # type: ignore[union-attr]
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await call(session, "http://several.example/")
    assert isinstance(caught.value.__cause__, Forbidden)


async def test_a_session_without_a_guard_cannot_be_checked() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TypeError):
            check_url(session, "http://8.8.8.8/")
        with pytest.raises(TypeError):
            await call(session, "http://8.8.8.8/")


async def test_the_environments_proxy_is_not_asked(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{canary.port}")
    async with open_session(Guard(["127.0.0.0/8"])) as session:
        session.connector._resolver._resolver = Rebinding("127.0.0.9")  # type: ignore[union-attr]
        with pytest.raises(aiohttp.ClientError):
            await call(session, "http://elsewhere.example:1/")
    assert canary.connections == 0
