"""Every install renders to valid objects on every version of Kubernetes, and wrong values are refused before that."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deploy.chart import readme
from tests.chart.rendering import CASES, CHART, EXAMPLES, ROOT, VERSIONS, Document, RefusedError, examined, helm, render, values_of


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_nothing_to_complain_of(case: str) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", "--kube-version", VERSIONS[0], *values_of(case), str(CHART))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_of_every_install_is_valid(version: str) -> None:
    assert examined([document for case in CASES for document in render(case, version).documents], "core", version) == []


def test_every_custom_resource_is_valid() -> None:
    texts = [(EXAMPLES / name).read_text() for name in ("certificates.yaml", "gateway-certificate.yaml")]
    examples = [document for text in texts for document in yaml.safe_load_all(text)]
    assert examined([*(document for case in CASES for document in render(case).documents), *examples], "custom") == []


def test_the_example_of_the_gateways_certificate_fits_the_example_of_its_values() -> None:
    certificate = yaml.safe_load((EXAMPLES / "gateway-certificate.yaml").read_text())["spec"]
    values = yaml.safe_load((EXAMPLES / "gateway-tls.yaml").read_text())
    assert certificate["secretName"] == values["gateway"]["tls"]["existingSecret"]
    assert values["config"]["publicUrl"] == f"https://{certificate['dnsNames'][0]}"


def test_the_example_of_certificates_names_every_service() -> None:
    certificate = list(yaml.safe_load_all((EXAMPLES / "certificates.yaml").read_text()))[-1]
    headless = [service["metadata"] for service in render("defaults").of("Service") if service["spec"].get("clusterIP") == "None"]
    names = {f"{service['name']}.{service['namespace']}.svc.cluster.local" for service in headless}
    assert set(certificate["spec"]["dnsNames"]) == names


PLANTED: list[Document] = [
    {"kind": "Deploymint", "apiVersion": "apps/v1"},
    {"kind": "Unknown", "apiVersion": "example.com/v1"},
    {"kind": "ConfigMap", "apiVersion": "v1", "daata": {}},
    {"kind": "Service", "apiVersion": "v1", "spec": {"ports": [{"port": "many"}]}},
    {"kind": "ScaledObject", "apiVersion": "keda.sh/v1alpha1", "spec": {"scaleTargetRef": {"name": "x"}}},
    {"kind": "ServiceMonitor", "apiVersion": "monitoring.coreos.com/v1", "spec": {"endpoints": [], "selector": {}, "x": 1}},
]


def test_every_planted_fault_is_found() -> None:
    planted = [{**document, "metadata": {"name": "planted"}} for document in PLANTED]
    found = [*examined(planted, "core", VERSIONS[-1]), *examined(planted, "custom")]
    assert {fault.partition("/")[0] for fault in found} == {document["kind"] for document in PLANTED}


def test_older_versions_of_kubernetes_are_refused() -> None:
    with pytest.raises(RefusedError, match="kubeVersion"):
        render("defaults", "1.26")


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("surprise=1", "surprise"),
        ("services.catalogue.replicas=1", "catalogue"),
        ("gateway.image.tga=1", "tga"),
        ("defaults.replicas=0", "replicas"),
        ("nats.replicas=2", "replicas"),
        ("config.publicUrl=example.com", "publicUrl"),
        ("config.allowedNetworks={10.0.0.0}", "allowedNetworks"),
        ("tls.enabled=true", "existingSecret"),
        ("ingress.enabled=true", "host"),
        ("secrets.auth.existingSecret=", "existingSecret"),
        ("services.catalog.keda.enabled=true", "keda needs a backlog"),
        ("defaults.resources.limits.memory=", "memory"),
        ("gateway.tls.enabled=true", "existingSecret"),
        ("nats.eventsBytes=0", "eventsBytes"),
        ("nats.eventsBytes=1.5", "eventsBytes"),
        ("services.runner.terminationGracePeriodSeconds=35", "must be more than 35"),
        ("gateway.terminationGracePeriodSeconds=25", "must be more than 25"),
        ("ingress.host=https://example.com", "host"),
        ("ingress.host=example.com:8080", "host"),
    ],
)
def test_wrong_values_are_refused(setting: str, complaint: str) -> None:
    with pytest.raises(RefusedError, match=complaint):
        render("defaults", settings=(setting,))


@pytest.mark.parametrize("release", ["1assay", "my.release"])
def test_a_release_whose_name_no_service_may_have_is_told_what_to_set(release: str) -> None:
    with pytest.raises(RefusedError, match="fullnameOverride"):
        helm("template", release, str(CHART))
    assert "name: other-gateway" in helm("template", release, str(CHART), "--set=fullnameOverride=other")


def test_the_longest_name_of_a_release_leaves_room_for_what_comes_behind() -> None:
    documents = yaml.load_all(helm("template", "a" * 53, str(CHART), *values_of("everything")), yaml.CSafeLoader)
    names = [document["metadata"]["name"] for document in documents if document]
    assert max(len(name) for name in names) <= LABEL_BYTES


LABEL_BYTES = 63
"""Of the name of a Service, and of whatever a Job's name becomes a label of."""


def test_an_ingress_may_have_a_wildcard_for_its_host() -> None:
    settings = ("ingress.enabled=true", "ingress.host=*.example.com", "ingress.tlsSecret=some")
    (ingress,) = render("defaults", settings=settings).of("Ingress")
    assert ingress["spec"]["rules"][0]["host"] == "*.example.com"
    assert ingress["spec"]["tls"][0]["hosts"] == ["*.example.com"]


def test_a_gateway_with_tls_is_not_told_of_a_url_without() -> None:
    with pytest.raises(RefusedError, match="publicUrl"):
        render("defaults", settings=("gateway.tls.enabled=true", "gateway.tls.existingSecret=some"))


def test_the_schema_is_closed_at_every_level() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert {path for path, part in objects(schema, "$") if part.get("additionalProperties") is None} == OPEN


OPEN = {
    "$.properties.global",  # Helm's own, where the chart is a dependency
    "$.$defs.objects.items",  # a toleration, a volume: Kubernetes knows what is in them
    *(f"$.$defs.peers.items.properties.{name}" for name in ("podSelector", "namespaceSelector")),
    "$.$defs.service.properties.affinity",
    "$.properties.gateway.properties.affinity",
}


def objects(part: object, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of an object in a schema, with its path."""
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield path, part
        for key, value in part.items():
            yield from objects(value, f"{path}.{key}")


def test_the_readme_is_what_the_values_say() -> None:
    assert (CHART / "README.md").read_text() == readme.text(), "python -m deploy.chart.readme"


def test_every_value_is_documented() -> None:
    assert [row.key for row in readme.rows((CHART / "values.yaml").read_text()) if not row.description] == []


def test_the_charts_version_is_the_projects() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert f'version = "{chart["appVersion"]}"' in (ROOT / "pyproject.toml").read_text()
