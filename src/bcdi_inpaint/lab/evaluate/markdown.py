"""A table of figures: printed, in Markdown and in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.markup import escape

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Table:
    """Figures with the words that they need.

    Attributes
    ----------
    title, note
        What it shows; how to read it.
    columns
        Names of the columns after the first.
    rows
        Name of the row, then a number, text or None (not available) for each column.
    digits
        Decimal places of numbers.
    figure
        Name of the picture that is drawn of it, without ending; such tables are too long for a terminal.
    """

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | str | None, ...]], ...]
    digits: int = 3
    figure: str = ""

    def texts(self) -> list[list[str]]:
        """Rows as they are printed."""
        return [[name, *map(self._text, values)] for name, values in self.rows]

    def _text(self, value: float | str | None) -> str:
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return "–"
        return str(value) if isinstance(value, str | int) else f"{value:.{self.digits}f}"

    def markdown(self) -> str:
        """A Markdown section."""
        lines = [f"### {self.title}", "", self.note, ""] if self.note else [f"### {self.title}", ""]
        lines.append("| " + " | ".join(["", *self.columns]) + " |")
        lines.append("|" + "---|" * (len(self.columns) + 1))
        lines += ["| " + " | ".join(row) + " |" for row in self.texts()]
        return "\n".join(lines) + "\n"

    def show(self, console: Console) -> None:
        """Print to a terminal."""
        from rich.table import Table as Sheet

        sheet = Sheet("", *self.columns)
        for row in self.texts():
            sheet.add_row(*row)
        console.print(f"\n[bold]{escape(self.title)}[/bold]")
        console.print(sheet)
        console.print(f"[dim]{escape(self.note)}[/dim]")

    def plain(self) -> dict[str, Any]:
        """For JSON; figures that are missing become None."""

        def clean(value: float | str | None) -> float | str | None:
            return None if isinstance(value, float) and not np.isfinite(value) else value

        return {
            "title": self.title,
            "note": self.note,
            "columns": list(self.columns),
            "rows": {name: [clean(v) for v in values] for name, values in self.rows},
        }
