"""The model is built once, whole or not at all, whoever else builds it at the same time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.scoring import embedding, embedding_files
from services.scoring.embedding_files import NAME, EmbeddingUnavailableError, build, directory

BUILD = [sys.executable, "-m", "services.scoring.embedding", "build"]


def test_it_is_built_once(tmp_path: Path) -> None:
    first, second = build(tmp_path / "models"), build(tmp_path / "models")
    assert (first.made, second.made) == (True, False)
    assert sorted(file.name for file in first.folder.iterdir()) == ["model.onnx", "tokenizer.json"]
    assert 20e6 < (first.folder / "model.onnx").stat().st_size < 30e6


def test_two_processes_at_once_build_it_once(tmp_path: Path) -> None:
    environment = {**os.environ, "ASSAY_MODEL_DIR": str(tmp_path), "PYTHONPATH": "."}
    builders = [subprocess.Popen(BUILD, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = [builder.communicate()[0] for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0, 0]
    assert sum(": built in " in text for text in told) == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [NAME, f"{NAME}.lock"]


def test_the_command_says_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ASSAY_MODEL_DIR", str(tmp_path))
    (tmp_path / NAME).mkdir()
    assert embedding.main(["build"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / NAME}: already built, 0.0 MB\n"


def test_the_command_tells_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert embedding.main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_files, "PACKAGE_FILES", "nowhere")
    with pytest.raises(FileNotFoundError):
        build(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == [f"{NAME}.lock"]


def test_another_version_of_the_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_files, "MODEL_VERSION", "9.9")
    with pytest.raises(EmbeddingUnavailableError, match=r"9\.9 is needed, but 0\.1\.0 is installed"):
        embedding_files.package_folder()


@pytest.mark.parametrize(("value", "folder"), [("/models", "/models"), ("", ".local/models")])
def test_the_environment_names_the_folder(monkeypatch: pytest.MonkeyPatch, value: str, folder: str) -> None:
    monkeypatch.setenv("ASSAY_MODEL_DIR", value)
    assert directory() == Path(folder)
