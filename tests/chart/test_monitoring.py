"""Alerts and panels ask for metrics that exist, can be parsed, and say what to do."""

import importlib
import json
import re
from typing import Any

import prometheus_client
import pytest
from prometheus_client import REGISTRY

from gateway.render import METRICS_PATHS
from tests.chart.rendering import SERVICES, chosen, examined, pod_ports, render

OTHERS = {
    "up": "Prometheus",
    "kube_pod_container_status_restarts_total": "kube-state-metrics",
    "kube_pod_container_resource_limits": "kube-state-metrics",
    "kube_job_failed": "kube-state-metrics",
    "container_memory_working_set_bytes": "cAdvisor",
}
"""Metrics that are not ours, and whose they are."""
COUNTING = ("shared.observe", "services.runner.operations.execution", "services.scoring.operations")
"""Where our metrics are made; tests/deploy/test_observability.py finds new places."""


def ours() -> set[str]:
    """Every name that /metrics of a service has."""
    for module in COUNTING:
        importlib.import_module(module)
    text = prometheus_client.generate_latest(REGISTRY).decode()
    families = re.findall(r"^# TYPE (\S+) (\S+)", text, re.MULTILINE)
    return {f"{name}{suffix}" for name, kind in families for suffix in (("", "_bucket") if kind == "histogram" else ("",))}


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    (rule,) = render("everything").of("PrometheusRule")
    return [alert for group in rule["spec"]["groups"] for alert in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Every panel of the dashboard."""
    dashboard = json.loads(render("everything").one("ConfigMap", "dashboard")["data"]["assay.json"])
    return list(dashboard["panels"])


def expressions() -> list[str]:
    """Every expression, with Grafana's variables filled in."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [*(rule["expr"] for rule in rules()), *(text.replace("$__rate_interval", "5m").replace("$namespace", "assay") for text in asked)]


def test_prometheus_can_parse_every_expression() -> None:
    assert examined(expressions(), "promql") == []


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_asks_for_metrics_that_exist(expression: str) -> None:
    names = set(re.findall(r"([a-z_]+)\{", expression))
    assert names
    # Envoy's are held against a running Envoy by tests/gateway/test_metrics.py.
    assert {name for name in names if not name.startswith("envoy_")} <= ours() | OTHERS.keys()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert len(rule["annotations"]["runbook"]) > 60
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert "$namespace" not in json.dumps(rule)
    assert "$fullname" not in json.dumps(rule)


def test_a_component_without_any_pod_is_down_too() -> None:
    (down,) = (rule["expr"] for rule in rules() if rule["alert"] == "AssayServiceDown")
    told = set(re.findall(r'absent\(up\{namespace="[^"]+", job="([^"]+)"\}\)', down))
    rendered = render("everything")
    fullname = rendered.one("Service", "gateway")["metadata"]["name"].removesuffix("-gateway")
    assert told == {f"{fullname}-{component}" for component in (*SERVICES, "gateway")}


def test_the_four_golden_signals_have_panels() -> None:
    titles = " ".join(panel["title"] for panel in panels())
    assert all(signal in titles for signal in ("Traffic", "Errors", "Latency", "Saturation"))


def test_the_gateway_is_scraped_under_a_name_like_the_services() -> None:
    rendered = render("production")
    (monitor,) = rendered.of("PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert chosen(monitor["spec"]["selector"], list(rendered.workloads())) == {"gateway"}
    assert endpoint["port"] in pod_ports(rendered.workload("gateway"))
    assert endpoint["path"] in METRICS_PATHS
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "assay-gateway"}]


def test_no_service_shows_the_metrics_of_the_gateway() -> None:
    assert [port["targetPort"] for port in render("everything").one("Service", "gateway")["spec"]["ports"]] == ["https"]


def test_every_service_is_scraped_and_nothing_else() -> None:
    rendered = render("production")
    (monitor,) = rendered.of("ServiceMonitor")
    (among,) = monitor["spec"]["selector"]["matchExpressions"]
    assert set(among["values"]) == set(SERVICES)
    for service in SERVICES:
        assert service in chosen({"matchLabels": monitor["spec"]["selector"]["matchLabels"]}, list(rendered.workloads()))
        assert monitor["spec"]["endpoints"][0]["port"] in pod_ports(rendered.workload(service))
