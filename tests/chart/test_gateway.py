"""What the gateway's pod makes of its settings is a configuration that Envoy takes."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.docker import gateway
from deploy.local import binaries
from gateway import certificates
from gateway.openapi.__main__ import write
from gateway.render import render as envoy_yaml
from shared import config
from tests.chart.rendering import CASES, ROOT, pod_ports, render


@pytest.mark.parametrize("case", CASES)
def test_envoy_takes_what_the_pod_renders(case: str, tmp_path: Path) -> None:
    told = {name: value for name, value in render(case).variables("gateway").items() if isinstance(value, str)}
    descriptor = ROOT / "gen" / "assay.pb"
    write(descriptor, tmp_path)
    given = replace(gateway.settings(config.read(gateway.Config, told), str(tmp_path)), descriptor=descriptor, documents=str(tmp_path))
    certificates.write(given.tls, given.listen_tls, tmp_path)
    file = tmp_path / "envoy.yaml"
    file.write_text(envoy_yaml(given))
    command = [binaries.envoy(), "--mode", "validate", "-c", str(file), "--log-level", "warning"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ports = pod_ports(render(case).workload("gateway"))
    assert given.listen.port == ports["https" if given.listen_tls else "http"]
    assert given.metrics is not None
    assert given.metrics.port == ports["metrics"]
    assert given.admin.host == "127.0.0.1"
    assert all(address.is_name for addresses in given.backends.values() for address in addresses)
