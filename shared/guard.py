"""Calling addresses that users name: every one is checked, and the connection goes to the address that was checked.

Targets are hostile and may be inside. `ASSAY_ALLOWED_NETWORKS` opens what a self-hoster needs.
"""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# What the standard library takes for public: protocol assignments, 6to4 relays, documentation, site-local.
NOT_PUBLIC = tuple(ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20", "fec0::/10"))
LOW_32_BITS = 0xFFFFFFFF


class Forbidden(OSError):
    """The address may not be called."""


class Guard:
    """Tells which addresses may be called: public ones, and those of the allowed networks."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed: tuple[Network, ...] = tuple(ipaddress.ip_network(text) for text in allowed)

    def check(self, text: str) -> None:
        """Raises Forbidden."""
        address = _unwrapped(ipaddress.ip_address(text.partition("%")[0]))
        if any(address in network for network in self._allowed):
            return
        if not address.is_global or address.is_multicast or address.is_reserved or any(address in network for network in NOT_PUBLIC):
            raise Forbidden("this address may not be called")


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that only carries it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & LOW_32_BITS)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None) or address


class GuardedResolver(AbstractResolver):
    """Resolves once and hands on checked addresses alone, so that a second look-up can't answer differently."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Raises Forbidden if any of the host's addresses may not be called."""
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            self._guard.check(each["host"])
        return found

    async def close(self) -> None:
        """Nothing to free."""
        await self._resolver.close()


class GuardedConnector(aiohttp.TCPConnector):
    """A connector whose every connection was checked; it carries its guard for literal addresses."""

    def __init__(self, guard: Guard, limit: int) -> None:
        super().__init__(
            resolver=GuardedResolver(guard), limit=limit, ttl_dns_cache=30, force_close=False, socket_factory=self._checked_socket
        )
        self.guard = guard

    def _checked_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """The last gate: whatever way an address took to get here, it is the one that is connected to."""
        family, kind, protocol, _, address = info
        self.guard.check(address[0])
        return socket.socket(family, kind, protocol)


def open_session(guard: Guard, limit: int = 0) -> aiohttp.ClientSession:
    """A session for calling what users name. Proxies of the environment are ignored: they would call for us unchecked."""
    return aiohttp.ClientSession(connector=GuardedConnector(guard, limit), trust_env=False, cookie_jar=aiohttp.DummyCookieJar())


def check_url(session: aiohttp.ClientSession, url: str) -> None:
    """Checks a URL whose host is a literal address, which no resolver ever sees. Raises Forbidden."""
    connector = session.connector
    if not isinstance(connector, GuardedConnector):
        raise TypeError("this session has no guard")
    try:
        parsed = URL(url)
    except ValueError:
        raise Forbidden("this is no URL") from None
    host = parsed.host
    if parsed.scheme not in ("http", "https") or not host:
        raise Forbidden("only http and https URLs may be called")
    # aiohttp takes every host of digits and dots, and every one with a colon, for an address, and resolves the others:
    # 0x7f.1 is a name to both of us, and its resolver's answer is checked.
    if ":" in host or host.replace(".", "").isdigit():
        try:
            connector.guard.check(host)
        except ValueError:
            raise Forbidden("this address isn't in its usual form") from None
