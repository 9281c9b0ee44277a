"""Writes the chart's README.md from values.yaml: `python -m deploy.chart.readme`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
MARK = "# -- "
HEAD = """# The chart

Installs the four services, the gateway and the migrations. Postgres, NATS and every Secret are yours: nothing is bundled and
nothing is generated. [deploy/README.md](../README.md) goes from an empty cluster to a first run; ready-made values and the
Secrets' keys are in [deploy/examples](../examples/README.md).

```
helm install assay deploy/chart -n assay -f deploy/examples/small.yaml
helm test assay -n assay --logs
```

| template | what it makes |
|---|---|
| `_services.tpl` | the table of the services: whom each calls, what it is told, what its backlog is |
| `deployments.yaml`, `configmaps.yaml`, `services.yaml` | a Deployment, a ConfigMap and a headless Service for each |
| `gateway.yaml`, `ingress.yaml` | Envoy, and the way in |
| `migrations.yaml` | a Job before each install and upgrade; the old pods work with the new schema |
| `autoscaling.yaml`, `disruption.yaml` | HPA or KEDA (never both), and budgets where there is more than one process |
| `networkpolicies.yaml` | nothing may talk, then each flow by name; runner and scoring alone reach model endpoints |
| `monitoring.yaml`, `files/` | ServiceMonitor and PodMonitor, alerts with a line of a runbook each, dashboard |
| `tests/answers.yaml` | `helm test`: every service is asked something through the gateway |

**Upgrades** lose no request: the schema comes first, a new pod is ready before an old one leaves (`maxUnavailable: 0`), and
that one, out of the endpoints, serves on for `preStopSeconds` before it is told to drain. **Rollback**: `helm rollback`; migrations
only ever add, so the release before runs on the newer schema.

**Several releases** may share a namespace: names, selectors and policies are each one's own. They may not share a database or a NATS
account: schemas and streams have the same names in all. The alerts of each then count all that run in the namespace.

**Model endpoints with a private authority**: mount a bundle (your authority and the public ones you want) by `extraVolumes` of runner and
scoring, and name it in `extraEnv` as SSL_CERT_FILE. Proxies of the environment are ignored, since they would call for a service
what it may not call itself; a gateway to models is reached as an endpoint, by `config.allowedNetworks`.

## Values

Written from values.yaml by `python -m deploy.chart.readme`. Anything else is refused (`values.schema.json`). What is under
`defaults` may stand under each of `services.catalog`, `.runner`, `.scoring` and `.reporting` too, and wins there.

| key | default | what it says |
|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """One documented value: `description` is empty where values.yaml says nothing of it."""

    key: str
    default: str
    description: str


def rows(values: str) -> Iterator[Row]:
    """Every value that has a comment of its own, or that is no object, in the order of the file."""
    described = dict(_descriptions(values))
    yield from _rows("", yaml.safe_load(values), described)


def _rows(path: str, value: Any, described: dict[str, str]) -> Iterator[Row]:
    if isinstance(value, dict) and value and path not in described:
        for key, below in value.items():
            yield from _rows(f"{path}.{key}".lstrip("."), below, described)
    else:
        yield Row(path, json.dumps(value), described.get(path, ""))


def _descriptions(values: str) -> Iterator[tuple[str, str]]:
    """Key path -> the comment above it; blocks are told by their indentation, two spaces a level."""
    path: list[str] = []
    comment = ""
    for line in values.splitlines():
        text = line.strip()
        if text.startswith(MARK):
            comment = text.removeprefix(MARK)
        elif text and not text.startswith(("#", "-")):
            depth = (len(line) - len(line.lstrip())) // 2
            path = [*path[:depth], text.partition(":")[0]]
            if comment:
                yield ".".join(path), comment
            comment = ""


def text() -> str:
    """What README.md must say."""
    return HEAD + "".join(
        f"| `{row.key}` | `{row.default}` | {row.description} |\n" for row in rows((HERE / "values.yaml").read_text())
    )  # fmt: skip


if __name__ == "__main__":
    (HERE / "README.md").write_text(text())
