"""What `.local/env` says, and what every service is told."""

import json
import subprocess
from pathlib import Path

import pytest

from deploy.local import plan, programs
from deploy.local.environment import Topology, load_secrets, shell_text
from deploy.local.files import Folders, socket_folder, write_text
from deploy.local.programs import Program
from deploy.local.settings import Settings, parse_env_file

CREDENTIALS = dict.fromkeys(
    ["token", "api_key", "secret_key", "jwt", "project_id", "workspace_id", "other_workspace_id", "other_token", "plain_token"], "x"
)


def a_topology(folder: Path, settings: Settings | None = None) -> Topology:
    settings = settings or Settings()
    folders = Folders(folder)
    folders.make()
    return plan.topology(folders, settings, plan.choose_ports(settings, {}, running=False), folders.run)


@pytest.mark.parametrize("value", ["plain", "two words", "it's", 'say "x"', "$HOME `id` \\", "50%", ""])
def test_a_shell_that_sources_the_file_gets_the_value_back(tmp_path: Path, value: str) -> None:
    file = tmp_path / "env"
    write_text(file, shell_text({"ASSAY_X": value}))
    sourced = subprocess.run(["sh", "-c", f'. {file}; printf %s "$ASSAY_X"'], capture_output=True, text=True, check=True)
    assert sourced.stdout == value
    assert parse_env_file(file.read_text()) == {"ASSAY_X": value}


def test_the_exported_names_are_the_documented_ones(tmp_path: Path) -> None:
    topology = a_topology(tmp_path)
    exported = topology.exported(CREDENTIALS, Folders(tmp_path))
    assert list(exported) == [
        *("ASSAY_URL", "ASSAY_GRPC", "ASSAY_TOKEN", "ASSAY_API_KEY", "ASSAY_SECRET_KEY", "ASSAY_JWT", "ASSAY_PROJECT_ID"),
        *("ASSAY_WORKSPACE_ID", "ASSAY_PIDS", "ASSAY_DATABASE_URL", "ASSAY_NATS_URL", "ASSAY_NATS_STORE"),
        *("ASSAY_OTHER_TOKEN", "ASSAY_PLAIN_TOKEN"),
    ]
    assert exported["ASSAY_URL"] == f"http://{exported['ASSAY_GRPC']}"


def test_secrets_are_made_once_and_for_our_eyes_only(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    first = load_secrets(folders)
    assert load_secrets(folders) == first
    assert folders.secrets.stat().st_mode & 0o077 == 0


def test_every_instance_of_a_service_is_dialled(tmp_path: Path) -> None:
    topology = a_topology(tmp_path, Settings(runners=2))
    told = topology.service_environment("reporting", "reporting")
    first, second = topology.ports["runner-1"], topology.ports["runner-2"]
    assert told["ASSAY_RUNNER_ADDRESS"] == f"ipv4:127.0.0.1:{first},127.0.0.1:{second}"
    assert told["ASSAY_CATALOG_ADDRESS"] == f"127.0.0.1:{topology.ports['catalog']}"


def test_a_service_knows_only_its_own_database_password(tmp_path: Path) -> None:
    topology = a_topology(tmp_path)
    told = json.dumps(topology.service_environment("runner", "runner-1"))
    passwords = topology.secrets["postgres_passwords"]
    assert [name for name, password in passwords.items() if password in told] == ["runner"]


def test_no_password_is_in_an_argument_list_or_in_the_supervisors_configuration(tmp_path: Path) -> None:
    topology = a_topology(tmp_path / "with space and 50%")
    folders = Folders(tmp_path / "with space and 50%")
    all_programs = plan.programs(folders, topology)
    text = programs.supervisor_config(all_programs, folders, folders.run / "s") + json.dumps([list(p.command) for p in all_programs])
    secrets = topology.secrets
    assert not [secret for secret in [secrets["nats_password"], *secrets["postgres_passwords"].values()] if secret in text]


def test_a_changed_setting_changes_the_configuration_of_that_program_only(tmp_path: Path) -> None:
    folders = Folders(tmp_path)

    def sections(level: str) -> set[str]:
        all_programs = [Program("a", ["true"], {"LEVEL": level}), Program("b", ["true"])]
        return set(programs.supervisor_config(all_programs, folders, folders.run / "s").split("[program:"))

    assert {section[0] for section in sections("info") ^ sections("debug")} == {"a"}


def test_a_programs_script_becomes_the_program_with_its_environment(tmp_path: Path) -> None:
    program = Program("odd", ["sh", "-c", 'printf %s "$X|$ASSAY_PROCESS|$ASSAY_STACK"'], {"X": 'it\'s 50% "so"'})
    file = tmp_path / "odd.sh"
    write_text(file, programs.script(program, tmp_path), mode=0o700)
    done = subprocess.run([str(file)], capture_output=True, text=True, check=True)
    assert done.stdout == f'it\'s 50% "so"|odd|{tmp_path}'


def test_sockets_move_to_a_short_folder_where_the_path_is_long(tmp_path: Path) -> None:
    deep = Folders(tmp_path / ("x" * 90))
    deep.make()
    first = socket_folder(deep, None)
    assert len(str(first)) < 80
    assert first.stat().st_mode & 0o077 == 0
    assert socket_folder(deep, str(first)) == first
    first.rmdir()
    second = socket_folder(deep, str(first))
    assert second != first
    second.rmdir()
