"""What Prometheus and probes find where the gateway shows its metrics, and that nobody finds anything else there."""

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local import ports
from deploy.local.binaries import ROOT
from gateway.certificates import Certificates
from gateway.render import Address
from tests.certificates import an_authority
from tests.gateway.backend import Backend
from tests.gateway.envoy import Gateway, exchange, running, settings
from tests.gateway.test_image import until

SET = "/v1/evaluation/test-sets/a"
CHART = ROOT / "deploy" / "chart" / "files"
SELECTOR = re.compile(r"\b(envoy_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
OF_PROMETHEUS = {"namespace", "job", "pod", "instance", "le"}
"""Labels that Prometheus adds, or that say nothing of which series it is."""

Series = tuple[str, dict[str, str]]


@pytest.fixture(scope="module")
def shown(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Gateway]]:
    """A gateway, and the same where it shows its metrics."""
    with showing(backend, tmp_path_factory.mktemp("metrics")) as both:
        yield both


@contextmanager
def showing(backend: Backend, folder: Path, **changes: object) -> Iterator[tuple[Gateway, Gateway]]:
    metrics = ports.any_free()
    with running(settings(backend.first, metrics=Address("127.0.0.1", metrics), **changes), folder) as gateway:
        yield gateway, Gateway(metrics, gateway.admin, gateway.log)


def samples(text: str) -> list[Series]:
    """Name and labels of every series in Prometheus's text."""
    found = re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE)
    return [(name, {label: value for label, _, value in MATCHER.findall(labels)}) for name, labels in found]


def test_calls_are_counted(shown: tuple[Gateway, Gateway]) -> None:
    gateway, metrics = shown
    assert gateway.send("GET", SET).status == 200
    answer = metrics.send("GET", "/stats/prometheus")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    counted = r'^envoy_http_downstream_rq_xx\{envoy_response_code_class="2",envoy_http_conn_manager_prefix="public"\} [1-9]'
    assert re.search(counted, answer.body.decode(), re.MULTILINE)


def test_it_says_when_it_is_ready(shown: tuple[Gateway, Gateway]) -> None:
    answer = shown[1].send("GET", "/ready")
    assert (answer.status, answer.body) == (200, b"LIVE\n")


HIDDEN = (
    "/", "/config_dump", "/certs", "/clusters", "/listeners", "/server_info", "/stats", "/stats/", "/stats/recentlookups", "/memory",
    "/quitquitquit", "/drain_listeners", "/healthcheck/fail", "/logging", "/runtime_modify", "/reset_counters", "/cpuprofiler", "/metrics",
)  # fmt: skip
TRICKS = (
    "//quitquitquit", "/ready/../quitquitquit", "/stats/prometheus/../config_dump", "/stats/prometheus/../../quitquitquit",
    "/stats/prometheus/", "/stats//prometheus", "//stats/prometheus", "/./ready", "/stats%2fprometheus", "/%72eady", "/ready/%2e%2e/config_dump",
    "/ready%2f..%2fconfig_dump", "/ready;/../config_dump", "/ready%00", "/ready\\..\\config_dump", "/READY", "/quitquitquit?/ready",
    "/config_dump#/ready", "/ready#/../config_dump", "http://127.0.0.1/config_dump", "*",
)  # fmt: skip


@pytest.mark.parametrize("path", [*HIDDEN, *TRICKS])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_nothing_else_of_the_admin_page_is_there(shown: tuple[Gateway, Gateway], verb: str, path: str) -> None:
    before = shown[1].stat("cluster.admin.upstream_rq_total")
    answer = shown[1].send(verb, path)
    assert answer.status in {400, 404}
    assert answer.body in (b"", b"Bad Request")
    assert shown[1].stat("cluster.admin.upstream_rq_total") == before, "the admin page has not heard of it"


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"])
@pytest.mark.parametrize("path", ["/ready", "/stats/prometheus"])
def test_it_can_only_be_read(shown: tuple[Gateway, Gateway], verb: str, path: str) -> None:
    assert 400 <= shown[1].send(verb, path).status < 500


@pytest.mark.parametrize("path", ["/stats/prometheus", "/ready", "/quitquitquit"])
def test_clients_of_the_api_find_none_of_it(shown: tuple[Gateway, Gateway], path: str) -> None:
    assert shown[0].send("GET", path).status == 404


