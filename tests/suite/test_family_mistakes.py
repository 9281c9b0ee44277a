"""Odd values in every field of every operation of families A, B, C and E: never a fault of ours, always an error of the contract's shape."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from deploy.local.binaries import ROOT
from gateway.routed import public_services, read_descriptor
from tests.suite.client import Client
from tests.suite.contract import is_uncouth
from tests.suite.family_scenes import FAMILY_OPERATIONS
from tests.suite.scenes import Operation, Scene
from tests.suite.test_families import spelled

ODD: tuple[Any, ...] = (None, -1, 1e300, "\0", "x" * 70_000, [], [None], [{"": {"a": [None]}}])
QUERIES = ("", "-1", "99999999999", "%00", "%ff", "[]")
TESTED = [operation for operation in FAMILY_OPERATIONS if operation.body]
LISTS = [operation for operation in FAMILY_OPERATIONS if operation.method == "GET"]


@cache
def fields() -> Mapping[tuple[str, str], list[str]]:
    """The fields of each operation's request, as JSON spells them."""
    descriptor = read_descriptor(ROOT / "gen" / "assay.pb")
    messages = {f"{file.package}.{message.name}": message for file in descriptor.file for message in file.message_type}
    found: dict[tuple[str, str], list[str]] = {}
    for service in public_services(descriptor):
        for method in service.methods:
            for route in method.routes:
                found[spelled(route.verb, route.path)] = _told(messages[method.request], route.path)
    return found


def _told(message: descriptor_pb2.DescriptorProto, path: str) -> list[str]:
    in_path = set(re.findall(r"{(\w+)}", path))
    return [field.json_name for field in message.field if field.name not in in_path]


@pytest.mark.parametrize("operation", TESTED, ids=str)
def test_no_odd_value_is_a_fault_of_ours(family_scene: Scene, operation: Operation) -> None:
    assert operation.body
    good = operation.body(family_scene.ids)
    assert isinstance(good, dict)
    uncouth = {}
    for name in {*fields()[spelled(operation.method, operation.path)], *good}:
        for value in ODD:
            answer = sent(family_scene.client, operation, family_scene, {**good, name: value})
            if fault := is_uncouth(answer):
                uncouth[name, repr(value)[:30]] = (fault, answer)
    assert not uncouth


def sent(client: Client, operation: Operation, scene: Scene, body: object) -> Any:
    send = {"POST": client.post, "PUT": client.put, "PATCH": client.patch}[operation.method]
    return send(operation.url(scene.ids), body)


@pytest.mark.parametrize("operation", LISTS, ids=str)
def test_no_odd_query_is_a_fault_of_ours(family_scene: Scene, operation: Operation) -> None:
    url = operation.url(family_scene.ids)
    begin = "&" if "?" in url else "?"
    uncouth = {}
    for name in fields()[spelled(operation.method, operation.path)]:
        for value in QUERIES:
            answer = family_scene.client.get(f"{url}{begin}{name}={value}")
            if fault := is_uncouth(answer):
                uncouth[name, value[:30]] = (fault, answer)
    assert not uncouth
