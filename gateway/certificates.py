"""Whom the gateway believes, and what it shows: certificates as Envoy is told of them.

Envoy reads certificates again when they rotate only if files of their own tell of them: it watches the certificates' folder
then, and takes what is there when something is moved into it, which is how Kubernetes updates a mounted Secret.
"""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Paths at which Envoy finds PEM files: a certificate chain and its key, and the authorities that the other side is checked
    against; "" for none of them.
    """

    cert: str
    key: str
    ca: str = ""


def check(services: Certificates | None, listener: Certificates | None, secrets: str) -> None:
    """Raises ValueError where TLS towards services or clients is told by halves."""
    told = [found for found in (services, listener) if found is not None]
    if any(not (found.cert and found.key) for found in told) or (services and not services.ca):
        raise ValueError("TLS needs a certificate and its key, and towards the services their authority")
    if told and not secrets:
        raise ValueError("TLS needs a folder for what Envoy is told of the certificates")


def load(services: Certificates | None, listener: Certificates | None) -> None:
    """Raises ValueError where a file can't be read, or a key is not its certificate's. Envoy would start all the same, be ready,
    and refuse every connection.
    """
    for found in (services, listener):
        if found is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            try:
                context.load_cert_chain(found.cert, found.key)
                if found.ca:
                    context.load_verify_locations(found.ca)
            except OSError as fault:
                raise ValueError(f"{', '.join(path for path in (found.cert, found.key, found.ca) if path)}: {fault}") from fault


def write(services: Certificates | None, listener: Certificates | None, folder: Path) -> None:
    """Writes into `folder` what the rendered configuration refers to."""
    for name, found in (("service", services), ("listener", listener)):
        if found is not None:
            _write(folder, name, {"tls_certificate": _chain(found)})
            if found.ca:
                trusted = {"trusted_ca": {"filename": found.ca}, "watched_directory": _folder(found.ca)}
                _write(folder, f"{name}_authority", {"validation_context": trusted})


def _chain(found: Certificates) -> dict[str, object]:
    files = {"certificate_chain": {"filename": found.cert}, "private_key": {"filename": found.key}}
    return {**files, "watched_directory": _folder(found.cert)}


def _folder(path: str) -> dict[str, str]:
    return {"path": str(Path(path).parent)}


def _write(folder: Path, name: str, content: Mapping[str, object]) -> None:
    resource = {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "name": name, **content}
    (folder / f"{name}.yaml").write_text(json.dumps({"resources": [resource]}))  # which is YAML, too
