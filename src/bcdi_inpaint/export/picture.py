"""The demonstration's picture: what the detector recorded, what was filled in, and the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.colours import COLOURS, GAP, OUTLINE

from .quicklook import cuts, find_peak

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from bcdi_inpaint.filling import Inpainted

HALF_WIDTH = 48
"""Voxels around the Bragg peak that are shown along each axis."""

LABELS = (("column", "row"), ("column", "frame"))
"""Axes of the two cuts, (x, y): a frame, and along the row of the peak."""

WIDTH = 3.4
"""Inches of a panel."""


def draw(filled: Inpainted, truth: NDArray[np.number] | None = None) -> Figure:
    """Cuts through the Bragg peak, in panels: as recorded, filled and, if known, the truth.

    All share one scale, log(1 + counts). Gaps are grey where they are recorded and outlined where
    they are filled, so that measured and filled voxels can't be confused.

    Parameters
    ----------
    filled
        The fill.
    truth
        ``(frame, row, col)`` counts that a detector without gaps measured.
    """
    from matplotlib import colormaps
    from matplotlib.colors import FuncNorm
    from matplotlib.figure import Figure

    peak = find_peak(filled.intensity)
    frames, rows, cols = (slice(max(p - HALF_WIDTH, 0), p + HALF_WIDTH) for p in peak)
    box = (frames, rows, cols)
    centre = (peak[0] - frames.start, peak[1] - rows.start, peak[2] - cols.start)
    intensity, gap = filled.intensity[box], filled.mask[box]
    title_filled = f"gap filled by {filled.report.method}"
    volumes = {"as recorded": np.where(gap, np.nan, intensity), title_filled: intensity}
    if truth is not None:
        volumes["without a gap"] = truth[box]

    colours = colormaps[COLOURS].with_extremes(bad=GAP)
    top = max(float(np.max(intensity)), 1.0)
    scale = FuncNorm((np.log1p, np.expm1), vmin=0, vmax=top)
    heights = (intensity.shape[1], intensity.shape[0])
    size = (WIDTH * len(volumes) + 1, WIDTH * sum(heights) / intensity.shape[2] + 0.8)
    figure = Figure(size, dpi=120, layout="compressed")
    axes = figure.subplots(2, len(volumes), height_ratios=heights, squeeze=False)
    for column, (title, volume) in enumerate(volumes.items()):
        planes = zip(cuts(volume, centre)[:2], cuts(gap, centre)[:2], (rows, frames), strict=True)
        for axis, (plane, missing, span), label in zip(
            axes[:, column], planes, LABELS, strict=True
        ):
            x = cols.start + np.arange(plane.shape[1])
            y = span.start + np.arange(plane.shape[0])
            image = axis.pcolormesh(x, y, plane, norm=scale, cmap=colours, rasterized=True)
            if title == title_filled and missing.any():
                axis.contour(x, y, missing, [0.5], colors=OUTLINE, linewidths=0.8)
            axis.set(xlabel=label[0], ylabel=label[1], aspect="equal")
            axis.label_outer()
        axes[0, column].set_title(title)
    decades = [0, *10.0 ** np.arange(np.floor(np.log10(top)) + 1)]
    bar = figure.colorbar(image, ax=axes, label="counts", ticks=decades, aspect=40, pad=0.01)
    bar.ax.set_yticklabels([f"{value:,.0f}" for value in decades])
    bar.minorticks_off()
    return figure
