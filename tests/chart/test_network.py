"""Nothing may talk but what has to: every edge of the code has its flow, on both ends, and there is no other among the pods."""

import pytest

from tests.chart.rendering import CASES, SERVICES, Document, Rendered, chosen, pod_ports, render

GUARDED = [case for case in CASES if case != "nothing"]


def edges(rendered: Rendered) -> set[tuple[str, str]]:
    """Who calls whom, from the addresses that each is told."""
    callers = [*SERVICES, "gateway"]
    told = {caller: [name for name in rendered.variables(caller) if name.endswith("_ADDRESS")] for caller in callers}
    return {(caller, name.removeprefix("ASSAY_").removesuffix("_ADDRESS").lower()) for caller, names in told.items() for name in names}


def of_component(rendered: Rendered, component: str) -> Document:
    """The policy of one component's pods."""
    return dict(rendered.one("NetworkPolicy", component)["spec"])


def peers(rendered: Rendered, rules: list[Document], side: str, ports: set[object]) -> set[str]:
    """The components that rules open one of these ports from or to."""
    pods = list(rendered.workloads())
    return {
        component
        for rule in rules
        if {entry["port"] for entry in rule["ports"]} & ports
        for peer in rule.get(side, [])
        if set(peer) == {"podSelector"}
        for component in chosen(peer["podSelector"], pods)
    }


@pytest.mark.parametrize("case", GUARDED)
def test_everything_is_denied_first(case: str) -> None:
    rendered = render(case)
    policy = rendered.one("NetworkPolicy", "default-deny")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & policy.keys()
    assert chosen(policy["podSelector"], list(rendered.workloads())) == {workload.component for workload in rendered.workloads()}


@pytest.mark.parametrize("case", GUARDED)
def test_every_edge_is_open_on_both_ends_and_no_other(case: str) -> None:
    rendered = render(case)
    components = [*SERVICES, "gateway"]
    grpc = pod_ports(rendered.workload("catalog"))["grpc"]
    out = {(a, b) for a in components for b in peers(rendered, of_component(rendered, a)["egress"], "to", {grpc})}
    into = {(a, b) for b in SERVICES for a in peers(rendered, of_component(rendered, b)["ingress"], "from", {"grpc", grpc})}
    assert out == into == edges(rendered)


@pytest.mark.parametrize("case", GUARDED)
def test_only_runner_and_scoring_reach_model_endpoints(case: str) -> None:
    rendered = render(case)
    wide = {
        workload.component
        for workload in rendered.workloads()
        for rule in of_component(rendered, workload.component).get("egress", [])
        for peer in rule.get("to", [])
        if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0"
    }
    assert wide == {"runner", "scoring"}


def test_model_endpoints_are_public_but_for_the_networks_that_are_allowed() -> None:
    (rule,) = [
        rule for rule in of_component(render("everything"), "runner")["egress"] if {entry["port"] for entry in rule["ports"]} == {443, 8000}
    ]
    blocks = [peer["ipBlock"] for peer in rule["to"]]
    assert [block["cidr"] for block in blocks] == ["0.0.0.0/0", "::/0", "10.1.0.0/16", "192.168.7.0/24"]
    assert {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"} <= set(blocks[0]["except"])


@pytest.mark.parametrize("case", GUARDED)
def test_stores_are_reached_by_those_that_use_them(case: str) -> None:
    rendered = render(case)
    ports = {"postgres": 6432 if case == "everything" else 5432, "nats": 4222}

    def reaching(port: int) -> set[str]:
        pods = rendered.workloads()
        return {
            workload.component
            for workload in pods
            for rule in of_component(rendered, workload.component).get("egress", [])
            if port in {entry["port"] for entry in rule["ports"]}
        }

    assert reaching(ports["postgres"]) == {*SERVICES, "migrations"}
    assert reaching(ports["nats"]) == set(SERVICES)


def test_the_test_reaches_a_gateway_that_is_closed_to_others() -> None:
    rendered = render("production")
    assert peers(rendered, of_component(rendered, "gateway")["ingress"], "from", {"http"}) == {"test"}
    encrypted = render("production", settings=("gateway.tls.enabled=true", "gateway.tls.existingSecret=some"))
    assert peers(encrypted, of_component(encrypted, "gateway")["ingress"], "from", {"https"}) == {"test"}
    assert peers(rendered, of_component(rendered, "test")["egress"], "to", {8080}) == {"gateway"}


@pytest.mark.parametrize("component", [*SERVICES, "gateway"])
def test_metrics_are_closed_where_nobody_is_named(component: str) -> None:
    rules = {case: of_component(render(case), component)["ingress"] for case in ("defaults", "production")}
    opened = {case: [rule for rule in found if rule["ports"][0]["port"] == "metrics"] for case, found in rules.items()}
    assert opened["defaults"] == []
    assert opened["production"][0]["from"]


@pytest.mark.parametrize("case", GUARDED)
def test_flows_into_pods_lead_to_ports_that_these_have(case: str) -> None:
    rendered = render(case)
    for component in (*SERVICES, "gateway"):
        named = {entry["port"] for rule in of_component(rendered, component)["ingress"] for entry in rule["ports"]}
        assert named <= pod_ports(rendered.workload(component)).keys()


def test_traces_leave_where_there_are_any() -> None:
    for component in (*SERVICES, "gateway"):  # the gateway passes traces on, and makes none
        ports = {
            case: {entry["port"] for rule in of_component(render(case), component)["egress"] for entry in rule["ports"]} for case in GUARDED
        }
        assert (
            (4317 in ports["production"])
            == (component in SERVICES)
            == ("OTEL_EXPORTER_OTLP_ENDPOINT" in render("production").variables(component))
        )
        assert 4317 not in ports["defaults"]
