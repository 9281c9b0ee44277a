"""The document of metrics, the chart's alerts and dashboard, and the code speak of the same names."""

import importlib
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from deploy.local.binaries import ROOT

DOCUMENT = ROOT / "deploy" / "OBSERVABILITY.md"
CHART = ROOT / "deploy" / "chart" / "files"
# Whatever else counts is to be listed here, or the document would not be held against it.
COUNTING = ("shared.observe", "services.runner.operations.execution", "services.scoring.operations")
NAME = re.compile(r"\bassay_[a-z_]+[a-z]\b")


def exposed() -> set[str]:
    """Names as Prometheus sees them; a histogram's without its endings."""
    for module in COUNTING:
        importlib.import_module(module)
    families = [family for family in REGISTRY.collect() if family.name.startswith("assay_")]
    return {f"{family.name}_total" if family.type == "counter" else family.name for family in families}


def said(text: str) -> set[str]:
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in NAME.findall(text)}


def test_every_place_that_counts_is_known() -> None:
    making = re.compile(r"from prometheus_client import .*(Counter|Gauge|Histogram|Summary)")
    found = {path for room in ("services", "shared") for path in (ROOT / room).rglob("*.py") if making.search(path.read_text())}
    assert {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in found} == set(COUNTING)


def test_the_document_lists_every_metric_and_no_other() -> None:
    assert said(DOCUMENT.read_text()) == exposed()


@pytest.mark.parametrize("path", sorted((ROOT / "deploy").glob("*.md")), ids=lambda path: path.name)
def test_operators_are_told_of_no_metric_that_does_not_exist(path: Path) -> None:
    assert said(path.read_text()) <= exposed()


@pytest.mark.parametrize("path", sorted(CHART.glob("*.yaml")) + sorted(CHART.glob("*.json")), ids=lambda path: path.name)
def test_the_chart_asks_only_for_metrics_that_exist(path: Path) -> None:
    assert said(path.read_text()) <= exposed()
