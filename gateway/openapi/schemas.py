"""Messages as JSON Schemas: what may be sent, and what is answered."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2

from assay.common.v1 import http_pb2 as options
from gateway.openapi import comments
from gateway.routed import FILE
from gateway.shapes import LONG, SCALARS

Schema = dict[str, Any]
Message = descriptor_pb2.DescriptorProto
Field = descriptor_pb2.FieldDescriptorProto

PUBLIC = re.compile(r"assay\.[a-z]+\.v1\.")
REFERENCE = "#/components/schemas/"
WELL_KNOWN: Mapping[str, Schema] = {
    "google.protobuf.Value": {},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string"},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.StringValue": {"type": "string"},
    "google.protobuf.BoolValue": {"type": "boolean"},
    "google.protobuf.DoubleValue": {"type": "number"},
    "google.protobuf.Int32Value": {"type": "integer", "format": "int32"},
}
FORMATS = {Field.TYPE_INT32: "int32", Field.TYPE_DOUBLE: "double", Field.TYPE_FLOAT: "float"}


class Schemas:
    """The messages of a descriptor set. `components` holds those that were asked for."""

    def __init__(self, descriptor: descriptor_pb2.FileDescriptorSet) -> None:
        self.components: dict[str, Schema] = {}
        self.comments = comments.read(descriptor)
        self._messages: dict[str, Message] = {}
        self._enums: dict[str, Sequence[str]] = {}
        for file in descriptor.file:
            self._take(file.package, file.message_type, file.enum_type)
        public = [name for name in self._messages if PUBLIC.match(name)]
        self._counts = Counter(_short(name) for name in public)
        self._by_name = {self._name(message): message for message in public}

    def fields(self, message: str) -> Iterator[tuple[Field, str]]:
        """The fields of a message, each with its comment."""
        for field in self._messages[message].field:
            yield field, self.comments.get(f"{message}.{field.name}", "")

    def answer(self, message: str) -> Schema:
        """What is answered as this message."""
        if message in WELL_KNOWN:
            return dict(WELL_KNOWN[message])
        return self._component(message, self._name(message), asked=False)

    def request(self, message: str) -> Schema:
        """What may be sent as this message, where it is a part of a request."""
        if message in WELL_KNOWN:
            return dict(WELL_KNOWN[message])
        return self._component(message, f"{self._name(message)}Input", asked=True)

    def body(self, message: str, bound: Collection[str]) -> Schema:
        """What may be sent as the whole message, less the fields that the path fills."""
        name = self._name(message)
        self.components[name] = self._object(message, asked=True, but=bound)
        return {"$ref": REFERENCE + name}

    def field(self, field: Field, comment: str, *, asked: bool) -> Schema:
        """What a field holds, with its comment; in a request the limits that the comment names too."""
        schema = self._typed(field, comment, asked=asked)
        if asked and isinstance(schema.get("type"), str):
            schema |= _id_format(schema, field, comment)
            schema |= comments.limits(comment, schema["type"])
            schema |= _default(schema, comments.default(comment))
        return schema | ({"description": comment} if comment else {})

    def _component(self, message: str, name: str, *, asked: bool) -> Schema:
        if name not in self.components:
            self.components[name] = {}  # before its fields: messages may hold themselves
            self.components[name] = self._object(message, asked=asked)
        return {"$ref": REFERENCE + name}

    def _object(self, message: str, *, asked: bool, but: Collection[str] = ()) -> Schema:
        given = [(field, comment) for field, comment in self.fields(message) if field.name not in but]
        required = [field.json_name for field, comment in given if _is_needed(field, comment, asked=asked)]
        properties = {field.json_name: self.field(field, comment, asked=asked) for field, comment in given}
        if asked:
            properties = {name: schema if name in required else _or_null(schema) for name, schema in properties.items()}
        schema: Schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        return schema | {"description": self.comments.get(message, "")}

    def _typed(self, field: Field, comment: str, *, asked: bool) -> Schema:
        name = field.type_name.lstrip(".")
        if field.type == Field.TYPE_MESSAGE and self._messages[name].options.map_entry:
            return {"type": "object", "additionalProperties": self._item(self._messages[name].field[1], "", asked=asked)}
        item = self._item(field, comment, asked=asked)
        return {"type": "array", "items": item} if field.label == Field.LABEL_REPEATED else item

    def _item(self, field: Field, comment: str, *, asked: bool) -> Schema:
        name = field.type_name.lstrip(".")
        if documented := field.options.Extensions[options.documented_type]:
            return self._documented(documented, asked=asked)
        if field.type == Field.TYPE_ENUM:
            return {"type": "string", "enum": list(self._enums[name])}
        if field.type != Field.TYPE_MESSAGE:
            return _scalar(field, comment, asked=asked)
        if name == "google.protobuf.Value":
            return _value(comment)
        return self.request(name) if asked else self.answer(name)

    def _documented(self, text: str, *, asked: bool) -> Schema:
        def drawn(found: re.Match[str]) -> str:
            part = (self.request if asked else self.answer)(self._by_name[found[1]])
            return json.dumps(part["$ref"])

        schema: Schema = json.loads(re.sub(rf'"{REFERENCE}([\w.]+)"', drawn, text))
        return schema

    def _name(self, message: str) -> str:
        short = _short(message)
        return short if self._counts[short] == 1 else message.split(".")[1] + "." + short

    def _take(self, scope: str, messages: Sequence[Message], enums: Sequence[descriptor_pb2.EnumDescriptorProto]) -> None:
        self._enums |= {f"{scope}.{enum.name}": [value.name for value in enum.value if value.number] for enum in enums}
        for message in messages:
            self._messages[f"{scope}.{message.name}"] = message
            self._take(f"{scope}.{message.name}", message.nested_type, message.enum_type)


def is_file(field: Field) -> bool:
    """Whether a field is the body of an upload."""
    return field.type_name == f".{FILE}"


def _short(message: str) -> str:
    return PUBLIC.sub("", message)


def _is_needed(field: Field, comment: str, *, asked: bool) -> bool:
    """Whether a request must hold a field, or an answer always does."""
    if asked:
        return comments.is_required(comment)
    return not field.HasField("oneof_index") and re.search(r"\babsent\b", comment) is None


def _scalar(field: Field, comment: str, *, asked: bool) -> Schema:
    kind = SCALARS.get(field.type, LONG)
    if kind == LONG:
        return {"type": ["string", "integer"]} if asked else {"type": "string"}
    formats = {"format": FORMATS[field.type]} if field.type in FORMATS else {}
    if kind == "string" and comment.startswith("UUIDv7"):
        formats = {"format": "uuid"}
    return {"type": kind} | formats


def _id_format(schema: Schema, field: Field, comment: str) -> Schema:
    """Required ids are ours; one that is only told may be foreign, or empty."""
    is_ours = field.name.endswith("_id") and comments.is_required(comment)
    return {"format": "uuid"} if schema == {"type": "string"} and is_ours else {}


def _value(comment: str) -> Schema:
    types = comments.json_types(comment)
    if not types:
        return {}
    time = {"format": "date-time"} if types[0] == "string" and comment.endswith("UTC.") else {}
    return {"type": types[0] if len(types) == 1 else types} | time


def _default(schema: Schema, text: str | None) -> Schema:
    """A default that is a value of the schema; "what the connection allows" is none."""
    if text is None or schema["type"] not in ("string", "integer", "number", "boolean"):
        return {}
    if schema["type"] == "string":
        return {"default": text} if text in schema.get("enum", ()) else {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return {"default": value}


def _or_null(schema: Schema) -> Schema:
    """In a body null says the same as an absent key."""
    if "$ref" in schema:
        return {"anyOf": [{"$ref": schema["$ref"]}, {"type": "null"}]} | {key: schema[key] for key in schema if key != "$ref"}
    if "type" not in schema:
        return schema
    types = [schema["type"]] if isinstance(schema["type"], str) else list(schema["type"])
    nullable = schema | {"type": [*types, *([] if "null" in types else ["null"])]}
    return nullable | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})
