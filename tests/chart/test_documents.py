"""What operators are told of values and alerts exists under these names."""

import re
from pathlib import Path

import pytest
import yaml

from deploy.chart import readme
from tests.chart.rendering import CHART, ROOT, SERVICES

TEXTS = [*sorted((ROOT / "deploy").glob("*.md")), *sorted((ROOT / "deploy" / "examples").iterdir()), CHART / "files" / "alerts.yaml"]
KEY = re.compile(r"(?<![\w./$-])(?<!-m )([a-z][a-zA-Z]+(?:\.[a-zA-Z]+)+)(?![\w/-])")
NO_VALUES = {"py", "md", "yaml", "json", "conf", "svc"}
"""Parts of names of files and hosts."""


def values() -> set[str]:
    """Every key of the values, and every key above one; a service may have all of the defaults'."""
    keys = {row.key for row in readme.rows((CHART / "values.yaml").read_text())}
    own = {key.replace("defaults", f"services.{name}", 1) for name in SERVICES for key in keys if key.startswith("defaults.")}
    return {".".join(parts[:depth]) for parts in (key.split(".") for key in keys | own) for depth in range(1, len(parts) + 1)}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_a_value_that_is_named_exists(path: Path) -> None:
    known = values()
    named = [key.split(".") for key in KEY.findall(path.read_text())]
    meant = {".".join(parts) for parts in named if parts[0] in known and not NO_VALUES & set(parts)}
    assert meant - known == set()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_an_alert_that_is_named_exists(path: Path) -> None:
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text().replace("$", ""))
    known = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    assert set(re.findall(r"\bAssay[A-Z]\w+", path.read_text())) <= known
