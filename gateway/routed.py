"""Which gRPC services the gateway serves, read from the descriptor set, so that no list is kept beside the protos."""

import re
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import descriptor_pb2

# assay.<service>.v1: internal packages (assay.<service>.internal.v1), grpc.health and reflection don't match.
PUBLIC_PACKAGE = re.compile(r"assay\.(?P<backend>[a-z]+)\.v1")


@dataclass(frozen=True)
class Method:
    """One RPC of a public service."""

    path: str
    """As gRPC puts it into `:path`: /assay.runner.v1.RunService/StartRun."""
    streams: bool
    """Whether it answers with a stream (events, exports)."""
    uploads: bool
    """Whether its body is a file rather than JSON."""


@dataclass(frozen=True)
class Service:
    """A public gRPC service."""

    name: str
    """Full name: assay.runner.v1.RunService."""
    backend: str
    """Name of the cluster that serves it: runner."""
    methods: tuple[Method, ...]


def read_services(descriptor: Path) -> list[Service]:
    """The public services of a FileDescriptorSet file, by name.

    Raises OSError if it can't be read, ValueError if it holds no public service.
    """
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptor.read_bytes()).file
    services = [_service(file, service) for file in files if PUBLIC_PACKAGE.fullmatch(file.package) for service in file.service]
    if not services:
        raise ValueError(f"{descriptor} holds no service of a package assay.<service>.v1")
    return sorted(services, key=lambda service: service.name)


def _service(file: descriptor_pb2.FileDescriptorProto, service: descriptor_pb2.ServiceDescriptorProto) -> Service:
    name = f"{file.package}.{service.name}"
    uploads = {f".{file.package}.{message.name}" for message in file.message_type if _holds_a_file(message)}
    methods = (Method(f"/{name}/{rpc.name}", rpc.server_streaming, rpc.input_type in uploads) for rpc in service.method)
    return Service(name, file.package.split(".")[1], tuple(methods))


def _holds_a_file(message: descriptor_pb2.DescriptorProto) -> bool:
    return any(field.type_name == ".google.api.HttpBody" for field in message.field)
