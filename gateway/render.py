"""Renders Envoy's configuration from the template beside this file and the descriptor set of the protos.

python -m gateway.render --listen 127.0.0.1:8080 --admin 127.0.0.1:9901 --descriptor gen/assay.pb \
    --backend catalog=127.0.0.1:5051 --backend runner=127.0.0.1:5052,127.0.0.1:5053 > envoy.yaml
"""

import argparse
import ipaddress
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from gateway import certificates, shapes
from gateway.routed import Service, public_services, read_descriptor

HERE = Path(__file__).parent
LUA = ("json.lua", "url.lua", "gateway.lua")
BODY_LIMIT = 10 * 1024 * 1024 + 65536
"""Bytes of a request's body: a 10 MB file and its multipart wrapping."""
BULK_LIMIT = 16 * 1024 * 1024 + 65536
"""The same where up to 10,000 cases go in or out at once."""
READ_LIMIT = 32 * 1024 * 1024
"""Bytes that are read of a request's body, if only to refuse it."""
DOCUMENT_LIMIT = 4 * 1024 * 1024
"""Bytes of the OpenAPI document, which Envoy keeps in memory."""
METRICS_PATHS = ("/stats/prometheus", "/ready")
"""What the admin page shows to others; its other paths show secrets' places, or change and stop Envoy."""
# The page is one file: it loads nothing but the document, and runs nothing but itself.
PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'"
)
DOCUMENTS = (
    ("/openapi[.]json", "openapi.json", (("content-type", "application/json"), ("cache-control", "no-cache"))),
    ("/docs", "docs.html", (("content-type", "text/html; charset=utf-8"), ("content-security-policy", PAGE_POLICY))),
)
"""What is served without credentials: URL, file, headers."""
REPLIES = (
    (400, 3, ""),
    (403, 7, "upgrading the connection is not supported"),
    (404, 5, "there is no such path, or not with this method"),
    (408, 4, "the request took too long to arrive"),
    (413, 3, ""),
    (414, 3, ""),
    (429, 8, ""),
    (431, 3, "the headers are too large"),
    (502, 14, "the service can't be reached right now"),
    (503, 14, "the service can't be reached right now"),
    (504, 4, "the service took too long to answer"),
)
"""What Envoy itself answers: HTTP status, gRPC code, message; without one Envoy's own, tidied in Lua."""


@dataclass(frozen=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    @property
    def is_name(self) -> bool:
        """Whether the host must be looked up, and looked up again."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False


@dataclass(frozen=True)
class Settings:
    """What differs between one gateway and another."""

    listen: Address
    admin: Address
    """A loopback address: the admin page shows everything and can stop Envoy."""
    backends: Mapping[str, Sequence[Address]]
    """Service name -> its endpoints, all IP addresses or all names."""
    descriptor: Path
    """FileDescriptorSet of all protos."""
    descriptor_in_envoy: str = ""
    """Where Envoy finds that file, if not where the renderer does."""
    metrics: Address | None = None
    """Where `METRICS_PATHS` are served, over plain HTTP, to whoever asks; None: nowhere but on the admin page."""
    documents: str = ""
    """Folder in which Envoy finds openapi.json and docs.html (`python -m gateway.openapi`); "": they aren't served."""
    allowed_origins: Sequence[str] = ()
    """Origins whose pages may call the API; none: no CORS headers at all."""
    max_connections: int = 20_000
    """Connections from clients; beyond that, new ones are refused at once."""
    max_heap_bytes: int = 1 << 30
    """Envoy's heap; from 95 % of it requests are answered 503, so that it is never killed for memory."""
    tls: certificates.Certificates | None = None
    """What services are called with, all three of it, each with a certificate for the host of its address; None: plaintext."""
    listen_tls: certificates.Certificates | None = None
    """What clients are served with; with authorities they must show a certificate. None: plaintext."""
    secrets: str = ""
    """Folder in which Envoy finds what `certificates.write` wrote; needed by either of the two above."""
    timeout_seconds: int = 15
    """Time that a call which answers with one message may take; an upload, bulk and a bare array have four times as long."""


def render(settings: Settings) -> str:
    """Envoy's configuration as YAML. Raises ValueError if a public service has no backend, or TLS is told by halves."""
    certificates.check(settings.tls, settings.listen_tls, settings.secrets)
    descriptor = read_descriptor(settings.descriptor)
    services = public_services(descriptor)
    limits = {"body_limit": BODY_LIMIT, "bulk_limit": BULK_LIMIT, "read_limit": READ_LIMIT}
    backends = _served(services, settings.backends)
    lua = _lua(limits) + shapes.tables(descriptor, services) + "".join((HERE / "lua" / name).read_text() for name in LUA)
    limits["document_limit"] = DOCUMENT_LIMIT
    parts = {"documents": list(_documents(settings)), "replies": REPLIES, "metrics_paths": METRICS_PATHS}
    return _template().render(settings=settings, services=services, backends=backends, lua=lua, **parts, **limits)


def _documents(settings: Settings) -> Iterator[tuple[str, str, Sequence[tuple[str, str]]]]:
    for url, name, headers in DOCUMENTS if settings.documents else ():
        yield url, f"{settings.documents}/{name}", headers


def _lua(numbers: Mapping[str, int]) -> str:
    return "".join(f"local {name.upper()} = {value}\n" for name, value in numbers.items())


def _template() -> jinja2.Template:
    # What is rendered is YAML for Envoy, never HTML: escaping would only garble it.
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701
    return environment.get_template("envoy.yaml")


def _served(services: Sequence[Service], backends: Mapping[str, Sequence[Address]]) -> dict[str, Sequence[Address]]:
    needed = sorted({service.backend for service in services})
    missing = [name for name in needed if not backends.get(name)]
    if missing:
        raise ValueError(f"no backend was given for {', '.join(missing)}")
    mixed = [name for name in needed if len({address.is_name for address in backends[name]}) > 1]
    if mixed:
        raise ValueError(f"the endpoints of {', '.join(mixed)} must be all addresses or all names")
    return {name: backends[name] for name in needed}


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))


