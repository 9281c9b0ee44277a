"""What the running stack answers is what its OpenAPI document says: schemathesis asks every operation, with every kind of credentials."""

import json
import subprocess
from pathlib import Path

import pytest

from deploy.local.binaries import ROOT, script
from tests.suite.client import Client
from tests.suite.conftest import Credentials

# Left out: a wrong method is 404 here, not 405; and the schemas can't say every rule, so that a valid body may be 400.
UNASKED = "unsupported_method,positive_data_acceptance"


def _asked(credentials: Credentials, kind: str) -> list[str]:
    headers: dict[str, str] = getattr(credentials, kind)
    return [word for name, value in headers.items() for word in ("-H", f"{name.title()}: {value}")]


def _schemathesis(credentials: Credentials, kind: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    limits = ["--generation-deterministic", "--generation-with-security-parameters", "false", "--max-examples", "1", "--no-color"]
    checks = ["--checks", "all", "--exclude-checks", UNASKED, "--continue-on-failure", "--warnings", "off", "--workers", "2"]
    command = [script("schemathesis"), "run", f"{credentials.url}/openapi.json", *_asked(credentials, kind), *limits, *checks, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.timeout(660)
@pytest.mark.parametrize(
    ("kind", "phases"),
    [("bearer", "coverage"), ("bearer", "fuzzing,stateful"), ("pair", "fuzzing"), ("cookie", "fuzzing"), ("jwt_bearer", "fuzzing")],
)
def test_every_operation_answers_as_documented(credentials: Credentials, tmp_path: Path, kind: str, phases: str) -> None:
    done = _schemathesis(credentials, kind, tmp_path, "--phases", phases)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
def test_the_document_and_its_page_need_no_credentials(anonymous: Client, path: str) -> None:
    assert anonymous.get(path).status == 200


def test_what_is_served_is_what_make_openapi_writes(anonymous: Client) -> None:
    command = ["make", "-s", "-C", str(ROOT), "openapi"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    served = anonymous.get("/openapi.json")
    assert served.body == (ROOT / "gen" / "openapi.json").read_bytes()
    assert json.loads(served.body)["openapi"].startswith("3.1.")
