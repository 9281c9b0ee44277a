"""What a JSON body may hold: everything else is 400, in one sentence that names the field."""

import json
import random
from typing import Any

import pytest

from tests.gateway.backend import Log
from tests.gateway.envoy import JSON, Gateway, exchange

SETS = "/v1/evaluation/test-sets"
CASES = f"{SETS}/s1/cases"
NOT_JSON = "the body is not valid JSON"


@pytest.mark.parametrize(
    ("path", "body", "fault"),
    [
        (SETS, '{"name": 5}', "name: must be a string"),
        (SETS, '{"name": true}', "name: must be a string"),
        (SETS, '{"name": ["x"]}', "name: must be a string"),
        (SETS, '{"name": {}}', "name: must be a string"),
        (SETS, '{"mode": "nope"}', "mode: must be one of scenario, independent"),
        (SETS, '{"mode": "SCENARIO"}', "mode: must be one of scenario, independent"),
        (SETS, '{"mode": "MODE_UNSPECIFIED"}', "mode: must be one of scenario, independent"),
        (SETS, '{"mode": ""}', "mode: must be one of scenario, independent"),
        (SETS, '{"mode": 1}', "mode: must be one of scenario, independent"),
        (SETS, '{"mode": 99}', "mode: must be one of scenario, independent"),
        (SETS, '{"mode": ["scenario"]}', "mode: must be one of scenario, independent"),
        (CASES, '{"order": "1"}', "order: must be a whole number"),
        (CASES, '{"order": 1.5}', "order: must be a whole number"),
        (CASES, '{"order": true}', "order: must be a whole number"),
        (CASES, '{"order": 3000000000}', "order: invalid value 3000000000"),
        (CASES, '{"order": 1e30}', "order: is out of range"),
        (CASES, '{"keywords": "a"}', "keywords: must be an array"),
        (CASES, '{"keywords": {}}', "keywords: must be an array"),
        (CASES, '{"keywords": ["a", 1]}', "keywords[1]: must be a string"),
        (CASES, '{"keywords": ["a", null]}', "keywords[1]: must be a string"),
        (CASES, '{"keywords": [["a"]]}', "keywords[0]: must be a string"),
        (CASES, '{"passing_score": "0.5"}', "passing_score: must be a number"),
        (CASES, '{"passing_score": "NaN"}', "passing_score: must be a number"),
        (CASES, '{"passing_score": true}', "passing_score: must be a number"),
        (CASES, '{"passing_score": 1e400}', "Number exceeds the range of double."),
        ("/v1/contexts", '{"parameters": []}', "parameters: must be an object"),
        ("/v1/contexts", '{"parameters": "x"}', "parameters: must be an object"),
        (SETS, '{"name": "\\ud800"}', "name: must not contain a lone surrogate"),
        (SETS, '{"name": "\\udc00"}', "name: must not contain a lone surrogate"),
        (SETS, '{"unknown": {"deep": ["\\ud800x"]}}', "unknown.deep[0]: must not contain a lone surrogate"),
        (SETS, b'{"name": "\xff"}', "Encountered non UTF-8 code points."),
        (SETS, b'{"name": "\xed\xa0\x80"}', "Encountered non UTF-8 code points."),
        (SETS, "[]", "the body must be an object"),
        (SETS, '"x"', "the body must be an object"),
        (SETS, "null", "the body must be an object"),
        (SETS, "5", "the body must be an object"),
        (SETS, "{", f"{NOT_JSON}: it ends too early"),
        (SETS, '{"name": "x', f"{NOT_JSON}: it ends too early"),
        (SETS, '{"name": "x"', f"{NOT_JSON}: it ends too early"),
        (SETS, "   ", f"{NOT_JSON}: it ends too early"),
        (SETS, '{"name": "x",}', f"{NOT_JSON} at byte 14"),
        (SETS, "{'name': 'x'}", f"{NOT_JSON} at byte 2"),
        (SETS, '{name: "x"}', f"{NOT_JSON} at byte 2"),
        (SETS, '{"name" "x"}', f"{NOT_JSON} at byte 9"),
        (SETS, '{"name": "x"} y', f"{NOT_JSON} at byte 15"),
        (SETS, '{"name": "x"}{}', f"{NOT_JSON} at byte 14"),
        (SETS, '{"name": "\\x"}', f"{NOT_JSON} at byte 11"),
        (SETS, '{"name": "\\u12g4"}', f"{NOT_JSON} at byte 11"),
        (SETS, '{"name": "a\nb"}', f"{NOT_JSON} at byte 12"),
        (SETS, '{"name": "a\0b"}', f"{NOT_JSON} at byte 12"),
        (SETS, '{"unknown": NaN}', f"{NOT_JSON} at byte 13"),
        (SETS, '{"unknown": -Infinity}', f"{NOT_JSON} at byte 14"),
        (SETS, '{"unknown": 01}', f"{NOT_JSON} at byte 13"),
        (SETS, '{"unknown": 1.}', f"{NOT_JSON} at byte 15"),
        (SETS, '{"unknown": .5}', f"{NOT_JSON} at byte 13"),
        (SETS, '{"unknown": 1e}', f"{NOT_JSON} at byte 15"),
        (SETS, '{"unknown": +1}', f"{NOT_JSON} at byte 13"),
        (SETS, '{"unknown": True}', f"{NOT_JSON} at byte 13"),
        (SETS, '{"unknown": nul}', f"{NOT_JSON} at byte 13"),
        (SETS, '{"unknown": [1,]}', f"{NOT_JSON} at byte 16"),
        (SETS, '{"unknown": [1 2]}', f"{NOT_JSON} at byte 16"),
        (SETS, '{"unknown": 1 /* one */}', f"{NOT_JSON} at byte 15"),
        (SETS, '\ufeff{"name": "x"}', f"{NOT_JSON} at byte 1"),
        (SETS, '{"name": "x"}'.encode("utf-16"), f"{NOT_JSON} at byte 1"),
    ],
)
def test_a_wrong_body_is_refused_in_one_sentence_that_names_the_field(
    gateway: Gateway, seen: Log, path: str, body: str | bytes, fault: str
) -> None:
    assert gateway.send("POST", path, body).refusal == (400, 3, fault)
    assert seen.calls == []


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"name": "x"}', "x"),
        (' \t\r\n{ "name" : "x" } \n', "x"),
        ('{"name": "x", "unknown": {"a": [1, -0, 1.5e-3, 0.0, 1E+2, true, false, null, {}, [], "\\/\\b\\f"]}}', "x"),
        ('{"name": "\\ud83d\\ude00 \\u00e9 \\" \\\\"}', '😀 é " \\'),
        ('{"name": "ü 日本 😀"}', "ü 日本 😀"),
        ('{"name": "a\\nb"}', "a\nb"),
        ('{"na\\u006de": "x"}', "x"),
        ('{"name": "a", "name": "b"}', "b"),
        ('{"name": "a\\u0000b"}', "a\0b"),  # the services refuse it, with the field's path in the details
        ('{"name": null, "context_id": null, "mode": null, "description": null}', ""),
        ('{"": 1, "name": "x"}', "x"),
        ("{}", ""),
        ("", ""),
    ],
)
def test_a_right_body_arrives(gateway: Gateway, seen: Log, body: str, name: str) -> None:
    assert gateway.send("POST", SETS, body).status == 201
    assert seen.last.request.name == name


