"""A table of figures: printed, in Markdown and in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.markup import escape

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

CEILING = "noise ceiling"
"""Name of the row of a perfect predictor."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Figures with the words that they need: what they show, and how to read them.

    The frame holds numbers, texts and what is missing. `figure` is the name of the picture that is drawn of it,
    without ending; such tables are too long for a terminal.
    """

    title: str
    note: str
    frame: pd.DataFrame
    figure: str = ""

    def texts(self) -> list[list[str]]:
        """Rows as they are printed, numbers with three decimal places."""
        return [[str(name), *map(_text, row)] for name, *row in self.frame.itertuples()]

    def markdown(self) -> str:
        """A Markdown section."""
        rows = [["", *self.frame.columns], ["---"] * (self.frame.shape[1] + 1), *self.texts()]
        lines = [f"### {self.title}", "", *([self.note, ""] if self.note else [])]
        return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"

    def show(self, console: Console) -> None:
        """Print to a terminal."""
        from rich.table import Table as Sheet

        sheet = Sheet("", *self.frame.columns)
        for row in self.texts():
            sheet.add_row(*row)
        console.print(f"\n[bold]{escape(self.title)}[/bold]")
        console.print(sheet)
        console.print(f"[dim]{escape(self.note)}[/dim]")

    def plain(self) -> dict[str, Any]:
        """For JSON; figures that are missing become None."""
        return {
            "title": self.title,
            "note": self.note,
            "columns": list(self.frame.columns),
            "rows": {
                name: [None if _missing(value) else value for value in row]
                for name, *row in self.frame.itertuples()
            },
        }


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not np.isfinite(value))


def _text(value: Any) -> str:
    if _missing(value):
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
