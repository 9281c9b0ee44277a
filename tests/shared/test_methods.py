"""What the protos say about RPCs."""

import pytest

import assay.catalog.internal.v1.catalog_pb2
import assay.catalog.v1.contexts_pb2
import assay.reporting.v1.reports_pb2
import assay.runner.v1.runs_pb2  # noqa: F401 registers the descriptors
from shared.methods import method_of


@pytest.mark.parametrize(
    ("path", "internal", "writes", "scope"),
    [
        ("/assay.catalog.v1.ContextService/GetContext", False, False, "studio"),
        ("/assay.catalog.v1.ContextService/CreateContext", False, True, "studio"),
        ("/assay.catalog.v1.ContextService/DeleteContext", False, True, "studio"),
        ("/assay.runner.v1.RunService/StartRun", False, True, "studio"),
        ("/assay.catalog.internal.v1.CatalogInternalService/Authenticate", True, True, ""),
        ("/assay.unknown.v1.X/Y", False, True, ""),
        ("/assay.catalog.v1.ContextService/Unknown", False, True, ""),
    ],
)
def test_methods_are_read_from_their_descriptors(path: str, internal: bool, writes: bool, scope: str) -> None:  # noqa: FBT001 columns of a table
    method = method_of(path)
    assert (method.internal, method.writes, method.scope, method.open) == (internal, writes, scope, False)


@pytest.mark.parametrize("path", ["/grpc.health.v1.Health/Check", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"])
def test_health_and_reflection_are_open(path: str) -> None:
    assert method_of(path).open


@pytest.mark.parametrize("path", ["/grpc.healthy/Check", "/xgrpc.health.v1.Health/Check", "/assay.grpc.health.v1.X/Y"])
def test_nothing_else_is_open(path: str) -> None:
    assert not method_of(path).open
