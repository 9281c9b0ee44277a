"""What a connection may be."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.catalog.entities.connections import Connection, Settings, secret_faults
from shared.errors import Invalid
from shared.ids import new_id

THEN, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def settings(**said: Any) -> Settings:
    return Settings(**{"name": "llm", "kind": "openai", "base_url": "https://llm.test/v1", **said})


def a_connection(**said: Any) -> Connection:
    return Connection(new_id(), new_id(), settings(**said), None, 1, THEN, THEN)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"base_url": "http://10.0.0.1:8000/v1"},
        {"base_url": "https://llm.test/openai/v1"},
        {"kind": "http", "base_url": "http://target.test/answer?mode=short"},
        {"kind": "grpc", "base_url": "grpc://target.test:50051"},
        {"kind": "grpc", "base_url": "https://target.test"},
        {"kind": "builtin", "base_url": None, "model": "answerer-basic"},
        {"name": " " * 255},
        {"max_concurrency": 10_000, "requests_per_minute": 1, "timeout_ms": 600_000},
    ],
)
def test_these_settings_are_right(said: dict[str, Any]) -> None:
    assert settings(**said).faults() == {}


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "é" * 256}),
        ("kind", {"kind": ""}),
        ("kind", {"kind": "smtp"}),
        ("base_url", {"base_url": None}),
        ("base_url", {"base_url": "llm.test/v1"}),
        ("base_url", {"base_url": "//llm.test/v1"}),
        ("base_url", {"base_url": "http:///v1"}),
        ("base_url", {"base_url": "ftp://llm.test/v1"}),
        ("base_url", {"base_url": "http://llm.test:70000/v1"}),
        ("base_url", {"base_url": "http://[::1/v1"}),
        ("base_url", {"base_url": "http://user@llm.test/v1"}),
        ("base_url", {"base_url": "http://user:word@llm.test/v1"}),
        ("base_url", {"base_url": "http://llm.test/v1#"}),
        ("base_url", {"base_url": "http://llm.test/ v1"}),
        ("base_url", {"base_url": "http://llm.test/v1\n"}),
        ("base_url", {"base_url": f"http://{'l' * 2048}.test/v1"}),
        ("base_url", {"base_url": "http://llm.test"}),
        ("base_url", {"base_url": "http://llm.test/v1/chat"}),
        ("base_url", {"base_url": "http://llm.test/v1?key=1"}),
        ("base_url", {"kind": "http", "base_url": "grpc://target.test"}),
        ("base_url", {"kind": "builtin", "model": "echo"}),
        ("model", {"kind": "builtin", "base_url": None}),
        ("model", {"kind": "builtin", "base_url": None, "model": "gpt"}),
        ("model", {"model": "m" * 256}),
        ("max_concurrency", {"max_concurrency": 0}),
        ("max_concurrency", {"max_concurrency": 10_001}),
        ("requests_per_minute", {"requests_per_minute": 0}),
        ("timeout_ms", {"timeout_ms": 0}),
        ("timeout_ms", {"timeout_ms": 600_001}),
    ],
)
def test_each_wrong_setting_is_named(field: str, said: dict[str, Any]) -> None:
    assert list(settings(**said).faults()) == [field]


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        settings(name="", base_url=None, timeout_ms=-1).checked()
    assert set(refused.value.fields) == {"name", "base_url", "timeout_ms"}


def test_an_openai_address_loses_its_trailing_slash() -> None:
    assert settings(base_url="https://llm.test/v1/").checked().base_url == "https://llm.test/v1"


def test_an_http_address_is_kept_as_it_is() -> None:
    assert settings(kind="http", base_url="https://llm.test/a/").checked().base_url == "https://llm.test/a/"


def test_a_change_makes_a_new_revision() -> None:
    before = a_connection()
    after = before.changed({"model": "large"}, NOW)
    assert after == replace(before, settings=replace(before.settings, model="large"), revision=2, updated_at=NOW)


def test_a_change_must_fit_what_is_there() -> None:
    with pytest.raises(Invalid) as refused:
        a_connection().changed({"kind": "builtin"}, NOW)
    assert set(refused.value.fields) == {"base_url", "model"}


@pytest.mark.parametrize("key", ["with space", "line\nbreak", "k" * 4097, "\x7f"])
def test_a_key_that_is_no_header_is_refused(key: str) -> None:
    assert list(secret_faults(key)) == ["api_key"]


@pytest.mark.parametrize("key", [None, "", "sk-123", "k" * 4096])
def test_these_keys_are_right(key: str | None) -> None:
    assert secret_faults(key) == {}
