"""The training curve: ``curve.csv``, with a row for each validation."""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .tasks import Task

FILE = "curve.csv"


@dataclass(frozen=True, slots=True)
class CurveRow:
    """One validation.

    Attributes
    ----------
    step, patches
        Steps made; patches seen, over all processes.
    training, validation, baseline
        The task's figure (deviance as a share of kriging's; the reference's published loss): mean since
        the row before, on the validation volumes, and there of the untrained network's fill.
    seconds
        Of training so far, over all sessions.
    """

    step: int
    patches: int
    training: float
    validation: float
    baseline: float
    seconds: float

    def line(self, task: Task) -> str:
        """The row in words."""
        if not self.step:
            return f"before training: held out {self.validation:.3f}; making training data"
        return (
            f"step {self.step}, {self.patches} patches; {task.figure}: training {self.training:.3f}, "
            f"held out {self.validation:.3f} ({task.baseline} {self.baseline:.3f})"
        )


def append_row(row: CurveRow, folder: Path) -> None:
    """Add a row to ``curve.csv``."""
    path = folder / FILE
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(field.name for field in fields(CurveRow))
        writer.writerow(astuple(row))


def read_curve(folder: Path) -> list[CurveRow]:
    """The rows of ``curve.csv``; read by the columns' order, since older files have other headings."""
    with (folder / FILE).open(newline="") as file:
        _headings, *rows = csv.reader(file)
    return [
        CurveRow(int(step), int(patches), *map(float, figures)) for step, patches, *figures in rows
    ]
