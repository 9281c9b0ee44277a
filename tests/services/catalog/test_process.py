"""The service and its command line as processes of their own."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc
import jwt
import pytest

from assay.catalog.v1 import connections_pb2 as pb, connections_pb2_grpc
from deploy.local import ports
from tests.services.catalog.house import ISSUER_KEY, ISSUERS, SERVICE_KEY

Environment = dict[str, str]


@pytest.fixture(scope="module")
def environment(catalog_url: str, nats_url: str) -> Environment:
    """What the service is told."""
    listen = ports.any_free()
    return {
        **os.environ,
        "PYTHONPATH": ".:gen",
        "ASSAY_POSTGRES_URL": catalog_url,
        "ASSAY_NATS_URL": nats_url,
        "ASSAY_LISTEN": f"127.0.0.1:{listen}",
        "ASSAY_METRICS_LISTEN": f"127.0.0.1:{ports.any_free({listen})}",
        "ASSAY_RUNNER_ADDRESS": "127.0.0.1:1",
        "ASSAY_REPORTING_ADDRESS": "127.0.0.1:1",
        "ASSAY_SCORING_ADDRESS": "127.0.0.1:1",
        "ASSAY_SERVICE_KEY": SERVICE_KEY,
        "ASSAY_JWT_ISSUERS": ISSUERS,
        "ASSAY_ENCRYPTION_KEYS": json.dumps({"1": base64.b64encode(b"1" * 32).decode()}),
        "ASSAY_PUBLIC_URL": "http://assay.test",
    }


@pytest.fixture(scope="module")
def service(environment: Environment) -> Iterator[subprocess.Popen[bytes]]:
    """The running service."""
    process = subprocess.Popen([sys.executable, "-m", "services.catalog"], env=environment)
    yield process
    process.kill()
    process.wait()


def admin(environment: Environment, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.catalog.admin", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def answered(environment: Environment, *arguments: str) -> dict[str, Any]:
    done = admin(environment, *arguments)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def total(environment: Environment, *metadata: tuple[str, str]) -> int:
    with grpc.insecure_channel(environment["ASSAY_LISTEN"]) as channel:
        stub = connections_pb2_grpc.ConnectionServiceStub(channel)
        answer = stub.ListConnections(pb.ListConnectionsRequest(), metadata=metadata, wait_for_ready=True, timeout=20)
        count: int = answer.total
        return count


def test_every_credential_of_bootstrap_works(environment: Environment, service: subprocess.Popen[bytes]) -> None:
    made = answered(environment, "bootstrap")
    assert set(made) == {
        *("workspace_id", "project_id", "token", "api_key", "secret_key", "jwt"),
        *("other_workspace_id", "other_token", "plain_token"),
    }
    for metadata in (
        (("authorization", f"Bearer {made['token']}"),),
        (("authorization", f"Bearer {made['jwt']}"),),
        (("cookie", f"auth={made['jwt']}"),),
        (("x-api-key", made["api_key"]), ("x-secret-key", made["secret_key"])),
        (("authorization", f"Bearer {made['other_token']}"),),
    ):
        assert total(environment, *metadata) == 0
    with pytest.raises(grpc.RpcError) as refused:
        total(environment, ("authorization", f"Bearer {made['plain_token']}"))
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert service.poll() is None


def test_single_credentials_are_made_and_revoked(environment: Environment, service: subprocess.Popen[bytes]) -> None:
    workspace = answered(environment, "workspace", "create", "--name", "w")["workspace_id"]
    assert answered(environment, "project", "create", "--workspace", workspace, "--name", "p")["project_id"]
    token = answered(environment, "token", "create", "--workspace", workspace, "--scopes", "studio")
    pair = answered(environment, "key", "create", "--workspace", workspace)
    assert total(environment, ("x-api-key", pair["api_key"]), ("x-secret-key", pair["secret_key"])) == 0
    answered(environment, "token", "revoke", "--id", token["credential_id"])
    with pytest.raises(grpc.RpcError) as refused:
        total(environment, ("authorization", f"Bearer {token['token']}"))
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert service.poll() is None


def test_a_jwt_says_what_it_was_made_for(environment: Environment) -> None:
    workspace = answered(environment, "workspace", "create", "--name", "w")["workspace_id"]
    token = answered(environment, "jwt", "create", "--workspace", workspace, "--scopes", "studio,other", "--days", "3")["token"]
    claims = jwt.decode(token, ISSUER_KEY, algorithms=["HS256"], issuer="assay")
    assert (claims["workspace_id"], claims["scopes"], claims["sub"]) == (workspace, ["studio", "other"], "admin")
    assert claims["exp"] - claims["iat"] == 3 * 86_400
    assert abs(claims["iat"] - time.time()) < 60


def test_nobody_judges_after_the_judge_was_unset(environment: Environment) -> None:
    workspace = answered(environment, "workspace", "create", "--name", "w")["workspace_id"]
    answer = answered(environment, "judge", "set", "--workspace", workspace, "--require")
    assert answer == {"workspace_id": workspace, "connection_id": None, "model": None, "require": True}
    assert answered(environment, "secrets", "reseal") == {"resealed": 0}


def test_nobody_plays_the_user_after_the_simulator_was_cleared(environment: Environment) -> None:
    workspace = answered(environment, "workspace", "create", "--name", "w")["workspace_id"]
    answer = answered(environment, "simulator", "clear", "--workspace", workspace)
    assert answer == {"workspace_id": workspace, "connection_id": None, "model": None}


def test_connections_that_a_workspace_falls_back_on_are_named(environment: Environment) -> None:
    workspace = answered(environment, "workspace", "create", "--name", "w")["workspace_id"]
    token = answered(environment, "token", "create", "--workspace", workspace)["token"]
    with grpc.insecure_channel(environment["ASSAY_LISTEN"]) as channel:
        request = pb.CreateConnectionRequest(name="c", kind=pb.Connection.openai, base_url="http://llm.test/v1")
        metadata = (("authorization", f"Bearer {token}"),)
        made = connections_pb2_grpc.ConnectionServiceStub(channel).CreateConnection(request, metadata=metadata, wait_for_ready=True)
    named = ("--workspace", workspace, "--connection", made.id)
    assert answered(environment, "default-connection", "set", *named) == {"workspace_id": workspace, "connection_id": made.id}
    answer = answered(environment, "simulator", "set", *named, "--model", "m")
    assert answer == {"workspace_id": workspace, "connection_id": made.id, "model": "m"}


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("project", "create", "--workspace", "01a20147-87cb-771f-9328-ddef9dd581df", "--name", "p"), 1, "workspace not found"),
        (("token", "revoke", "--id", "01a20147-87cb-771f-9328-ddef9dd581df"), 1, "credential not found"),
        (("token", "revoke", "--id", "none"), 2, "--id: must be a UUID"),
        (("token",), 2, "required"),
    ],
)
def test_a_refused_command_says_why(environment: Environment, arguments: tuple[str, ...], status: int, message: str) -> None:
    done = admin(environment, *arguments)
    assert (done.returncode, done.stdout, message in done.stderr) == (status, "", True)


def test_a_command_without_postgres_ends_with_the_fault(environment: Environment) -> None:
    began = time.monotonic()
    nowhere = f"postgresql://nobody@127.0.0.1:{ports.any_free()}/none"
    done = admin({**environment, "ASSAY_POSTGRES_URL": nowhere}, "workspace", "create", "--name", "w")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Postgres can't be reached" in done.stderr
    assert "refused" in done.stderr or "Connect call failed" in done.stderr
    assert time.monotonic() - began < 15


def test_missing_settings_are_all_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.catalog"], env={"PYTHONPATH": ".:gen"}, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert all(name in done.stderr for name in ("ASSAY_POSTGRES_URL", "ASSAY_SERVICE_KEY", "ASSAY_ENCRYPTION_KEYS"))


def test_the_service_ends_when_it_is_told_to(environment: Environment) -> None:
    taken = {int(environment[name].rpartition(":")[2]) for name in ("ASSAY_LISTEN", "ASSAY_METRICS_LISTEN")}
    listen = ports.any_free(taken)
    own = {**environment, "ASSAY_LISTEN": f"127.0.0.1:{listen}", "ASSAY_METRICS_LISTEN": ""}
    process = subprocess.Popen([sys.executable, "-m", "services.catalog"], env=own)
    with pytest.raises(grpc.RpcError):
        total(own)
    process.terminate()
    assert process.wait(20) == 0
