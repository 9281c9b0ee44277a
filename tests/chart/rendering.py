"""What helm makes of the chart with some values, and where to look in it."""

import functools
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "chart"
EXAMPLES = ROOT / "deploy" / "examples"
VALUES = Path(__file__).parent / "values"
TOOLS = ROOT / os.environ.get("ASSAY_CHART_TOOLS", ".local/chart")
RELEASE, NAMESPACE = "assay", "assay"
SERVICES = ("catalog", "runner", "scoring", "reporting")
VERSIONS = tuple(f"1.{minor}" for minor in range(27, 38))
CASES: dict[str, tuple[Path, ...]] = {
    "defaults": (),
    "small": (EXAMPLES / "small.yaml",),
    "production": (EXAMPLES / "production.yaml",),
    "production with TLS": (EXAMPLES / "production.yaml", EXAMPLES / "mtls.yaml"),
    "production with TLS to clients": (EXAMPLES / "production.yaml", EXAMPLES / "gateway-tls.yaml"),
    "everything": (VALUES / "everything.yaml",),
    "nothing": (VALUES / "nothing.yaml",),
}
"""The installs that are examined: name -> values files, the later ones winning."""

Document = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """A pod template with the object that it is of."""

    owner: Document
    metadata: Document
    spec: Document

    @property
    def name(self) -> str:
        """Kind and name, for messages."""
        return f"{self.owner['kind']}/{self.owner['metadata']['name']}"

    @property
    def component(self) -> str:
        """Its name among the chart's: catalog, gateway, migrations."""
        return str(self.metadata["labels"]["app.kubernetes.io/component"])

    @property
    def container(self) -> Document:
        """Its only container."""
        (container,) = self.spec["containers"]
        assert not self.spec.get("initContainers")
        return dict(container)


@dataclass(frozen=True)
class Rendered:
    """Every object of an install."""

    documents: tuple[Document, ...]

    def of(self, kind: str) -> list[Document]:
        """All objects of a kind."""
        return [document for document in self.documents if document["kind"] == kind]

    def one(self, kind: str, name: str) -> Document:
        """The object of this kind with this name, without the release's."""
        (found,) = [document for document in self.of(kind) if document["metadata"]["name"] == f"{RELEASE}-{name}"]
        return found

    def workloads(self) -> Iterator[Workload]:
        """Every pod template, hooks among them."""
        for document in self.documents:
            if document["kind"] == "Pod":
                yield Workload(document, document["metadata"], document["spec"])
            elif document["kind"] in {"Deployment", "Job"}:
                template = document["spec"]["template"]
                yield Workload(document, template["metadata"], template["spec"])

    def workload(self, component: str) -> Workload:
        """The pod template of a component."""
        (found,) = [workload for workload in self.workloads() if workload.component == component]
        return found

    def variables(self, component: str) -> dict[str, str | Document]:
        """What a component's container is told: name -> value, or where it comes from."""
        container = self.workload(component).container
        told: dict[str, str | Document] = {}
        for source in container.get("envFrom", []):
            told |= self.one("ConfigMap", source["configMapRef"]["name"].removeprefix(f"{RELEASE}-"))["data"]
        return told | {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container.get("env", [])}


class RefusedError(Exception):
    """Helm refused; the message is its own."""


def helm(*arguments: str) -> str:
    """What helm prints. Raises RefusedError."""
    home = {name: str(TOOLS / "helm-home") for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    done = subprocess.run([str(TOOLS / "helm"), *arguments], env={**os.environ, **home}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RefusedError(done.stderr + done.stdout)
    return done.stdout


@functools.cache
def render(case: str, version: str = VERSIONS[-1], settings: tuple[str, ...] = ()) -> Rendered:
    """The objects of one of CASES on a version of Kubernetes; `settings` are helm's --set."""
    wanted = [*values_of(case), *(f"--set={setting}" for setting in settings)]
    text = helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", version, *wanted)
    return Rendered(tuple(document for document in yaml.load_all(text, yaml.CSafeLoader) if document))


def values_of(case: str) -> list[str]:
    """Helm's arguments for the values of one of CASES."""
    return [f"--values={file}" for file in CASES[case]]


def examined(given: object, question: str, *details: str) -> Any:
    """What examine.py answers, in the environment of the tools."""
    command = [str(TOOLS / "venv" / "bin" / "python"), str(Path(__file__).with_name("examine.py")), question, *details]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pod_ports(workload: Workload) -> dict[str, int]:
    """Name -> number of a container's ports."""
    return {port["name"]: port["containerPort"] for port in workload.container.get("ports", [])}


def chosen(selector: Document, workloads: Sequence[Workload]) -> set[str]:
    """The components whose pods have all labels of a `matchLabels`."""
    wanted = selector["matchLabels"].items()
    return {workload.component for workload in workloads if wanted <= workload.metadata["labels"].items()}
