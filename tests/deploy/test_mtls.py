"""The four services and the gateway with certificates on every side: a run gets through all of them."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local import ports
from deploy.local.environment import python_environment
from deploy.local.postgres import SERVICES
from gateway.certificates import Certificates
from shared.tls import Files
from tests.certificates import an_authority
from tests.gateway.envoy import JSON, Gateway, loopback, running, settings
from tests.servers import PostgresServer

KEY = "a key of services for one test, 32 bytes"
WITHIN = 60.0


@dataclass(frozen=True)
class Place:
    """Ports of a service."""

    grpc: int
    probes: int


def told(files: Files, places: Mapping[str, Place]) -> dict[str, str]:
    """What all services are told."""
    issuer = {"issuer": "assay", "algorithms": ["HS256"], "key": KEY}
    return {
        **os.environ,
        **python_environment(),
        **{f"ASSAY_{name.upper()}_ADDRESS": f"127.0.0.1:{place.grpc}" for name, place in places.items()},
        "ASSAY_SERVICE_KEY": KEY,
        "ASSAY_JWT_ISSUERS": json.dumps([issuer]),
        "ASSAY_ENCRYPTION_KEYS": json.dumps({"1": base64.b64encode(b"1" * 32).decode()}),
        "ASSAY_PUBLIC_URL": "http://assay.test",
        "ASSAY_MODEL_DIR": "unused",
        "ASSAY_TLS_CERT": files.cert,
        "ASSAY_TLS_KEY": files.key,
        "ASSAY_TLS_CA": files.ca,
    }


def started(name: str, place: Place, environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    own = {"ASSAY_LISTEN": f"127.0.0.1:{place.grpc}", "ASSAY_HEALTH_LISTEN": f"127.0.0.1:{place.probes}"}
    with log.open("wb") as out:
        return subprocess.Popen([sys.executable, "-m", f"services.{name}"], env={**environment, **own}, stdout=out, stderr=out)


def wait_serving(name: str, place: Place) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{place.probes}") as channel:
        request = health_pb2.HealthCheckRequest(service=name)
        give_up = time.monotonic() + WITHIN
        while health_pb2_grpc.HealthStub(channel).Check(request, wait_for_ready=True, timeout=WITHIN).status != 1:
            assert time.monotonic() < give_up, name
            time.sleep(0.1)


@dataclass(frozen=True)
class World:
    gateway: Gateway
    token: str
    places: Mapping[str, Place]

    def call(self, verb: str, path: str, body: object = None) -> Any:
        headers = {**JSON, "authorization": f"Bearer {self.token}"}
        answer = self.gateway.send(verb, path, None if body is None else json.dumps(body), headers)
        assert answer.status < 300, answer.body
        return answer.json


@pytest.fixture(scope="module")
def world(postgres: PostgresServer, nats_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("mtls")
    files = an_authority().issue(folder / "tls")
    urls = postgres.create(SERVICES)
    places = {name: Place(ports.any_free(), ports.any_free()) for name in SERVICES}
    environment = {**told(files, places), "ASSAY_NATS_URL": nats_url}
    with ExitStack() as stack:
        for name, place in places.items():
            process = started(name, place, {**environment, "ASSAY_POSTGRES_URL": urls[name]}, folder / f"{name}.log")
            stack.callback(process.wait)
            stack.callback(process.kill)
        for name, place in places.items():
            wait_serving(name, place)
        backends = {name: loopback(place.grpc) for name, place in places.items()}
        shown = Certificates(files.cert, files.key, files.ca)
        gateway = stack.enter_context(running(settings(1, backends=backends, tls=shown, secrets=str(folder)), folder))
        command = [sys.executable, "-m", "services.catalog.admin", "bootstrap"]
        made = json.loads(subprocess.check_output(command, env={**environment, "ASSAY_POSTGRES_URL": urls["catalog"]}))
        yield World(gateway, made["token"], places)


@pytest.mark.timeout(180)
def test_a_run_gets_through_gateway_and_services(world: World) -> None:
    connection = world.call("POST", "/v1/connections", {"name": "echo", "kind": "builtin", "model": "echo"})
    context = world.call("POST", "/v1/contexts", {"name": "echo", "connection_id": connection["id"]})
    wanted = {"name": "set", "context_id": context["id"], "mode": "independent"}
    test_set = world.call("POST", "/v1/evaluation/test-sets", wanted)
    case = {"question": "hello", "expected_response": "hello", "test_method": "exact_match"}
    world.call("POST", f"/v1/evaluation/test-sets/{test_set['id']}/cases", case)
    run = world.call("POST", "/v1/evaluation/runs", {"test_set_id": test_set["id"], "context_id": context["id"]})
    give_up = time.monotonic() + WITHIN
    while (seen := world.call("GET", f"/v1/evaluation/runs/{run['id']}"))["status"] != "completed" and time.monotonic() < give_up:
        time.sleep(0.2)
    assert (seen["status"], seen["passed_cases"]) == ("completed", 1)


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_answers_plaintext(world: World, service: str) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{world.places[service].grpc}") as channel, pytest.raises(grpc.RpcError) as refused:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
