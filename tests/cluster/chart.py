"""What the chart tells each container: its environment is taken from the rendered manifests, not written down again."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.local import binaries

CHART = binaries.ROOT / "deploy" / "chart"
RELEASE = "assay"
# What a cluster on one machine needs: three copies, and targets that are on loopback.
VALUES = ("nats.replicas=3", "config.allowedNetworks={127.0.0.0/8}")

Json = dict[str, Any]


class NotRenderedError(RuntimeError):
    """The chart can't be rendered, or has no such workload; the message says why."""


@dataclass(frozen=True)
class Manifests:
    """The rendered objects."""

    objects: Sequence[Json]

    def environment(self, component: str, kind: str, secrets: Mapping[str, str]) -> dict[str, str]:
        """Name -> value of the variables of the component's first container.

        `secrets` holds what Secrets would, by their keys; the pod's name is left to the caller. Raises NotRenderedError.
        """
        container = self._workload(component, kind)["spec"]["template"]["spec"]["containers"][0]
        maps = [source["configMapRef"]["name"] for source in container.get("envFrom", [])]
        literal = {name: value for each in maps for name, value in self._object("ConfigMap", each)["data"].items()}
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {})
            if "secretKeyRef" in reference:
                literal[variable["name"]] = secrets[reference["secretKeyRef"]["key"]]
            elif "value" in variable:
                literal[variable["name"]] = variable["value"]
        return literal

    def arguments(self, component: str, kind: str) -> list[str]:
        """The arguments of the container."""
        return list(self._workload(component, kind)["spec"]["template"]["spec"]["containers"][0].get("args", []))

    def grace_seconds(self, component: str) -> int:
        """How long the kubelet waits between SIGTERM and SIGKILL, what preStop sleeps taken off."""
        pod = self._workload(component, "Deployment")["spec"]["template"]["spec"]
        slept = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1])
        return int(pod["terminationGracePeriodSeconds"]) - slept

    def memory(self, component: str, kind: str) -> str:
        """The container's memory limit, as podman says it: `768m`."""
        limit = self._workload(component, kind)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
        return str(limit).replace("Gi", "g").replace("Mi", "m")

    def _workload(self, component: str, kind: str) -> Json:
        return self._object(kind, f"{RELEASE}-{component}")

    def _object(self, kind: str, name: str) -> Json:
        for each in self.objects:
            if each["kind"] == kind and each["metadata"]["name"] == name:
                return each
        raise NotRenderedError(f"the chart renders no {kind} {name}")


def render(helm: str, values: Sequence[str] = VALUES) -> Manifests:
    """The chart as it stands in this tree. `helm` is the program's path, or empty for the one on PATH or in .local. Raises NotRenderedError."""
    fetched = binaries.ROOT / ".local" / "chart" / "helm"  # by `make chart-test`
    program = helm or shutil.which("helm") or str(fetched)
    if not Path(program).exists():
        raise NotRenderedError("helm is not on PATH; say where it is with --helm, or let `make chart-test` fetch it")
    sets = [f"--set={value}" for value in values]
    done = subprocess.run([program, "template", RELEASE, str(CHART), *sets], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotRenderedError(done.stderr.strip())
    return Manifests([each for each in yaml.safe_load_all(done.stdout) if each])
