"""Options that several commands take, and how their texts are read."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bcdi_inpaint.export.treatment import Gaps
    from bcdi_inpaint.scans import Span

MISSING, READING, FILLING, WRITING = (
    "What is missing",
    "Reading",
    "Filling",
    "Writing",
)
"""Headings of groups of options."""


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


def parse_binning(text: str) -> tuple[int, int]:
    """``"2"`` -> ``(2, 2)``, ``"1,2"`` -> ``(1, 2)``."""
    return parse_pixel(text if "," in text else f"{text},{text}")


def parse_gaps(text: str | None) -> Gaps | None:
    """None for ``"auto"``."""
    from bcdi_inpaint.export.treatment import Gaps

    known = get_args(Gaps)
    for gaps in known:
        if text == gaps:
            return gaps  # type: ignore[no-any-return]
    if text in (None, "auto"):
        return None
    raise typer.BadParameter(
        f"{text!r}: takes auto, {', '.join(known)} (whose gaps are missing says --detector or --mask)",
        param_hint="--gaps",
    )


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


def missing_pixels(
    mask: Path | None, keep_ones: bool, flags_only: bool, detector: str | None
) -> NDArray[np.bool_] | Literal[False] | None:
    """What is missing beside a detector's gaps, as `ReadingOptions.mask` takes it."""
    from bcdi_inpaint.geometry import read_mask

    if flags_only and (detector or mask):
        raise typer.BadParameter("goes without --detector and --mask", param_hint="--flags-only")
    if flags_only:
        return False
    if keep_ones and mask is None:
        raise typer.BadParameter("goes with --mask", param_hint="--mask-keeps")
    return None if mask is None else read_mask(mask, missing="zero" if keep_ones else "nonzero")


Method = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="How to fill; 'bcdi-inpaint info' lists the methods.",
        rich_help_panel=FILLING,
    ),
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda or cuda:N.")]
DetectorKey = Annotated[
    str | None,
    typer.Option(
        "--detector",
        metavar="NAME",
        help="The detector, as in 'bcdi-inpaint detectors'.",
        rich_help_panel=MISSING,
    ),
]
MaskFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Missing pixels: npy, npz, tif, edf, HDF5; instead of a detector, or besides.",
        rich_help_panel=MISSING,
    ),
]
MaskKeeps = Annotated[
    bool,
    typer.Option(
        "--mask-keeps", help="In the mask, 1 marks pixels to keep.", rich_help_panel=MISSING
    ),
]
FlagsOnly = Annotated[
    bool,
    typer.Option(
        "--flags-only",
        help="Only NaN, -1, 65535 and the like are missing.",
        rich_help_panel=MISSING,
    ),
]
NoOwnMask = Annotated[
    bool,
    typer.Option(
        "--no-own-mask",
        help="Leave out the mask that the file holds itself.",
        rich_help_panel=MISSING,
    ),
]
Roi = Annotated[
    Any,
    typer.Option(
        parser=parse_roi,
        metavar="R0:R1,C0:C1",
        help="The part of the detector's full frame that is shown.",
        rich_help_panel=MISSING,
    ),
]
Binning = Annotated[
    Any,
    typer.Option(
        parser=parse_binning,
        metavar="ROWS,COLS",
        help="Detector pixels in one of the frames'; one number for both.",
        rich_help_panel=MISSING,
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The frames in the file.", rich_help_panel=READING),
]