def test_a_gateway_that_is_full_can_still_be_looked_at(backend: Backend, tmp_path: Path) -> None:
    with showing(backend, tmp_path, max_connections=1) as (gateway, metrics):
        taken = gateway.connect()
        until(lambda: has_answered(taken))  # the one that asked whether it listens may not be gone yet
        with pytest.raises(ConnectionError):
            gateway.send("GET", SET)
        assert metrics.send("GET", "/ready").status == 200
        taken.close()


def test_a_gateway_without_memory_can_still_be_looked_at(backend: Backend, tmp_path: Path) -> None:
    with showing(backend, tmp_path, max_heap_bytes=1 << 20) as (gateway, metrics):
        until(lambda: gateway.send("GET", SET).status == 503)
        answer = metrics.send("GET", "/stats/prometheus")
    assert answer.status == 200
    assert b"envoy_overload_envoy_overload_actions_stop_accepting_requests_active{} 1\n" in answer.body


def has_answered(connection: http.client.HTTPConnection) -> bool:
    try:
        return exchange(connection, "GET", SET).status == 200
    except ConnectionError:
        return False


def test_without_an_address_there_is_one_listener_alone(backend: Backend, tmp_path: Path) -> None:
    with running(settings(backend.first), tmp_path) as gateway:
        assert gateway.stat("listener_manager.total_listeners_active") == 1


def test_calls_are_told_apart_by_how_long_they_may_take(shown: tuple[Gateway, Gateway]) -> None:
    routes = {
        labels["envoy_route"] for _, labels in samples(shown[1].send("GET", "/stats/prometheus").body.decode()) if "envoy_route" in labels
    }
    assert routes == {"calls", "slow", "streams"}


def asked() -> dict[str, list[tuple[str, str]]]:
    """Where Envoy's metrics are spoken of -> name and conditions of each."""
    dashboard = json.loads((CHART / "dashboard.json").read_text())
    panels = "\n".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    texts = {"alerts.yaml": (CHART / "alerts.yaml").read_text(), "dashboard.json": panels}
    texts |= {name: (ROOT / "deploy" / name).read_text() for name in ("OBSERVABILITY.md", "UPGRADE.md")}
    return {name: SELECTOR.findall(text) for name, text in texts.items()}


@pytest.mark.parametrize("place", ["alerts.yaml", "dashboard.json", "OBSERVABILITY.md", "UPGRADE.md"])
def test_what_is_asked_of_prometheus_is_what_envoy_shows(shown: tuple[Gateway, Gateway], place: str) -> None:
    gateway, metrics = shown
    for path in (SET, "/v1/evaluation/runs/a/events", "/v1/evaluation/test-sets/a/cases"):
        assert gateway.send("GET", path).status == 200
    until(lambda: b"envoy_vhost_route_upstream_rq_time_bucket" in metrics.send("GET", "/stats/prometheus").body)
    series = samples(metrics.send("GET", "/stats/prometheus").body.decode())
    wanted = asked()[place]
    assert wanted
    assert [found for found in wanted if not any(matches(each, *found) for each in series)] == []


def matches(series: Series, name: str, conditions: str) -> bool:
    """Whether a selector finds a series, or is one of its labels; a histogram may be named without its endings."""
    known, labels = series
    if name in labels and not conditions:
        return True
    if name not in (known, re.sub(r"_(bucket|sum|count)$", "", known)):
        return False
    told = [condition for condition in MATCHER.findall(conditions) if condition[0] not in OF_PROMETHEUS]
    return all(holds(labels.get(label), operator, value) for label, operator, value in told)


def holds(known: str | None, operator: str, value: str) -> bool:
    """Whether a series with this label fulfils a condition; what has no such label fulfils none, so that misspelt ones are found."""
    if known is None:
        return False
    equal = re.fullmatch(value, known) is not None if "~" in operator else known == value
    return equal != operator.startswith("!")


def test_it_is_told_how_long_certificates_last(backend: Backend, tmp_path: Path) -> None:
    files = an_authority().issue(tmp_path / "own")
    with showing(backend, tmp_path, listen_tls=Certificates(files.cert, files.key), secrets=str(tmp_path)) as (_, metrics):
        text = metrics.send("GET", "/stats/prometheus").body.decode()
    (days,) = re.findall(r"^envoy_server_days_until_first_cert_expiring\{\} (\d+)$", text, re.MULTILINE)
    assert int(days) <= 1
