"""What is rendered, and what Envoy says of it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.binaries import ROOT
from deploy.local.environment import python_environment
from gateway.render import Address, render
from tests.gateway.envoy import DESCRIPTOR, SERVICES, loopback, settings, validate

NAMES = {name: [Address(f"{name}.assay.svc.cluster.local", 5050)] for name in SERVICES}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"backends": {name: loopback(1) for name in SERVICES} | {"runner": loopback(1, 2)}},
        {"backends": NAMES, "listen": Address("0.0.0.0", 8080)},  # noqa: S104 inside a pod
        {"backends": {name: [Address("::1", 1)] for name in SERVICES}, "listen": Address("::1", 1)},
        {"allowed_origins": ["http://a", "https://b:3000"]},
        {"max_connections": 10, "max_heap_bytes": 1 << 28, "timeout_seconds": 1},
    ],
    ids=["one runner", "two runners", "names", "ipv6", "origins", "limits"],
)
def test_envoy_accepts_the_rendering(tmp_path: Path, changes: dict[str, Any]) -> None:
    validate(settings(1, **changes), tmp_path)


def _clusters(**changes: Any) -> dict[str, Any]:
    rendered = yaml.safe_load(render(settings(1, **changes)))
    return {cluster["name"]: cluster for cluster in rendered["static_resources"]["clusters"]}


def test_names_are_looked_up_and_addresses_are_not() -> None:
    assert {cluster["type"] for cluster in _clusters().values()} == {"STATIC"}
    assert {cluster["type"] for cluster in _clusters(backends=NAMES).values()} == {"STRICT_DNS"}


def test_a_backend_without_public_services_gets_no_cluster() -> None:
    backends = {name: loopback(1) for name in (*SERVICES, "unheard_of")}
    assert sorted(_clusters(backends=backends)) == sorted(SERVICES)


def test_envoy_may_find_the_descriptor_set_elsewhere() -> None:
    assert 'proto_descriptor: "/etc/envoy/assay.pb"' in render(settings(1, descriptor_in_envoy="/etc/envoy/assay.pb"))


def test_a_missing_backend_is_named() -> None:
    with pytest.raises(ValueError, match="no backend was given for reporting, runner, scoring"):
        render(settings(1, backends={"catalog": loopback(1)}))


def test_the_endpoints_of_a_backend_are_all_of_one_kind() -> None:
    mixed = {name: loopback(1) for name in SERVICES} | {"runner": [*loopback(1), Address("runner", 1)]}
    with pytest.raises(ValueError, match="the endpoints of runner must be all addresses or all names"):
        render(settings(1, backends=mixed))


def test_the_command_line_prints_the_same() -> None:
    given = ["--listen", "127.0.0.1:8080", "--admin", "127.0.0.1:9901", "--descriptor", str(DESCRIPTOR), "--allowed-origin", "http://a"]
    backends = [f"--backend={name}=127.0.0.1:5051,127.0.0.1:5052" for name in SERVICES]
    printed = subprocess.run(
        [sys.executable, "-m", "gateway.render", *given, *backends],
        cwd=ROOT,
        env=python_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    chosen = settings(
        1,
        listen=Address("127.0.0.1", 8080),
        admin=Address("127.0.0.1", 9901),
        backends={name: loopback(5051, 5052) for name in SERVICES},
        allowed_origins=["http://a"],
    )
    assert printed.stdout == render(chosen)


def test_a_descriptor_set_without_services_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pb").touch()
    with pytest.raises(ValueError, match="holds no service"):
        render(settings(1, descriptor=tmp_path / "empty.pb"))