@pytest.mark.parametrize("field", ["test_method", "order", "passing_score", "keywords", "file_url"])
def test_null_means_absent(gateway: Gateway, seen: Log, field: str) -> None:
    gateway.send("POST", CASES, json.dumps({field: None}))
    assert [found.name for found, _ in seen.last.request.ListFields()] == ["test_set_id"]


@pytest.mark.parametrize(("body", "given"), [('{"keywords": null}', False), ('{"keywords": []}', True), ("{}", False)])
def test_an_update_tells_an_empty_list_from_an_absent_one(gateway: Gateway, seen: Log, body: str, *, given: bool) -> None:
    gateway.send("PUT", f"{CASES}/c1", body)
    assert seen.last.request.HasField("keywords") is given


def test_any_json_may_stand_where_the_proto_says_so(gateway: Gateway, seen: Log) -> None:
    gateway.send("PUT", f"{CASES}/c1", '{"keywords": [1, null, "a", {"b": [true]}]}')
    assert [value.WhichOneof("kind") for value in seen.last.request.keywords.values] == [
        "number_value",
        "null_value",
        "string_value",
        "struct_value",
    ]


@pytest.mark.parametrize("body", ['{"order": 7}', '{"order": 7.0}', '{"order": 70e-1}'])
def test_a_whole_number_may_be_written_in_any_way(gateway: Gateway, seen: Log, body: str) -> None:
    assert gateway.send("POST", CASES, body).status == 200
    assert seen.last.request.order == 7


