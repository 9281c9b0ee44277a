"""The secrets of a stack, what each service is told, and what `.local/env` tells everybody else."""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.local import binaries, postgres
from deploy.local.files import Folders, read_json, write_json
from deploy.local.nats import NatsServer
from deploy.local.postgres import SERVICES
from deploy.local.settings import Settings

LOOPBACK = "127.0.0.1"


def load_secrets(folders: Folders) -> dict[str, Any]:
    """The stack's keys and passwords, made at the first start and kept as long as the data."""
    kept = read_json(folders.secrets)
    if not kept:
        kept = _new_secrets()
        write_json(folders.secrets, kept)
    return kept


def _new_secrets() -> dict[str, Any]:
    return {
        "service_key": secrets.token_urlsafe(32),
        "jwt_key": secrets.token_urlsafe(48),
        "encryption_keys": {"1": base64.b64encode(secrets.token_bytes(32)).decode()},
        "nats_password": secrets.token_hex(16),
        "postgres_passwords": {name: secrets.token_hex(16) for name in (postgres.OWNER, *SERVICES)},
    }


@dataclass(frozen=True)
class Topology:
    """The ports, the secrets and the settings of one start; every address follows from them."""

    ports: Mapping[str, int]
    secrets: Mapping[str, Any]
    settings: Settings
    cluster: postgres.Cluster
    nats: NatsServer

    def instances(self, service: str) -> list[str]:
        """The process names of a service: runner-1 … runner-N, scoring-1 … scoring-N, catalog, reporting."""
        counts = {"runner": self.settings.runners, "scoring": self.settings.scorers}
        return [f"{service}-{number}" for number in range(1, counts[service] + 1)] if service in counts else [service]

    def endpoints(self, service: str) -> list[str]:
        """host:port of each instance."""
        return [f"{LOOPBACK}:{self.ports[name]}" for name in self.instances(service)]

    def grpc_target(self, service: str) -> str:
        """What a gRPC client dials to reach any instance."""
        endpoints = self.endpoints(service)
        return endpoints[0] if len(endpoints) == 1 else f"ipv4:{','.join(endpoints)}"

    @property
    def gateway(self) -> str:
        """host:port of the gateway."""
        return f"{LOOPBACK}:{self.ports['gateway']}"

    def service_environment(self, service: str, instance: str) -> dict[str, str]:
        """Everything that one instance of a service is told."""
        issuer = {"issuer": "assay", "algorithms": ["HS256"], "key": self.secrets["jwt_key"]}
        addresses = {f"ASSAY_{name.upper()}_ADDRESS": self.grpc_target(name) for name in SERVICES}
        return {
            **python_environment(),
            **self.settings.passed,
            **addresses,
            "ASSAY_POSTGRES_URL": self.service_url(service),
            "ASSAY_NATS_URL": self.nats.url,
            "ASSAY_LISTEN": f"{LOOPBACK}:{self.ports[instance]}",
            "ASSAY_METRICS_LISTEN": f"{LOOPBACK}:{self.ports[instance + '-metrics']}",
            "ASSAY_INSTANCE": instance,
            "ASSAY_SERVICE_KEY": self.secrets["service_key"],
            "ASSAY_JWT_ISSUERS": json.dumps([issuer]),
            "ASSAY_ENCRYPTION_KEYS": json.dumps(self.secrets["encryption_keys"]),
            "ASSAY_PUBLIC_URL": f"http://{self.gateway}",
            # Shared by all stacks of this repository: it is built once, and nothing of a stack is in it.
            "ASSAY_MODEL_DIR": self.settings.passed.get("ASSAY_MODEL_DIR") or str(binaries.ROOT / ".local" / "models"),
        }

    def service_url(self, service: str) -> str:
        """The Postgres URL of a service's own role."""
        return self.cluster.url(postgres.role_of(service), self.secrets["postgres_passwords"][service])

    def exported(self, credentials: Mapping[str, str], folders: Folders) -> dict[str, str]:
        """What `.local/env` exports."""
        return {
            "ASSAY_URL": f"http://{self.gateway}",
            "ASSAY_GRPC": self.gateway,
            "ASSAY_TOKEN": credentials["token"],
            "ASSAY_API_KEY": credentials["api_key"],
            "ASSAY_SECRET_KEY": credentials["secret_key"],
            "ASSAY_JWT": credentials["jwt"],
            "ASSAY_PROJECT_ID": credentials["project_id"],
            "ASSAY_WORKSPACE_ID": credentials["workspace_id"],
            "ASSAY_PIDS": str(folders.pids),
            "ASSAY_DATABASE_URL": self.cluster.url(),
            "ASSAY_NATS_URL": self.nats.url,
            "ASSAY_NATS_STORE": str(folders.nats_store),
            "ASSAY_OTHER_TOKEN": credentials["other_token"],
            "ASSAY_PLAIN_TOKEN": credentials["plain_token"],
        }


def python_environment() -> dict[str, str]:
    """What a process of ours needs to find our modules."""
    return {"PYTHONPATH": f"{binaries.ROOT}:{binaries.ROOT / 'gen'}", "PYTHONUNBUFFERED": "1"}


def inherited_environment() -> dict[str, str]:
    """The caller's environment less what would change how our processes behave: our own variables, Python's, make's."""
    unwanted = ("ASSAY_", "PYTHON", "MAKE", "MFLAGS", "PG", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


def shell_text(variables: Mapping[str, str]) -> str:
    """Lines that a shell can source."""
    return "".join(f"export {name}={_quoted(value)}\n" for name, value in variables.items())


def _quoted(value: str) -> str:
    # Always quoted, unlike shlex.quote: whoever reads the file by eye or by a simple program meets one form only.
    return "'" + value.replace("'", "'\\''") + "'"
