"""Environment → dataclass."""

from dataclasses import dataclass, field

import pytest

from shared import config


@dataclass(frozen=True)
class Settings:
    """A service's settings."""

    nats_url: str
    pool_size: int
    lease_seconds: float = 15.0
    allowed_networks: tuple[str, ...] = ()
    labels: tuple[str, ...] = field(default_factory=lambda: ("a",))


def test_every_kind_of_field_is_read() -> None:
    environ = {
        "ASSAY_NATS_URL": "nats://x",
        "ASSAY_POOL_SIZE": "7",
        "ASSAY_LEASE_SECONDS": "0.5",
        "ASSAY_ALLOWED_NETWORKS": " 127.0.0.0/8, ,::1/128 ",
        "PATH": "/bin",
    }
    assert config.read(Settings, environ) == Settings("nats://x", 7, 0.5, ("127.0.0.0/8", "::1/128"))


def test_what_is_absent_or_empty_has_its_default() -> None:
    assert config.read(Settings, {"ASSAY_NATS_URL": "n", "ASSAY_POOL_SIZE": "1", "ASSAY_LEASE_SECONDS": ""}) == Settings("n", 1)


def test_one_message_names_everything_that_is_missing_or_malformed() -> None:
    with pytest.raises(config.ConfigError) as caught:
        config.read(Settings, {"ASSAY_LEASE_SECONDS": "soon", "ASSAY_NATS_URL": ""})
    assert str(caught.value).split("; ") == [
        "ASSAY_NATS_URL is missing",
        "ASSAY_POOL_SIZE is missing",
        "ASSAY_LEASE_SECONDS is not a valid float: 'soon'",
    ]
