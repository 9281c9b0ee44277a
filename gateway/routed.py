"""Which gRPC services the gateway serves, read from the descriptor set, so that no list is kept beside the protos."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2

from assay.common.v1 import http_pb2 as options, scope_pb2

# assay.<service>.v1: internal packages (assay.<service>.internal.v1), grpc.health and reflection don't match.
PUBLIC_PACKAGE = re.compile(r"assay\.(?P<backend>[a-z]+)\.v1")
FILE = "google.api.HttpBody"
# The only kind of path that lua/url.lua can match; the protos use no other.
PLAIN_PATH = re.compile(r"(/[\w.-]+|/\{\w+\})+")


@dataclass(frozen=True)
class Route:
    """A URL of an RPC."""

    verb: str
    path: str
    """As annotated: /v1/contexts/{context_id}."""
    body: str
    """The field that the body fills; "*" for the whole message, "" where a body means nothing."""


@dataclass(frozen=True)
class Method:
    """One RPC of a public service."""

    path: str
    """As gRPC puts it into `:path`: /assay.runner.v1.RunService/StartRun."""
    request: str
    """Full name of the request message."""
    answer: str
    """Full name of the message that it answers with."""
    streams: bool
    """Whether it answers with many of them: a bare array; or, as HttpBody, events or an export."""
    uploads: bool
    """Whether its body is a file."""
    bulk: bool
    """Whether it takes or answers up to 10,000 cases at once."""
    routes: tuple[Route, ...]

    @property
    def endless(self) -> bool:
        """Whether nobody can say how long its answer takes."""
        return self.streams and self.answer == FILE

    @property
    def slow(self) -> bool:
        """Whether its body or its answer may be so large that it takes long."""
        return self.uploads or self.bulk or self.streams


@dataclass(frozen=True)
class Service:
    """A public gRPC service."""

    name: str
    """Full name: assay.runner.v1.RunService."""
    backend: str
    """Name of the cluster that serves it: runner."""
    scope: str
    """What credentials must carry; "": nothing."""
    methods: tuple[Method, ...]


def read_descriptor(path: Path) -> descriptor_pb2.FileDescriptorSet:
    """Parses a descriptor set. Raises OSError if it can't be read."""
    return descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())


def public_services(descriptor: descriptor_pb2.FileDescriptorSet) -> list[Service]:
    """The public services of a descriptor set, by name. Raises ValueError if there is none."""
    files = [file for file in descriptor.file if PUBLIC_PACKAGE.fullmatch(file.package)]
    uploads = {f".{file.package}.{message.name}" for file in files for message in file.message_type if _holds_a_file(message)}
    services = [_service(file.package, service, uploads) for file in files for service in file.service]
    if not services:
        raise ValueError("the descriptor set holds no service of a package assay.<service>.v1")
    return sorted(services, key=lambda service: service.name)


def _holds_a_file(message: descriptor_pb2.DescriptorProto) -> bool:
    return any(field.type_name == f".{FILE}" for field in message.field)


def _service(package: str, service: descriptor_pb2.ServiceDescriptorProto, uploads: Collection[str]) -> Service:
    name = f"{package}.{service.name}"
    methods = tuple(
        Method(
            path=f"/{name}/{rpc.name}",
            request=rpc.input_type.lstrip("."),
            answer=rpc.output_type.lstrip("."),
            streams=rpc.server_streaming,
            uploads=rpc.input_type in uploads,
            bulk=rpc.options.Extensions[options.bulk],
            routes=tuple(_routes(rpc)),
        )
        for rpc in service.method
    )
    return Service(name, package.split(".")[1], service.options.Extensions[scope_pb2.required_scope], methods)


def _routes(rpc: descriptor_pb2.MethodDescriptorProto) -> Iterator[Route]:
    rule = rpc.options.Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        verb = binding.WhichOneof("pattern")
        if verb:
            yield Route(verb.upper(), _path(binding, verb), binding.body)


def _path(binding: http_pb2.HttpRule, verb: str) -> str:
    path = str(getattr(binding, verb))
    if not PLAIN_PATH.fullmatch(path):
        raise ValueError(f"{path} is not made of /words and /{{fields}}")
    return path
