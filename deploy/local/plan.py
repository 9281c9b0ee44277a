"""Turns settings, remembered ports and secrets into the programs of one start."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy.local import binaries, nats, ports, postgres
from deploy.local.environment import LOOPBACK, Topology, inherited_environment, load_secrets, python_environment
from deploy.local.files import Folders
from deploy.local.postgres import SERVICES
from deploy.local.programs import Program, python_module, source_fingerprint
from deploy.local.protos import DESCRIPTORS, GEN
from deploy.local.settings import PREFERRED_PORTS, Settings


class GatewayNotRenderedError(RuntimeError):
    """The gateway's renderer refused; the message is its own."""


def choose_ports(
    settings: Settings, remembered: Mapping[str, int], *, running: bool, usual: Mapping[str, int] = PREFERRED_PORTS
) -> dict[str, int]:
    """A port for everything that listens: the wanted one, the one of the last start, the usual one, else any.

    A port that is taken is passed over, except that a running stack keeps the ports that it holds itself.
    """
    chosen: dict[str, int] = {}
    for name in _listeners(settings):
        wanted, last = settings.ports.get(name), remembered.get(name)
        if running and last and wanted in {None, last}:
            chosen[name] = last
            continue
        taken = {*chosen.values(), *(port for other, port in remembered.items() if other != name), *settings.ports.values()} - {wanted}
        candidates = [port for port in (wanted, last, usual.get(name)) if port]
        free = [port for port in candidates if port not in taken and ports.is_free(port)]
        chosen[name] = free[0] if free else ports.any_free(taken)
    return chosen


def _listeners(settings: Settings) -> list[str]:
    workers = [f"runner-{n + 1}" for n in range(settings.runners)] + [f"scoring-{n + 1}" for n in range(settings.scorers)]
    services = ["catalog", *workers, "reporting"]
    return ["gateway", "envoy-admin", "postgres", "nats", "nats-monitor", *services, *(f"{name}-metrics" for name in services)]


def topology(folders: Folders, settings: Settings, chosen: Mapping[str, int], sockets: Path) -> Topology:
    """Everything's address and password."""
    secrets = load_secrets(folders)
    data = postgres.data_folder(folders.root / "postgres")
    # Under another account than ours Postgres could not write to our folder of sockets; TCP is enough.
    socket_folder = sockets if data.parent == folders.root and not _as_nobody() else None
    cluster = postgres.Cluster(data, chosen["postgres"], secrets["postgres_passwords"][postgres.OWNER], socket_folder)
    server = nats.NatsServer(
        folders.nats_store, folders.run / "nats.conf", chosen["nats"], chosen["nats-monitor"], secrets["nats_password"]
    )
    return Topology(chosen, secrets, settings, cluster, server)


def _as_nobody() -> bool:
    return binaries.unprivileged()[:1] == ("setpriv",)


def programs(folders: Folders, topology: Topology) -> list[Program]:
    """Every process of the stack, in the order in which it is started; stopping goes the other way."""
    services = [
        _service(topology, service, instance) for service in SERVICES for instance in topology.instances(service)
    ]  # fmt: skip
    return [_postgres(topology), _nats(topology), *services, _envoy(folders, topology)]


def _postgres(topology: Topology) -> Program:
    # INT is Postgres's fast shutdown: TERM would wait for every client to leave by itself.
    return Program("postgres", postgres.command(topology.cluster), stop_signal="INT", stop_seconds=30)


def _nats(topology: Topology) -> Program:
    nats.write_config(topology.nats)
    return Program("nats", nats.command(topology.nats), fingerprint=topology.nats.config.read_text())


def _service(topology: Topology, service: str, instance: str) -> Program:
    code = source_fingerprint(binaries.ROOT / "services" / service, binaries.ROOT / "shared", GEN / DESCRIPTORS.name)
    environment = topology.service_environment(service, instance)
    return Program(instance, python_module(f"services.{service}"), environment, fingerprint=code)


def _envoy(folders: Folders, topology: Topology) -> Program:
    config = folders.run / "envoy.yaml"
    documents = _gateway("openapi", f"--descriptor={DESCRIPTORS}", f"--out={folders.run}").splitlines()
    config.write_text(_envoy_config(folders, topology))
    # Hot restart would make two stacks meet in one shared memory segment.
    command = [binaries.envoy(), "-c", str(config), "--concurrency", "1", "--log-level", "warning", "--disable-hot-restart"]
    read = source_fingerprint(config, DESCRIPTORS, *map(Path, documents))
    return Program("envoy", command, stop_seconds=5, fingerprint=read)


def _envoy_config(folders: Folders, topology: Topology) -> str:
    backends = [f"--backend={service}={','.join(topology.endpoints(service))}" for service in SERVICES]
    origins = topology.settings.passed["ASSAY_ALLOWED_ORIGINS"].split(",")
    places = [
        f"--listen={topology.gateway}",
        f"--admin={LOOPBACK}:{topology.ports['envoy-admin']}",
        f"--descriptor={DESCRIPTORS}",
        f"--documents={folders.run}",
    ]
    arguments = [*places, *backends, *(f"--allowed-origin={origin.strip()}" for origin in origins if origin.strip())]
    return _gateway("render", *arguments)


def _gateway(command: str, *arguments: str) -> str:
    """What a command of the gateway prints: a process of its own, so that `down` works whatever state the gateway's code is in."""
    environment = {**inherited_environment(), **python_environment()}
    run = [*python_module(f"gateway.{command}"), *arguments]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GatewayNotRenderedError(f"gateway.{command}: {done.stderr.strip()}")
    return done.stdout


def admin_command(*arguments: str) -> list[str]:
    """The command that makes workspaces and keys; it runs with the catalog's environment and prints JSON."""
    return [*python_module("services.catalog.admin"), *arguments]


def admin_environment(topology: Topology) -> dict[str, str]:
    """The environment of that command."""
    return {**python_environment(), **topology.service_environment("catalog", "catalog")}
