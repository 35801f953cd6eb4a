"""A figure of a fill: cuts through the Bragg peak as recorded, filled, and with their uncertainty."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from bcdi_inpaint.colours import COLOURS, GAP, OUTLINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from .result import Inpainted, Report

Voxel = TypeVar("Voxel", bound=np.generic)

AXES = (("row", "col"), ("frame", "col"), ("row", "frame"))
"""Of the cuts, (y, x)."""
HALF_WIDTH = 64
"""Voxels on either side of the peak that are shown, if a gap is among them."""
SIZE = (11, 10.5)
"""Inches of a figure with three cuts."""
LINE = 110
"""Characters of a line of the title."""


class Cut(NamedTuple):
    """One plane of a fill.

    `intensity`, `sigma` and `missing` are 2-D, the plane's first voxel is at `origin`, (y, x).
    """

    intensity: NDArray[np.number]
    sigma: NDArray[np.number]
    missing: NDArray[np.bool_]
    origin: tuple[int, int] = (0, 0)


def cuts_of(filled: Inpainted) -> tuple[Cut, Cut, Cut]:
    """Three orthogonal planes through the brightest voxel, close around it where that shows a gap."""
    peak = np.unravel_index(int(np.argmax(filled.intensity)), filled.intensity.shape)
    near = [slice(max(int(p) - HALF_WIDTH, 0), int(p) + HALF_WIDTH) for p in peak]
    if not any(plane.any() for plane in _planes(filled.mask, peak, near)):
        near = [slice(0, length) for length in filled.mask.shape]
    frames, rows, cols = (part.start for part in near)
    origins = ((rows, cols), (frames, cols), (rows, frames))
    intensity = _planes(filled.intensity, peak, near)
    sigma = _planes(filled.sigma, peak, near)
    first, second, third = map(Cut, intensity, sigma, _planes(filled.mask, peak, near), origins)
    return first, second, third


def title_of(report: Report) -> str:
    """Method and verdict, with its reason."""
    check = report.self_check
    return f"gap filled by {report.method}, {check.note if check else 'no self-check'}"


def draw(figure: FigureBase, filled: Inpainted) -> None:
    """Draw a fill on an empty figure: cuts through the Bragg peak, under the verdict and its reason."""
    draw_cuts(figure, cuts_of(filled), title_of(filled.report))


def draw_cuts(figure: FigureBase, cuts: Sequence[Cut], title: str) -> None:
    """Draw cuts on an empty figure, or part of one.

    Counts are on a logarithmic scale; missing voxels are grey where they are shown as recorded, outlined
    where they are filled; the uncertainty is relative to the filled counts.
    """
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm

    colours = colormaps[COLOURS].with_extremes(bad=GAP)
    counts = LogNorm(0.5, max(float(np.max(cuts[0].intensity)), 1.0))
    relative = LogNorm(0.01, 1.0, clip=True)
    axes = figure.subplots(len(cuts), 3, squeeze=False)
    for row, cut, names in zip(axes, cuts, AXES, strict=False):
        # A logarithmic scale would show zero counts as it shows what was not measured.
        plane, missing = np.maximum(cut.intensity, 0.5), cut.missing.astype(bool)
        top, left = cut.origin
        extent = (left - 0.5, left + plane.shape[1] - 0.5, top + plane.shape[0] - 0.5, top - 0.5)
        share = np.where(missing, cut.sigma / np.maximum(plane, 1), np.nan)
        for axis, image, norm, colour_map in zip(
            row,
            (np.where(missing, np.nan, plane), plane, share),
            (counts, counts, relative),
            (colours, colours, "cividis"),
            strict=True,
        ):
            drawn = axis.imshow(image, norm=norm, cmap=colour_map, aspect="auto", extent=extent)
            axis.set(xlabel=names[1], ylabel=names[0] if axis is row[0] else "")
            if norm is relative:
                figure.colorbar(drawn, ax=axis, label="σ / max(counts, 1)")
            elif image is plane:
                if missing.any() and not missing.all():
                    x, y = left + np.arange(plane.shape[1]), top + np.arange(plane.shape[0])
                    axis.contour(x, y, missing, [0.5], colors=OUTLINE, linewidths=0.8)
                figure.colorbar(drawn, ax=axis, label="counts")
    for axis, head in zip(
        axes[0], ("as recorded (grey: missing)", "filled", "uncertainty"), strict=True
    ):
        axis.set_title(head)
    figure.suptitle("\n".join(textwrap.wrap(title, LINE)), fontsize="medium")


def _planes(
    volume: NDArray[Voxel], peak: Sequence[np.integer], near: Sequence[slice]
) -> tuple[NDArray[Voxel], NDArray[Voxel], NDArray[Voxel]]:
    """Through the peak, as in `AXES`."""
    frame, row, col = peak
    frames, rows, cols = near
    return volume[frame, rows, cols], volume[frames, row, cols], volume[frames, rows, col].T
