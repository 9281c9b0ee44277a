"""The command line on a stack that was never started, and the environment that the admin command is given."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.environment import inherited_environment, python_environment
from deploy.local.files import Folders, write_text
from deploy.local.programs import Program, script, script_path, told


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("status",), 0, "The stack is down; make up."),
        (("restart",), 1, "The stack is down; make up."),
        (("logs", "nope"), 1, "NAME is one of: runner-1."),
        (("admin", "bootstrap"), 1, "The stack is down; make up."),
        (("admin",), 0, "judge"),
        (("admin", "judge", "set", "--help"), 0, "--connection"),
        (("restart", "a", "b"), 2, ""),
    ],
)
def test_a_stack_that_is_down_answers_each_command(tmp_path: Path, words: tuple[str, ...], status: int, said: str) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "runner-1.log").write_text("ready\n")
    environment = {**inherited_environment(), **python_environment(), "ASSAY_LOCAL_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "deploy.local", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stdout) == (status, True), done


def test_what_a_program_was_told_is_read_from_its_script_as_it_was_written(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    assert told("catalog", folders) == {}
    environment = {"A": "it's = a 'b'\nexport C=d", "B": ""}
    script_path("catalog", folders).parent.mkdir()
    write_text(script_path("catalog", folders), script(Program("catalog", ["true"], environment), tmp_path))
    assert told("catalog", folders) == {**environment, "ASSAY_STACK": str(tmp_path), "ASSAY_PROCESS": "catalog"}
