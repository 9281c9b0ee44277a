"""What Lua learns from the protos."""

import pytest
from google.protobuf import descriptor_pb2, struct_pb2, text_format, timestamp_pb2

from gateway.routed import public_services
from gateway.shapes import Shapes, tables

PROTO = """
name: "a.proto" package: "assay.catalog.v1" syntax: "proto3"
message_type {
  name: "Thing"
  field { name: "display_name" json_name: "displayName" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "big" json_name: "big" number: 2 label: LABEL_OPTIONAL type: TYPE_INT64 }
  field { name: "parts" json_name: "parts" number: 3 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".assay.catalog.v1.Thing" }
  field { name: "labels" json_name: "labels" number: 4 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".assay.catalog.v1.Thing.LabelsEntry" }
  field { name: "color" json_name: "color" number: 5 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: ".assay.catalog.v1.Thing.Color" }
  field { name: "any" json_name: "any" number: 6 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".google.protobuf.Value" }
  field { name: "made" json_name: "made" number: 7 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" }
  nested_type {
    name: "LabelsEntry" options { map_entry: true }
    field { name: "key" json_name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" json_name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_BOOL }
  }
  enum_type { name: "Color" value { name: "NONE" number: 0 } value { name: "red" number: 1 } value { name: "blue" number: 2 } }
}
service {
  name: "ThingService"
  method {
    name: "MakeThing" input_type: ".assay.catalog.v1.Thing" output_type: ".assay.catalog.v1.Thing"
    options { [google.api.http] { post: "/things" body: "*" additional_bindings { put: "/things/{display_name}" body: "any" } } }
  }
}
"""


def _descriptor(text: str = PROTO) -> descriptor_pb2.FileDescriptorSet:
    descriptor = descriptor_pb2.FileDescriptorSet()
    for known in (struct_pb2.DESCRIPTOR, timestamp_pb2.DESCRIPTOR):
        known.CopyToProto(descriptor.file.add())
    text_format.Parse(text, descriptor.file.add())
    return descriptor


def test_every_kind_of_field_has_its_shape() -> None:
    assert Shapes(_descriptor()).describe("assay.catalog.v1.Thing") == {
        "display_name": {"kind": "string"},
        "displayName": {"kind": "string"},
        "big": {"kind": "long"},
        "parts": {"kind": "array", "item": {"kind": "object", "shape": "assay.catalog.v1.Thing"}},
        "labels": {"kind": "object", "item": {"kind": "boolean"}},
        "color": {"kind": "enum", "names": {"red": True, "blue": True}, "said": "red, blue"},
        "any": {},
        "made": {"kind": "string"},
    }


def test_every_binding_is_a_route() -> None:
    routes = public_services(_descriptor())[0].methods[0].routes
    assert [(route.verb, route.path, route.body) for route in routes] == [
        ("POST", "/things", "*"),
        ("PUT", "/things/{display_name}", "any"),
    ]


def test_tables_are_lua() -> None:
    descriptor = _descriptor()
    source = tables(descriptor, public_services(descriptor))
    assert '["path"]="/things",["shape"]="assay.catalog.v1.Thing",["fills"]="*"' in source
    assert '["names"]={["red"]=true,["blue"]=true}' in source


@pytest.mark.parametrize("package", ["assay.catalog.internal.v1", "grpc.health.v1", "assay.catalog.v2", "other.catalog.v1", ""])
def test_services_of_other_packages_are_not_public(package: str) -> None:
    with pytest.raises(ValueError, match="holds no service"):
        public_services(_descriptor(PROTO.replace('package: "assay.catalog.v1"', f'package: "{package}"')))


@pytest.mark.parametrize("path", ["/things/{display_name=**}", "/things/", "/things/*", "/things:make"])
def test_a_path_that_lua_could_not_match_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is not made of"):
        public_services(_descriptor(PROTO.replace('post: "/things"', f'post: "{path}"')))
