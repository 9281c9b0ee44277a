"""What the protos say about an RPC: whether it is internal, whether it writes, which scope it needs."""

import functools
from dataclasses import dataclass

from google.api import annotations_pb2
from google.protobuf import descriptor_pool

from assay.common.v1 import scope_pb2

OPEN_PREFIXES = ("/grpc.health.v1.", "/grpc.reflection.")


@dataclass(frozen=True)
class Method:
    """One RPC."""

    path: str
    internal: bool
    writes: bool
    scope: str

    @property
    def open(self) -> bool:
        """Whether it answers without credentials; none of these is ever routed by the gateway."""
        return self.path.startswith(OPEN_PREFIXES)


@functools.cache
def method_of(path: str) -> Method:
    """Reads the descriptor of `/package.Service/Method`; everything is a write unless its annotation says GET."""
    service_name, _, name = path.lstrip("/").partition("/")
    internal = ".internal." in service_name
    try:
        service = descriptor_pool.Default().FindServiceByName(service_name)
        found = service.methods_by_name[name]
    except KeyError:
        return Method(path, internal, writes=True, scope="")
    rule = found.GetOptions().Extensions[annotations_pb2.http]
    scope = service.GetOptions().Extensions[scope_pb2.required_scope]
    return Method(path, internal, rule.WhichOneof("pattern") != "get", scope)
