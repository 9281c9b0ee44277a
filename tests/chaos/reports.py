"""How the programs speak, and the stack that each check hurts."""

import contextlib
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from deploy.local.settings import DEFAULTS, Settings
from deploy.local.stack import Stack
from tests.bench.figures import Figure, held, missed, show
from tests.chaos.site import Site
from tests.stacks import temporary_stack

WIDTH = 170


@dataclass
class Report:
    """What is said while it goes on, and the table at the end."""

    seed: int
    console: Console = field(default_factory=lambda: Console(markup=False, highlight=False, emoji=False, width=WIDTH))
    _began: float = field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        """One line, with the time."""
        self.console.print(f"{time.monotonic() - self._began:7.1f} s  {line}", soft_wrap=True)

    @contextlib.contextmanager
    def site(self, case: str, lease: float) -> Iterator[Site]:
        """A stack of its own with two runners and two scorers; its victims are chosen by the seed and the case alone."""
        self.say(f"{case} (seed {self.seed})")
        passed = {**DEFAULTS, "ASSAY_LEASE_SECONDS": f"{lease:g}"}
        with temporary_stack(Settings(runners=2, scorers=2, passed=passed), "assay-chaos-") as stack:
            yield Site(stack, random.Random(f"{self.seed} {case}"), self.say)  # noqa: S311 picks victims

    def keep_logs(self, stack: Stack, figures: Sequence[Figure]) -> None:
        """Keeps a stack's logs where an aim was missed."""
        if not all(map(held, figures)):
            kept = Path(tempfile.mkdtemp(prefix="assay-chaos-logs-"))
            shutil.copytree(stack.folders.logs, kept, dirs_exist_ok=True)
            self.say(f"  an aim was missed; logs: {kept}")

    def end(self, figures: Sequence[Figure]) -> int:
        """Prints the table; 1 if an aim was missed."""
        show(self.console, figures)
        return int(missed(self.console, figures))
