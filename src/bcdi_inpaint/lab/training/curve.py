"""How a training went: the rows of its ``curve.csv``."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "curve.csv"


@dataclass(frozen=True, slots=True)
class CurveRow:
    """Where a training stands; one row of ``curve.csv``.

    Attributes
    ----------
    step, portions
        Steps made; portions seen, over all processes.
    training, validation, start
        What the network's course shows (deviance as a share of kriging's; the reference's published
        loss): mean since the last row, on held-out volumes, and there of what the network starts from.
    seconds
        Of training so far, over all sessions.
    """

    step: int
    portions: int
    training: float
    validation: float
    start: float
    seconds: float

    def line(self, shown: str, start: str) -> str:
        """The row in words; `shown` and `start` as in a `Course`."""
        if not self.step:
            return f"held out, before training: {self.validation:.3f}; making data"
        return (
            f"step {self.step:>6}  portions {self.portions:>8}  {shown}: "
            f"training {self.training:.3f}, held out {self.validation:.3f} ({start} {self.start:.3f})"
        )


def append_row(row: CurveRow, folder: Path) -> None:
    """Add a row to ``curve.csv``."""
    path = folder / FILE
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(CurveRow)])
        if new:
            writer.writeheader()
        writer.writerow(asdict(row))


def read_curve(folder: Path) -> list[CurveRow]:
    """The rows of ``curve.csv``."""
    with (folder / FILE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        CurveRow(**{f.name: _NUMBER[f.type](row[f.name]) for f in fields(CurveRow)}) for row in rows
    ]


_NUMBER: dict[Any, Callable[[str], Any]] = {"int": int, "float": float}