def _backend(text: str) -> tuple[str, list[Address]]:
    name, _, addresses = text.partition("=")
    return name, [_address(address) for address in addresses.split(",")]


def _certificates(text: str) -> certificates.Certificates:
    return certificates.Certificates(*text.split(","))


def _settings(arguments: Sequence[str]) -> Settings:
    parser = argparse.ArgumentParser(prog="gateway.render", description="Prints Envoy's configuration.")
    parser.add_argument("--listen", type=_address, required=True, metavar="HOST:PORT")
    parser.add_argument("--admin", type=_address, required=True, metavar="HOST:PORT")
    parser.add_argument("--metrics", type=_address, metavar="HOST:PORT")
    parser.add_argument("--backend", type=_backend, action="append", required=True, metavar="NAME=HOST:PORT,…")
    parser.add_argument("--descriptor", type=Path, required=True)
    parser.add_argument("--descriptor-in-envoy", default="", metavar="PATH")
    parser.add_argument("--documents", default="", metavar="FOLDER")
    parser.add_argument("--allowed-origin", action="append", default=[], metavar="ORIGIN")
    parser.add_argument("--max-connections", type=int, default=Settings.max_connections)
    parser.add_argument("--max-heap-bytes", type=int, default=Settings.max_heap_bytes)
    parser.add_argument("--timeout-seconds", type=int, default=Settings.timeout_seconds)
    for name in ("--tls", "--listen-tls"):
        parser.add_argument(name, type=_certificates, metavar="CERT,KEY[,CA]")
    parser.add_argument("--secrets", default="", metavar="FOLDER")
    given = parser.parse_args(arguments)
    return Settings(
        listen=given.listen,
        admin=given.admin,
        backends=dict(given.backend),
        descriptor=given.descriptor,
        descriptor_in_envoy=given.descriptor_in_envoy,
        metrics=given.metrics,
        documents=given.documents,
        allowed_origins=given.allowed_origin,
        max_connections=given.max_connections,
        max_heap_bytes=given.max_heap_bytes,
        timeout_seconds=given.timeout_seconds,
        tls=given.tls,
        listen_tls=given.listen_tls,
        secrets=given.secrets,
    )


if __name__ == "__main__":
    told = _settings(sys.argv[1:])
    sys.stdout.write(render(told))
    if told.secrets:
        certificates.write(told.tls, told.listen_tls, Path(told.secrets))
