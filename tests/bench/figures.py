"""What was measured, beside what is aimed at."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One line of the table at the end. `aim` is empty where a figure only explains another."""

    case: str
    what: str
    measured: str
    aim: str = ""
    note: str = ""


def show(console: Console, figures: Sequence[Figure]) -> None:
    """Prints the table."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for name in ("", "what", "measured", "aim", "note"):
        table.add_column(name, justify="right" if name == "measured" else "left", no_wrap=name in {"", "measured"})
    for figure in figures:
        table.add_row(f"({figure.case})", figure.what, figure.measured, figure.aim, figure.note)
    console.print(table)


COMPARED = {"<=": operator.le, "<": operator.lt, ">": operator.gt}


def held(figure: Figure) -> bool:
    """Whether an aim was reached: `0` and words are met exactly, `<= 15 s`, `< 15 s` and `> 0` are bounds."""
    sign, _, bound = figure.aim.partition(" ")
    if sign in COMPARED:
        return bool(COMPARED[sign](float(figure.measured.split()[0]), float(bound.split()[0])))
    return not figure.aim or figure.measured.split()[0] == figure.aim


def missed(console: Console, figures: Sequence[Figure]) -> bool:
    """Whether any aim was missed, after naming each that was."""
    short = [figure for figure in figures if not held(figure)]
    for figure in short:
        console.print(f"missed: {figure.case}, {figure.what.strip()}: {figure.measured}, not {figure.aim} {figure.note}")
    return bool(short)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of an ordered sample does not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def by_name(values: dict[str, float], unit: str, digits: int = 0) -> str:
    """`runner-1 120 MB, scoring-1 150 MB`: the largest first."""
    ordered = sorted(values.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in ordered) + f" {unit}"
