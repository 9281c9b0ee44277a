"""The whole product out of its images: Postgres and NATS beside it, two processes of every service, one gateway."""

import base64
import contextlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local import ports, postgres as pg
from deploy.local.environment import shell_text
from deploy.local.postgres import SERVICES
from deploy.local.readiness import answers, serves
from tests.cluster import nats
from tests.cluster.chart import Manifests
from tests.cluster.containers import Container, ContainerFailedError
from tests.servers import PostgresServer, running_postgres

READY_WITHIN = 90.0
POLL = 0.1
PROCESSES = 2
"""Of each service."""


@dataclass(frozen=True)
class Images:
    """Names of the two images."""

    service: str
    gateway: str


@dataclass(frozen=True)
class Instance:
    """One process of a service."""

    service: str
    number: int
    port: int
    metrics_port: int
    container: Container

    def wait_serving(self) -> float:
        """Returns once it says SERVING, with the seconds that took. Raises ContainerFailedError."""
        began = time.monotonic()
        while not serves(f"127.0.0.1:{self.port}", self.service):
            self.container.pid()
            if time.monotonic() > began + READY_WITHIN:
                raise ContainerFailedError(f"{self.container.name} did not serve:\n{self.container.log()[-2_000:]}")
            time.sleep(POLL)
        return time.monotonic() - began


@dataclass(frozen=True)
class Installation:
    """What runs, and how it is reached."""

    folder: Path
    postgres: PostgresServer
    brokers: nats.Cluster
    instances: Sequence[Instance]
    gateway: Container
    migrations: Container
    env: Mapping[str, str]
    """As `.local/env` of the embedded stack."""

    @property
    def database_url(self) -> str:
        """Of the role that sees every schema."""
        return self.postgres.cluster.url()

    def numbered(self, number: int) -> list[Instance]:
        """That process of every service."""
        return [each for each in self.instances if each.number == number]


@contextlib.contextmanager
def running(folder: Path, images: Images, manifests: Manifests) -> Iterator[Installation]:
    """The installation, for as long as the block lasts; nothing of it is left afterwards."""
    password = secrets.token_hex(8)
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(running_postgres(folder))
        pg.create_database(postgres.cluster, pg.OWNER)
        pg.create_schemas(postgres.cluster, pg.OWNER)
        brokers = stack.enter_context(nats.running(folder, password))
        plan = _Plan(images, manifests, f"assay-cluster-{secrets.token_hex(4)}", _secrets(postgres, brokers), _ports())
        instances = [plan.instance(service, number) for service in SERVICES for number in range(1, PROCESSES + 1)]
        gateway, migrations = plan.gateway(), plan.migrations()
        for container in (*(each.container for each in instances), gateway):
            stack.callback(container.remove)
            container.create()
        migrations.run()
        made = json.loads(plan.admin("bootstrap").run())
        _start(instances, gateway)
        installation = Installation(folder, postgres, brokers, instances, gateway, migrations, plan.env(made))
        (folder / "env").write_text(shell_text(installation.env))
        _await_gateway(installation)
        yield installation


def _start(instances: Sequence[Instance], gateway: Container) -> None:
    with ThreadPoolExecutor(2) as two:  # all at once would only wait for two cores
        list(two.map(lambda each: (each.container.start(), each.wait_serving()), instances))
    gateway.start()


def _await_gateway(installation: Installation) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not answers(installation.env["ASSAY_GRPC"], installation.env["ASSAY_TOKEN"]):
        installation.gateway.pid()
        if time.monotonic() > deadline:
            raise ContainerFailedError(f"the gateway did not answer:\n{installation.gateway.log()[-2_000:]}")
        time.sleep(POLL)


def _secrets(postgres: PostgresServer, brokers: nats.Cluster) -> dict[str, str]:
    """What the chart's Secrets hold, by their keys."""
    issuer = {"issuer": "assay", "algorithms": ["HS256"], "key": secrets.token_urlsafe(48)}
    urls = {f"{name}-url": postgres.cluster.url(pg.role_of(name), postgres.passwords[name]) for name in SERVICES}
    return {
        **urls,
        "url": brokers.url,
        "service-key": secrets.token_urlsafe(32),
        "jwt-issuers": json.dumps([issuer]),
        "encryption-keys": json.dumps({"1": base64.b64encode(secrets.token_bytes(32)).decode()}),
    }


