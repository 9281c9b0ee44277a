"""The first process of the images: what it understands, and what it refuses."""

import subprocess
import sys

import pytest

from deploy.docker.gateway import address, addresses
from deploy.docker.service import UnknownAddressError, role_url
from deploy.local.environment import inherited_environment, python_environment
from gateway.render import Address


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("catalog:5051", [Address("catalog", 5051)]),
        ("dns:///catalog.assay.svc.cluster.local:5051", [Address("catalog.assay.svc.cluster.local", 5051)]),
        ("ipv4:127.0.0.1:1,127.0.0.1:2", [Address("127.0.0.1", 1), Address("127.0.0.1", 2)]),
        ("[::1]:5051", [Address("::1", 5051)]),
    ],
)
def test_the_gateway_is_told_of_services_as_they_are_of_each_other(target: str, found: list[Address]) -> None:
    assert addresses(target) == found


@pytest.mark.parametrize("text", ["catalog", "catalog:", ":5051", "catalog:grpc", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not HOST:PORT"):
        address(text)


def test_each_schema_has_its_own_url() -> None:
    assert role_url("runner", ["catalog", "runner"], {"ASSAY_RUNNER_POSTGRES_URL": "a", "ASSAY_POSTGRES_URL": "b"}) == "a"


def test_for_one_schema_the_services_own_url_will_do() -> None:
    assert role_url("runner", ["runner"], {"ASSAY_POSTGRES_URL": "b"}) == "b"


def test_one_url_is_not_taken_for_several_schemas() -> None:
    with pytest.raises(UnknownAddressError, match="ASSAY_RUNNER_POSTGRES_URL is missing"):
        role_url("runner", ["catalog", "runner"], {"ASSAY_POSTGRES_URL": "b"})


def _run(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "deploy.docker.service", *words]
    return subprocess.run(command, env={**inherited_environment(), **python_environment()}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [[], ["envoy"], ["migrate", "gateway"]])
def test_what_it_does_not_know_is_answered_with_its_usage(words: list[str]) -> None:
    done = _run(*words)
    assert (done.returncode, done.stderr[:6]) == (2, "usage:")


def test_migrations_without_a_url_name_the_missing_variable() -> None:
    done = _run("migrate")
    assert (done.returncode, done.stderr) == (1, "ASSAY_CATALOG_POSTGRES_URL is missing\n")
