"""JSON that may be null, as messages."""

import json
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct, Value

from shared.json_values import plain, struct, value

ANY: list[Any] = [
    None,
    True,
    False,
    0,
    3,
    -2,
    1.5,
    1e300,
    "",
    "text",
    [],
    {},
    [None],
    [[], {}],
    {"a": {"b": [1, None, {"c": False}]}, "d": ""},
]


@pytest.mark.parametrize("said", ANY, ids=json.dumps)
def test_any_json_is_a_message_and_back(said: Any) -> None:
    made = value(said)
    assert made.WhichOneof("kind") is not None
    assert json_format.MessageToDict(made) == said
    assert plain(made) == said
    assert plain(Value.FromString(made.SerializeToString())) == said


@pytest.mark.parametrize("said", [(), (1, ("a", None))])
def test_a_tuple_is_an_array(said: Any) -> None:
    assert value(said) == value(json.loads(json.dumps(said)))


def test_what_is_not_set_is_none() -> None:
    assert plain(Value()) is None


def test_numbers_without_a_fraction_are_integers_as_far_as_a_double_counts() -> None:
    found = plain(value([3.0, 2.0**53, 2.0**60]))
    assert [type(number) for number in found] == [int, int, float]


@pytest.mark.parametrize(("said", "shown"), [(None, {}), ({}, {}), ({"a": [1]}, {"a": [1]})])
def test_an_object_is_a_struct(said: Any, shown: Any) -> None:
    assert plain(struct(said)) == shown


def test_what_is_no_object_is_no_struct() -> None:
    with pytest.raises(json_format.ParseError):
        struct([1])
    assert struct(None) == Struct()