@pytest.mark.parametrize("key", ["test_set_id", "test\\u005fset_id", "\\u0074est_set_id"])
def test_a_body_cannot_change_what_the_path_says(gateway: Gateway, seen: Log, key: str) -> None:
    assert gateway.send("POST", CASES, f'{{"{key}": "other", "question": "q"}}').status == 200
    assert (seen.last.request.test_set_id, seen.last.request.question) == ("s1", "q")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_ends_at_32_in_an_unknown_field_too(gateway: Gateway, opening: str, closing: str) -> None:
    def nested(depth: int) -> str:
        return f'{{"unknown": {opening * (depth - 1)}1{closing * (depth - 1)}}}'

    assert gateway.send("POST", SETS, nested(32)).status == 201
    status, _, message = gateway.send("POST", SETS, nested(33)).refusal
    assert status == 400
    assert message.endswith("is nested deeper than 32")
    assert gateway.send("POST", SETS, nested(500_000)).status == 400


def test_brackets_in_strings_are_no_nesting(gateway: Gateway) -> None:
    assert gateway.send("POST", SETS, json.dumps({"name": '[{"' * 100})).status == 201


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"])
def test_a_body_is_read_as_json_whatever_its_type(gateway: Gateway, seen: Log, content_type: str) -> None:
    gateway.send("POST", SETS, '{"name": "x"}', {"content-type": content_type})
    assert seen.last.request.name == "x"
    assert gateway.send("POST", SETS, "{'name': 'x'}", {"content-type": content_type}).status == 400


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_a_body_means_nothing_where_none_is_documented(gateway: Gateway, seen: Log, verb: str) -> None:
    assert gateway.send(verb, f"{SETS}/s1", '{"test_set_id": "other"').status < 300
    assert seen.last.request.test_set_id == "s1"


MUTATED = (
    '{"name": "a\\u00e9\\n\\"x", "u": [1, 2.5, -3e+4, true, false, null, {"k": "v"}, []]}',
    '{"a":{"b":[{},[[]],"\\ud83d\\ude00"]},"name":"x"}',
    '{"u": -0.0e-0, "v": "\\/\\b\\f\\r\\t\\\\"}',
)
LETTERS = "{}[]\",:\\ \n\t0129eE+-.truefalsnuabd/\0\x1f\x7fé😀'NI"


def _mutated(chance: random.Random) -> str:
    letters = list(chance.choice(MUTATED))
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(letters))
        letters[at : at + chance.randint(0, 1)] = chance.choice(["", *LETTERS])
    return "".join(letters)


def _is_an_object(text: str) -> bool:
    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        parsed = json.loads(text, parse_constant=refuse)
        json.dumps(parsed, ensure_ascii=False).encode()  # fails for a lone surrogate
    except ValueError:
        return False
    return isinstance(parsed, dict)


def test_what_python_reads_strictly_is_what_passes(gateway: Gateway) -> None:
    chance = random.Random(7)  # noqa: S311 no secret
    connection = gateway.connect()
    for text in (_mutated(chance) for _ in range(800)):
        answer = exchange(connection, "POST", SETS, text, JSON)
        assert answer.status in (201, 400), text
        if b"name: " not in answer.body and b"mode: " not in answer.body:
            assert (answer.status == 201) is _is_an_object(text), (text, answer.body)
    connection.close()
