"""Options that several commands take, and how their texts are read."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bcdi_inpaint.scans import Span


def parse_roi(text: str) -> tuple[Span, Span]:
    """``"190:318,190:318"`` -> ``((190, 318), (190, 318))``."""
    try:
        rows, cols = (tuple(map(int, part.split(":"))) for part in text.split(","))
        (row0, row1), (col0, col1) = rows, cols
    except ValueError:
        raise typer.BadParameter(f"{text!r}: takes ROW0:ROW1,COL0:COL1") from None
    return (row0, row1), (col0, col1)


def parse_pixel(text: str) -> tuple[int, int]:
    """``"60,100"`` -> ``(60, 100)``."""
    try:
        row, col = map(int, text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r}: takes ROW,COL") from None
    return row, col


def parse_options(texts: list[str]) -> dict[str, Any]:
    """``["reach=4"]`` -> ``{"reach": 4}``; what is no Python literal stays text."""
    options: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text!r}: takes NAME=VALUE", param_hint="--option")
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    return options


Method = Annotated[
    str | None, typer.Option(help="How to fill; 'bcdi-inpaint info' lists the methods.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
DetectorKey = Annotated[
    str | None,
    typer.Option("--detector", help="The detector, as in 'bcdi-inpaint detectors'."),
]
