"""What the chart tells a container is what its code reads, no more and no less; what is secret is documented."""

import importlib
import re
from dataclasses import MISSING, Field, fields
from typing import Any

import pytest

from tests.chart.rendering import CASES, EXAMPLES, SERVICES, render

LEFT_TO_THE_IMAGE = {"ASSAY_DOCUMENTATION", "ASSAY_MODEL_DIR"}
"""Places of files that the image holds; its Dockerfile sets them, or their defaults are right."""
LEFT_TO_THE_DEFAULT = {"ASSAY_ADMIN_LISTEN", "ASSAY_LOG_LEVEL"}
"""The gateway's: Envoy's admin page stays on loopback, and its log level is its own."""
TLS = {"ASSAY_TLS_CERT", "ASSAY_TLS_KEY", "ASSAY_TLS_CA", "ASSAY_HEALTH_LISTEN"}
"""Told where `tls.enabled`, and only there."""
LISTEN_TLS = {f"ASSAY_LISTEN_TLS_{part}" for part in ("CERT", "KEY", "CA")}
"""Told where `gateway.tls.enabled`, and only there."""
NOT_OURS = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_RESOURCE_ATTRIBUTES"}
"""Read by OpenTelemetry itself."""
MODULES = {**{name: f"services.{name}.__main__" for name in SERVICES}, "gateway": "deploy.docker.gateway"}


def settings_of(component: str) -> dict[str, Field[Any]]:
    """Variable -> field of the component's Config."""
    config = importlib.import_module(MODULES[component]).Config
    return {f"ASSAY_{field.name.upper()}": field for field in fields(config)}


@pytest.mark.parametrize("component", MODULES)
@pytest.mark.parametrize("case", CASES)
def test_a_container_is_told_every_setting_of_its_code_and_no_other(case: str, component: str) -> None:
    told, known = set(render(case).variables(component)), set(settings_of(component))
    assert told - known <= NOT_OURS
    assert known - told - TLS - LISTEN_TLS <= (LEFT_TO_THE_IMAGE if component in SERVICES else LEFT_TO_THE_DEFAULT)
    for group in (TLS, LISTEN_TLS):
        assert known & told & group in (set(), known & group)


@pytest.mark.parametrize("component", SERVICES)
def test_what_has_no_default_comes_from_the_chart_or_from_the_image(component: str) -> None:
    needed = {name for name, field in settings_of(component).items() if field.default is MISSING and field.default_factory is MISSING}
    assert needed <= set(render("defaults").variables(component)) | LEFT_TO_THE_IMAGE


@pytest.mark.parametrize("component", MODULES)
def test_certificates_are_mounted_where_they_are_looked_for(component: str) -> None:
    rendered = render("production with TLS")
    told, container = rendered.variables(component), rendered.workload(component).container
    (folder,) = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "tls"]
    assert {told[f"ASSAY_TLS_{part}"] for part in ("CERT", "KEY", "CA")} == {
        f"{folder}/{file}" for file in ("tls.crt", "tls.key", "ca.crt")
    }


@pytest.mark.parametrize(("case", "files"), [("production with TLS to clients", 2), ("everything", 3)])
def test_what_clients_are_shown_is_mounted_where_it_is_looked_for(case: str, files: int) -> None:
    told, gateway = render(case).variables("gateway"), render(case).workload("gateway")
    (folder,) = [mount["mountPath"] for mount in gateway.container["volumeMounts"] if mount["name"] == "listen-tls"]
    (volume,) = [volume["secret"] for volume in gateway.spec["volumes"] if volume["name"] == "listen-tls"]
    assert volume["secretName"] == "assay-gateway-tls"
    assert {told[name] for name in LISTEN_TLS} - {""} == {f"{folder}/{item['path']}" for item in volume["items"]}
    assert [item["key"] for item in volume["items"]] == ["tls.crt", "tls.key", "ca.crt"][:files]


def test_without_tls_no_secret_is_mounted_for_it() -> None:
    gateway = render("defaults").workload("gateway")
    assert [volume["name"] for volume in gateway.spec["volumes"]] == ["tmp"]
    assert not LISTEN_TLS & set(render("defaults").variables("gateway"))


def test_the_test_speaks_with_the_gateway_as_clients_do() -> None:
    assert render("defaults").workload("test").container["args"][0].startswith("http://assay-gateway.assay.svc")
    assert render("production with TLS to clients").workload("test").container["args"][0].startswith("https://assay-gateway.assay.svc")
    assert [pod for pod in render("everything").workloads() if pod.component == "test"] == [], "it has no certificate to show"


def test_a_large_number_is_told_in_digits() -> None:
    usual = settings_of("runner")["ASSAY_NATS_EVENTS_BYTES"].default
    assert render("defaults").variables("runner")["ASSAY_NATS_EVENTS_BYTES"] == str(usual)
    assert (
        render("defaults", settings=("nats.eventsBytes=1000000000000",)).variables("runner")["ASSAY_NATS_EVENTS_BYTES"] == "1000000000000"
    )


@pytest.mark.parametrize("service", SERVICES)
def test_the_table_says_whom_a_service_calls(service: str) -> None:
    told, known = render("defaults").variables(service), settings_of(service)
    assert {name for name in told if name.endswith("_ADDRESS")} == {name for name in known if name.endswith("_ADDRESS")}


@pytest.mark.parametrize("component", MODULES)
def test_addresses_lead_to_the_services(component: str) -> None:
    rendered = render("defaults")
    for name, target in rendered.variables(component).items():
        if name.endswith("_ADDRESS"):
            host, _, port = str(target).removeprefix("dns:///").partition(":")
            service = rendered.one("Service", name.removeprefix("ASSAY_").removesuffix("_ADDRESS").lower())
            assert host == f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.cluster.local"
            assert int(port) in {entry["port"] for entry in service["spec"]["ports"]}


@pytest.mark.parametrize("case", CASES)
def test_every_key_of_a_secret_is_documented(case: str) -> None:
    documented = set(re.findall(r"`([-a-z]+)`", (EXAMPLES / "secrets.md").read_text()))
    asked = [
        entry["valueFrom"]["secretKeyRef"]
        for workload in render(case).workloads()
        for entry in workload.container.get("env", [])
        if "secretKeyRef" in entry.get("valueFrom", {})
    ]
    assert asked
    assert {reference[part] for reference in asked for part in ("name", "key")} <= documented


def test_only_the_catalog_is_given_the_keys_that_decrypt() -> None:
    assert [name for name in MODULES if "ASSAY_ENCRYPTION_KEYS" in render("everything").variables(name)] == ["catalog"]


def test_a_service_is_given_its_own_role_alone() -> None:
    rendered = render("defaults")
    for service in SERVICES:
        reference = rendered.variables(service)["ASSAY_POSTGRES_URL"]
        assert isinstance(reference, dict)
        assert reference["secretKeyRef"]["key"] == f"{service}-url"


def test_lists_are_told_with_commas() -> None:
    told = render("everything").variables("runner")
    assert told["ASSAY_ALLOWED_NETWORKS"] == "10.1.0.0/16,192.168.7.0/24"
    assert told["ASSAY_LEASE_SECONDS"] == "20.5"
