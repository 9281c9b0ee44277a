"""What a person may set, and what he is told when it cannot be used."""

from pathlib import Path

import pytest

from deploy.local.settings import InvalidSettingsError, Settings, parse, parse_env_file, read_settings


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("# a comment\n\n", {}),
        ("ASSAY_RUNNERS=2", {"ASSAY_RUNNERS": "2"}),
        ("export ASSAY_RUNNERS=2", {"ASSAY_RUNNERS": "2"}),
        ("ASSAY_LOG_LEVEL='debug'  # louder", {"ASSAY_LOG_LEVEL": "debug"}),
        ('ASSAY_X="two words"', {"ASSAY_X": "two words"}),
        ("ASSAY_X=a=b", {"ASSAY_X": "a=b"}),
        ("ASSAY_X=", {"ASSAY_X": ""}),
        ("ASSAY_X='it'\\''s'", {"ASSAY_X": "it's"}),
    ],
)
def test_an_env_file_is_read_as_a_shell_would(text: str, found: dict[str, str]) -> None:
    assert parse_env_file(text) == found


@pytest.mark.parametrize("line", ["ASSAY_RUNNERS", "1X=2", "a b=c", "X='open"])
def test_a_line_that_sets_nothing_is_named(line: str) -> None:
    with pytest.raises(InvalidSettingsError, match="line 2"):
        parse_env_file(f"ASSAY_OK=1\n{line}\n")


def test_nothing_set_is_one_of_each_and_open_to_loopback() -> None:
    settings = parse({})
    assert (settings.runners, settings.scorers, dict(settings.ports)) == (1, 1, {})
    assert settings.passed["ASSAY_ALLOWED_NETWORKS"] == "127.0.0.0/8,::1/128"
    assert settings.passed["ASSAY_LEASE_SECONDS"] == "15"


def test_ports_are_named_by_their_process() -> None:
    settings = parse({"ASSAY_GATEWAY_PORT": "9000", "ASSAY_RUNNER_1_METRICS_PORT": "9001", "ASSAY_NATS_PORT": ""})
    assert dict(settings.ports) == {"gateway": 9000, "runner-1-metrics": 9001}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ASSAY_RUNNERS", "0"),
        ("ASSAY_RUNNERS", "two"),
        ("ASSAY_SCORERS", "33"),
        ("ASSAY_GATEWAY_PORT", "65536"),
        ("ASSAY_GATEWAY_PORT", "-1"),
    ],
)
def test_a_number_that_cannot_be_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettingsError, match=name):
        parse({name: value})


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(InvalidSettingsError, match=r"ASSAY_GATEWAY_PORT.*ASSAY_RUNNERS.*ASSAY_SCORERS"):
        parse({"ASSAY_RUNNERS": "x", "ASSAY_SCORERS": "y", "ASSAY_GATEWAY_PORT": "z"})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("ASSAY_RUNNERS=2\nASSAY_SCORERS=3\n")
    settings = read_settings(file, {"ASSAY_RUNNERS": "4"})
    assert (settings.runners, settings.scorers) == (4, 3)


def test_a_missing_file_sets_nothing(tmp_path: Path) -> None:
    assert read_settings(tmp_path / ".env", {}) == Settings()


def test_services_are_told_our_variables_but_not_the_credentials_of_a_sourced_env() -> None:
    passed = parse({"ASSAY_RUN_RETENTION_DAYS": "30", "ASSAY_TOKEN": "secret", "HOME": "/root", "ASSAY_GATEWAY_PORT": "1"}).passed
    assert passed["ASSAY_RUN_RETENTION_DAYS"] == "30"
    assert not {"ASSAY_TOKEN", "HOME", "ASSAY_GATEWAY_PORT"} & passed.keys()
