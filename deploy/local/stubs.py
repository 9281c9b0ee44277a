"""Builds the generated stubs as a wheel for internal gRPC clients: `python -m deploy.local.stubs`."""

import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import version
from pathlib import Path

from deploy.local import binaries, protos

TARGET = binaries.ROOT / ".local" / "stubs"


def build() -> Path:
    """Makes .local/stubs/assay_stubs-<version>-py3-none-any.whl, which holds `assay/**` only, and returns its path."""
    project = tomllib.loads((binaries.ROOT / "pyproject.toml").read_text())["project"]
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(protos.GEN / "assay", folder / "assay", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "pyproject.toml").write_text(_project_text(project["version"], project["requires-python"]))
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(TARGET), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
    return max(TARGET.glob("*.whl"), key=lambda wheel: wheel.stat().st_mtime)


def _project_text(release: str, python: str) -> str:
    # The stubs refuse to work with a grpcio that is older than the one they were made with.
    pins = [f"grpcio>={version('grpcio')}", f"protobuf>={version('protobuf')}", "googleapis-common-protos"]
    return f"""
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "assay-stubs"
version = "{release}"
description = "gRPC stubs of Assay"
requires-python = "{python}"
license = "Apache-2.0"
dependencies = {pins}

[tool.setuptools.packages.find]
include = ["assay*"]

[tool.setuptools.package-data]
"*" = ["*.pyi", "py.typed"]
"""


if __name__ == "__main__":
    print(build().relative_to(binaries.ROOT))