def _ports() -> dict[str, int]:
    found: dict[str, int] = {}
    processes = [f"{service}-{number}" for service in SERVICES for number in range(1, PROCESSES + 1)]
    for name in ("gateway", "gateway-admin", "gateway-metrics", *processes, *(f"{each}-metrics" for each in processes)):
        found[name] = ports.any_free(set(found.values()))
    return found


@dataclass(frozen=True)
class _Plan:
    """Turns the chart's workloads into containers of one machine: addresses are replaced, for there are no pods' networks; the rest stays."""

    images: Images
    manifests: Manifests
    prefix: str
    secrets: Mapping[str, str]
    ports: Mapping[str, int]

    def instance(self, service: str, number: int) -> Instance:
        name = f"{service}-{number}"
        port, metrics = self.ports[name], self.ports[f"{name}-metrics"]
        own = {"ASSAY_LISTEN": f"127.0.0.1:{port}", "ASSAY_METRICS_LISTEN": f"127.0.0.1:{metrics}", "ASSAY_INSTANCE": name}
        told = self.manifests.environment(service, "Deployment", self.secrets)
        targets = {key: f"ipv4:{value}" for key, value in self._addresses().items()}
        placed = {**told, **{key: value for key, value in targets.items() if key in told}, **own, **self._public(told)}
        container = Container(
            name=f"{self.prefix}-{name}",
            image=self.images.service,
            arguments=self.manifests.arguments(service, "Deployment"),
            environment=placed,
            memory=self.manifests.memory(service, "Deployment"),
            grace_seconds=self.manifests.grace_seconds(service),
        )
        return Instance(service, number, port, metrics, container)

    def gateway(self) -> Container:
        apart = {f"ASSAY_{name.upper()}_LISTEN": f"127.0.0.1:{self.ports[f'gateway-{name}']}" for name in ("admin", "metrics")}
        own = {"ASSAY_LISTEN": self._gateway, **apart}
        told = {**self.manifests.environment("gateway", "Deployment", self.secrets), **self._addresses(), **own}
        return Container(
            name=f"{self.prefix}-gateway",
            image=self.images.gateway,
            arguments=(),
            environment=told,
            memory=self.manifests.memory("gateway", "Deployment"),
            grace_seconds=self.manifests.grace_seconds("gateway"),
        )

    def migrations(self) -> Container:
        told = self.manifests.environment("migrations", "Job", self.secrets)
        arguments = self.manifests.arguments("migrations", "Job")
        return Container(f"{self.prefix}-migrations", self.images.service, arguments, told, self.manifests.memory("migrations", "Job"))

    def admin(self, *words: str) -> Container:
        catalog = self.instance("catalog", 1).container
        return replace(catalog, name=f"{self.prefix}-admin", arguments=("admin", *words))

    def env(self, made: Mapping[str, str]) -> dict[str, str]:
        return {
            "ASSAY_URL": f"http://{self._gateway}",
            "ASSAY_GRPC": self._gateway,
            "ASSAY_TOKEN": made["token"],
            "ASSAY_PROJECT_ID": made["project_id"],
            "ASSAY_WORKSPACE_ID": made["workspace_id"],
        }

    @property
    def _gateway(self) -> str:
        return f"127.0.0.1:{self.ports['gateway']}"

    def _public(self, told: Mapping[str, str]) -> dict[str, str]:
        return {"ASSAY_PUBLIC_URL": f"http://{self._gateway}"} if "ASSAY_PUBLIC_URL" in told else {}

    def _addresses(self) -> dict[str, str]:
        numbers = range(1, PROCESSES + 1)
        return {f"ASSAY_{name.upper()}_ADDRESS": ",".join(f"127.0.0.1:{self.ports[f'{name}-{n}']}" for n in numbers) for name in SERVICES}
