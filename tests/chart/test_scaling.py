"""Pods are counted by one autoscaler at most, by the backlog that the code has, and never all taken at once."""

import pytest

from services.runner.worker import DURABLE
from shared import topics
from tests.chart.rendering import CASES, RefusedError, render


@pytest.mark.parametrize("case", CASES)
def test_one_counts_the_pods(case: str) -> None:
    rendered = render(case)
    scalers = [
        scaler["spec"]["scaleTargetRef"]["name"] for kind in ("HorizontalPodAutoscaler", "ScaledObject") for scaler in rendered.of(kind)
    ]
    fixed = [deployment["metadata"]["name"] for deployment in rendered.of("Deployment") if "replicas" in deployment["spec"]]
    assert sorted([*scalers, *fixed]) == sorted(deployment["metadata"]["name"] for deployment in rendered.of("Deployment"))


@pytest.mark.parametrize(
    "settings",
    [
        ("services.runner.hpa.enabled=true", "services.runner.keda.enabled=true"),
        ("defaults.hpa.enabled=true", "services.runner.keda.enabled=true"),
    ],
)
def test_both_autoscalers_at_once_are_refused(settings: tuple[str, ...]) -> None:
    with pytest.raises(RefusedError, match="runner: hpa and keda exclude each other"):
        render("defaults", settings=settings)


def test_keda_looks_at_what_the_code_consumes() -> None:
    rendered = render("production")
    asked = {
        (trigger["metadata"]["stream"], trigger["metadata"]["consumer"])
        for scaler in rendered.of("ScaledObject")
        for trigger in scaler["spec"]["triggers"]
    }
    heard = {("runner", topics.CASES_SCORED), ("scoring", topics.CASES_EXECUTED)}
    # As Ear.durable names them.
    events = {(topic.stream, f"{service}-{topic.name.replace('.', '-')}") for service, topic in heard}
    assert asked == {(topics.WORK, DURABLE), *events}


def test_keda_never_takes_the_last_process_and_falls_back_to_several() -> None:
    for scaler in render("production").of("ScaledObject"):
        assert scaler["spec"]["minReplicaCount"] >= 1
        assert scaler["spec"]["fallback"]["replicas"] >= 1
        assert scaler["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 60


@pytest.mark.parametrize(("case", "guarded"), [("defaults", 5), ("small", 0), ("production", 5), ("everything", 3), ("nothing", 0)])
def test_what_has_several_processes_is_drained_one_by_one(case: str, guarded: int) -> None:
    budgets = render(case).of("PodDisruptionBudget")
    assert len(budgets) == guarded
    assert all(budget["spec"]["maxUnavailable"] == 1 for budget in budgets)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (("gateway.hpa.enabled=true", "gateway.hpa.minReplicas=9"), "gateway: maxReplicas of hpa"),
        (("defaults.hpa.enabled=true", "defaults.hpa.maxReplicas=1"), "catalog: maxReplicas of hpa"),
        (("services.runner.keda.enabled=true", "services.runner.keda.minReplicas=20"), "runner: maxReplicas of keda"),
    ],
)
def test_bounds_that_exclude_each_other_are_refused(settings: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(RefusedError, match=complaint):
        render("defaults", settings=settings)
