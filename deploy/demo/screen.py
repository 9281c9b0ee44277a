"""Where the demo prints: a terminal or a log, and the live bars of each."""

import io
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO, cast

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.demo.events import Progress

WIDTH = 100
REFRESHES_PER_SECOND = 8
LOG_SECONDS = 1.0


class Trimmed(io.TextIOBase):
    """A log's stream: lines end where their text does, and empty lines come one at a time. Rich pads for a screen."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._after_empty = False

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has it writable; Python's own is not
        """The stream's, for what can be shown depends on it."""
        return self._stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        """Writes the text, trimmed; rich hands over whole lines."""
        for line in text.splitlines(keepends=True):
            trimmed = line.rstrip()
            if trimmed or not self._after_empty:
                self._stream.write(trimmed + "\n" * line.endswith("\n"))
            self._after_empty = not trimmed
        return len(text)

    def flush(self) -> None:
        """Flushes the stream."""
        self._stream.flush()


def open_console(stream: TextIO = sys.stdout) -> Console:
    """A console of at most 100 columns. Texts are printed as they are: answers may hold what looks like markup."""
    console = Console(file=stream, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.file = cast("TextIO", Trimmed(stream))
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


class Bars:
    """A bar per run that moves in place."""

    def __init__(self, console: Console, first: dict[str, Progress]) -> None:
        self._shown = dict(first)
        self._live = Live(self._table(), console=console, refresh_per_second=REFRESHES_PER_SECOND)

    def show(self, label: str, progress: Progress) -> None:
        """Moves a run's bar."""
        self._shown[label] = progress
        self._live.update(self._table())

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for label, progress in self._shown.items():
            bar = ProgressBar(total=max(progress.total, 1), completed=progress.done, width=30)
            table.add_row(Text(f"  {label}", "bold"), bar, f"{progress.done:>4}/{progress.total}", counted(progress))
        return table

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.__exit__(kind, error, trace)


class Lines:
    """A line a second at most, for logs: no cursor is moved, nothing is coloured."""

    def __init__(self, console: Console, first: dict[str, Progress], clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._shown = dict(first)
        self._printed_at = self._clock()
        self._printed = ""

    def show(self, label: str, progress: Progress) -> None:
        """Takes note; prints if a second has passed."""
        self._shown[label] = progress
        if self._clock() - self._printed_at >= LOG_SECONDS:
            self._print()

    def _print(self) -> None:
        self._printed_at = self._clock()
        line = "   ".join(f"{label} {progress.done}/{progress.total}" for label, progress in self._shown.items())
        if line != self._printed:
            self._console.print(f"  {line}", soft_wrap=True)
        self._printed = line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._print()


def bars(console: Console, first: dict[str, Progress]) -> Bars | Lines:
    """What suits the console."""
    return Bars(console, first) if console.is_terminal else Lines(console, first)


def counted(progress: Progress) -> Text:
    """The results so far, by what became of them."""
    parts = [(f"{progress.passed} passed", "green"), (f"   {progress.failed} failed", "red" if progress.failed else "dim")]
    if progress.errors:
        parts.append((f"   {progress.errors} errors", "yellow"))
    return Text.assemble(*parts)
