"""What a URL and its JSON body may hold, as Lua tables for lua/url.lua and lua/json.lua.

A field is {kind}, with `item` (array, object: what every element is), `shape` (object: name of a message) or `names`
and `said` (enum). No kind: any JSON. Kind `file`: bytes, not JSON.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2

from gateway.routed import Service

Field = Mapping[str, Any]
Message = descriptor_pb2.DescriptorProto
Type = descriptor_pb2.FieldDescriptorProto

SCALARS = {
    Type.TYPE_STRING: "string",
    Type.TYPE_BYTES: "string",
    Type.TYPE_BOOL: "boolean",
    Type.TYPE_DOUBLE: "number",
    Type.TYPE_FLOAT: "number",
    Type.TYPE_INT32: "integer",
    Type.TYPE_SINT32: "integer",
    Type.TYPE_SFIXED32: "integer",
    Type.TYPE_UINT32: "integer",
    Type.TYPE_FIXED32: "integer",
}
# 64-bit integers remain: JSON writes them as strings, and takes numbers.
LONG = "long"
WELL_KNOWN: Mapping[str, Field] = {
    "google.protobuf.Value": {},
    "google.protobuf.Struct": {"kind": "object"},
    "google.protobuf.ListValue": {"kind": "array"},
    "google.protobuf.Timestamp": {"kind": "string"},
    "google.protobuf.Duration": {"kind": "string"},
    "google.protobuf.StringValue": {"kind": "string"},
    "google.protobuf.BytesValue": {"kind": "string"},
    "google.protobuf.BoolValue": {"kind": "boolean"},
    "google.protobuf.DoubleValue": {"kind": "number"},
    "google.protobuf.FloatValue": {"kind": "number"},
    "google.protobuf.Int32Value": {"kind": "integer"},
    "google.protobuf.UInt32Value": {"kind": "integer"},
    "google.protobuf.Int64Value": {"kind": "long"},
    "google.protobuf.UInt64Value": {"kind": "long"},
    "google.api.HttpBody": {"kind": "file"},
}


class Shapes:
    """The messages of a descriptor set, described for Lua as far as they are asked for."""

    def __init__(self, descriptor: descriptor_pb2.FileDescriptorSet) -> None:
        self._messages: dict[str, Message] = {}
        self._enums: dict[str, Sequence[str]] = {}
        self.described: dict[str, dict[str, Field]] = {}
        for file in descriptor.file:
            self._take(file.package, file.message_type, file.enum_type)

    def describe(self, message: str) -> dict[str, Field]:
        """JSON key -> field of a message; both spellings of a key, since both are read."""
        if message not in self.described:
            fields = self.described[message] = {}  # before its fields: messages may hold themselves
            for field in self._messages[message].field:
                fields[field.name] = fields[field.json_name] = self._field(field)
        return self.described[message]

    def _take(self, scope: str, messages: Sequence[Message], enums: Sequence[descriptor_pb2.EnumDescriptorProto]) -> None:
        self._enums |= {f"{scope}.{enum.name}": [value.name for value in enum.value if value.number] for enum in enums}
        for message in messages:
            self._messages[f"{scope}.{message.name}"] = message
            self._take(f"{scope}.{message.name}", message.nested_type, message.enum_type)

    def _field(self, field: Type) -> Field:
        name = field.type_name.lstrip(".")
        if field.type == Type.TYPE_MESSAGE and self._messages[name].options.map_entry:
            return {"kind": "object", "item": self._item(self._messages[name].field[1])}
        item = self._item(field)
        return {"kind": "array", "item": item} if field.label == Type.LABEL_REPEATED else item

    def _item(self, field: Type) -> Field:
        name = field.type_name.lstrip(".")
        if field.type == Type.TYPE_ENUM:
            return {"kind": "enum", "names": dict.fromkeys(self._enums[name], True), "said": ", ".join(self._enums[name])}
        if field.type != Type.TYPE_MESSAGE:
            return {"kind": SCALARS.get(field.type, LONG)}
        if name in WELL_KNOWN:
            return WELL_KNOWN[name]
        self.describe(name)
        return {"kind": "object", "shape": name}


def tables(descriptor: descriptor_pb2.FileDescriptorSet, services: Sequence[Service]) -> str:
    """Lua source of the locals ROUTES and SHAPES."""
    shapes = Shapes(descriptor)
    routes = list(_routes(shapes, services))
    return f"local ROUTES = {_lua(routes)}\nlocal SHAPES = {_lua(shapes.described)}\n"


def _routes(shapes: Shapes, services: Sequence[Service]) -> Iterator[Field]:
    for method in (method for service in services for method in service.methods):
        fields = shapes.describe(method.request)
        whole = {"kind": "object", "shape": method.request}
        for route in method.routes:
            body = whole if route.body == "*" else fields.get(route.body)
            entry = {"verb": route.verb, "path": route.path, "shape": method.request, "fills": route.body, "body": body}
            yield entry | {"bulk": method.bulk}


def _lua(value: object) -> str:
    match value:
        case Mapping():
            return "{" + ",".join(f"[{_lua(key)}]={_lua(item)}" for key, item in value.items() if item is not None) + "}"
        case list():
            return "{" + ",\n".join(_lua(item) for item in value) + "}"
        case bool() | str():
            return json.dumps(value)
    raise TypeError(f"{value!r} has no place in a table")
