"""Pods are restricted, and their ports, probes and times are those of the code."""

import re

import pytest
import yaml

from gateway.render import METRICS_PATHS
from shared import puller, server
from tests.chart.rendering import CASES, CHART, SERVICES, Workload, chosen, pod_ports, render

WORKLOADS = [pytest.param(case, workload, id=f"{case}: {workload.name}") for case in CASES for workload in render(case).workloads()]
RUNNING = [*SERVICES, "gateway"]
DRAIN_SECONDS = 10 + server.GRACE_SECONDS
"""What a service works on may take the first to end, and the calls that it serves the second."""
MEBIBYTES = {"Mi": 1, "Gi": 1024}


@pytest.mark.parametrize(("case", "workload"), WORKLOADS)
def test_every_pod_is_restricted(case: str, workload: Workload) -> None:
    pod, container = workload.spec["securityContext"], workload.container["securityContext"]
    assert pod == {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert container["readOnlyRootFilesystem"] is True
    assert container["allowPrivilegeEscalation"] is False
    assert workload.spec["automountServiceAccountToken"] is False
    assert workload.spec["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & workload.spec.keys()
    assert all("hostPath" not in volume for volume in workload.spec.get("volumes", [])), case


@pytest.mark.parametrize(("case", "workload"), WORKLOADS)
def test_memory_is_limited_and_cpu_only_requested(case: str, workload: Workload) -> None:
    resources = workload.container["resources"]
    assert set(resources["limits"]) == {"memory"}, case
    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    assert resources["requests"]["cpu"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("service", SERVICES)
def test_probes_ask_for_the_names_that_the_code_serves(case: str, service: str) -> None:
    workload = render(case).workload(service)
    container, ports = workload.container, pod_ports(workload)
    port = ports.get("health", ports["grpc"])
    assert container["startupProbe"]["grpc"] == {"port": port, "service": service}
    assert container["readinessProbe"]["grpc"] == {"port": port, "service": service}
    assert container["livenessProbe"]["grpc"] == {"port": port, "service": ""}
    assert container["args"] == [service]


@pytest.mark.parametrize("case", CASES)
def test_the_gateway_is_probed_where_neither_certificates_nor_a_crowd_are_in_the_way(case: str) -> None:
    container = render(case).workload("gateway").container
    asked = [container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "readiness", "liveness")]
    assert asked == [{"port": "metrics", "path": "/ready"}] * 3
    assert asked[0]["path"] in METRICS_PATHS


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("component", RUNNING)
def test_a_container_listens_where_its_ports_say(case: str, component: str) -> None:
    told, ports = render(case).variables(component), pod_ports(render(case).workload(component))
    listens = {"listen": told["ASSAY_LISTEN"], "metrics": told.get("ASSAY_METRICS_LISTEN"), "health": told.get("ASSAY_HEALTH_LISTEN")}
    heard = {name: int(str(address).rpartition(":")[2]) for name, address in listens.items() if address}
    assert sorted(heard.values()) == sorted(ports.values())


@pytest.mark.parametrize("case", CASES)
def test_services_lead_to_the_ports_of_their_pods(case: str) -> None:
    rendered = render(case)
    running = [workload for workload in rendered.workloads() if workload.owner["kind"] == "Deployment"]
    for service in rendered.of("Service"):
        (component,) = chosen({"matchLabels": service["spec"]["selector"]}, list(rendered.workloads()))
        workload = next(workload for workload in running if workload.component == component)
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= pod_ports(workload).keys()


@pytest.mark.parametrize("case", CASES)
def test_a_deployment_selects_its_own_pods_alone(case: str) -> None:
    rendered = render(case)
    for deployment in rendered.of("Deployment"):
        component = deployment["metadata"]["labels"]["app.kubernetes.io/component"]
        assert chosen(deployment["spec"]["selector"], list(rendered.workloads())) == {component}


@pytest.mark.parametrize("component", SERVICES)
def test_services_that_are_called_are_headless(component: str) -> None:
    assert render("defaults").one("Service", component)["spec"]["clusterIP"] == "None"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("component", RUNNING)
def test_a_pod_has_the_time_that_its_drain_takes(case: str, component: str) -> None:
    workload = render(case).workload(component)
    (program, seconds) = workload.container["lifecycle"]["preStop"]["exec"]["command"]
    own = float(str(render(case).variables("gateway")["ASSAY_DRAIN_SECONDS"])) if component == "gateway" else DRAIN_SECONDS
    assert program == "sleep"
    assert workload.spec["terminationGracePeriodSeconds"] > int(seconds) + own + 10


def test_the_chart_knows_the_services_grace() -> None:
    text = (CHART / "templates" / "_services.tpl").read_text()
    (finish, grace) = re.findall(r'define "assay.(?:finish|grace)Seconds" -}}(\d+)', text)
    assert float(grace) == server.GRACE_SECONDS
    assert float(finish) + float(grace) == DRAIN_SECONDS
    assert float(finish) >= puller.FINISH_SECONDS + puller.GIVE_BACK_SECONDS


@pytest.mark.parametrize("case", CASES)
def test_envoys_heap_fits_under_its_memory_limit(case: str) -> None:
    limit = render(case).workload("gateway").container["resources"]["limits"]["memory"]
    heap = int(str(render(case).variables("gateway")["ASSAY_MAX_HEAP_BYTES"]))
    assert heap + (200 << 20) <= int(limit[:-2]) * MEBIBYTES[limit[-2:]] << 20


@pytest.mark.parametrize("component", RUNNING)
def test_pods_are_spread_and_none_leaves_before_another_is_ready(component: str) -> None:
    rendered = render("production")
    spec = rendered.one("Deployment", component)["spec"]
    spread = rendered.workload(component).spec["topologySpreadConstraints"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert [constraint["topologyKey"] for constraint in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert all(chosen(constraint["labelSelector"], list(rendered.workloads())) == {component} for constraint in spread)


def test_a_changed_setting_starts_new_pods() -> None:
    def checksum(*settings: str) -> str:
        return str(render("defaults", settings=settings).workload("runner").metadata["annotations"]["checksum/config"])

    assert checksum() != checksum("config.leaseSeconds=20")
    assert checksum() == checksum("gateway.concurrency=4")


def test_hooks_use_nothing_that_helm_makes_after_them() -> None:
    job = render("everything").workload("migrations")
    assert "serviceAccountName" not in job.spec
    assert "envFrom" not in job.container
    assert job.owner["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


NODES = ("nodeSelector", "tolerations", "affinity", "priorityClassName")
WITH_A_TEST = ("gateway.tls.clientCertificates=false",)
"""A gateway that asks for certificates has none."""


@pytest.mark.parametrize("component", ["migrations", "test"])
def test_hooks_go_where_the_services_go(component: str) -> None:
    hook, service = (render("everything", settings=WITH_A_TEST).workload(name) for name in (component, "catalog"))
    assert {part: hook.spec[part] for part in NODES} == {part: service.spec[part] for part in NODES}
    assert hook.metadata["labels"]["cost"] == "shared"
    assert hook.metadata["annotations"]["team"] == "evaluation"


def test_what_the_test_says_can_still_be_read_when_it_is_over() -> None:
    policy = render("defaults").workload("test").owner["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
    assert policy == "before-hook-creation"


@pytest.mark.parametrize("case", CASES)
def test_no_object_holds_a_secret(case: str) -> None:
    assert render(case).of("Secret") == []
    assert "password" not in yaml.safe_dump_all(render(case).documents).lower()
