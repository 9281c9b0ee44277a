"""JSON schemas of others: what fits is told, and nothing is fetched for them."""

import socket
import threading

import pytest

from services.scoring.schemas import BadSchema, check, faults


def test_every_fault_is_told_with_its_path() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}, "required": ["b"]}
    assert sorted(faults(schema, {"a": [1, "x"]})) == [
        ("$", "'b' is a required property"),
        ("$.a[1]", "'x' is not of type 'integer'"),
    ]
    assert faults(schema, {"a": [1], "b": None}) == []


def test_definitions_in_the_schema_itself_are_found() -> None:
    schema = {"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}
    assert faults(schema, 5) == []
    assert [path for path, _ in faults(schema, "5")] == ["$"]


def test_nothing_is_fetched_for_a_schema() -> None:
    called = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            called.set()
            with connection:
                connection.recv(1_000)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}")

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/schema"
        with pytest.raises(BadSchema, match="which is not in it"):
            faults({"$ref": url}, 5)
        assert not called.is_set()
        with socket.create_connection(listener.getsockname()) as last:
            last.sendall(b"x")
            assert called.wait(5)


@pytest.mark.parametrize("schema", [True, {}, {"type": "string"}])
def test_a_schema_that_is_fine_is_no_fault(schema: object) -> None:
    check(schema)
