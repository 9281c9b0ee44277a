"""Stacks that live as long as a measurement."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deploy.local import postgres
from deploy.local.settings import Settings
from deploy.local.stack import Stack


@contextlib.contextmanager
def temporary_stack(settings: Settings, prefix: str) -> Iterator[Stack]:
    """One in a folder of its own, on any free ports; stopped and removed afterwards. Raises StackFailedError."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    stack = Stack(folder, settings)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
        shutil.rmtree(postgres.data_folder(folder / "postgres"), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
