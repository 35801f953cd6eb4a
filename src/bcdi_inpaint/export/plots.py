"""Figures of filled scans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .filled_scan import require_complete
from .layout import INTENSITY, MASK, SIGMA
from .quicklook import COLOURS, GAP, OUTLINE, cuts

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase
    from tiled.client.container import Container

CUTS = (("row", "col"), ("frame", "col"), ("row", "frame"))


def plot(node: Container) -> Figure:
    """Raw, filled and uncertainty in three orthogonal cuts through the Bragg peak; see `plot_on`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 10.5), layout="constrained")
    plot_on(figure, node)
    return figure


def plot_on(figure: FigureBase, node: Container) -> None:
    """Draw raw, filled and uncertainty on an empty figure or part of one.

    Only the three planes of each volume are downloaded. Intensities are on a logarithmic scale,
    gaps are grey in the raw data and outlined in the filled; the uncertainty is relative to the
    filled intensity.
    """
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm

    require_complete(str(node.item["id"]), node.metadata)
    base, peak = node.base, tuple(node.metadata["peak"])
    planes, sigmas, gaps = (cuts(base[name], peak) for name in (INTENSITY, SIGMA, MASK))
    # A logarithmic scale would show zero counts as it shows what was not measured.
    planes = tuple(np.maximum(plane, 0.5) for plane in planes)
    colours = colormaps[COLOURS].with_extremes(bad=GAP)
    counts = LogNorm(0.5, max(float(np.max(planes[0])), 1.0))
    relative = LogNorm(0.01, 1.0, clip=True)

    axes = figure.subplots(3, 3)
    for i, (plane, sigma, gap) in enumerate(zip(planes, sigmas, gaps, strict=True)):
        missing = gap.astype(bool)
        share = np.where(missing, sigma / np.maximum(plane, 1), np.nan)
        for j, (image, norm) in enumerate(
            ((np.where(missing, np.nan, plane), counts), (plane, counts), (share, relative))
        ):
            axis = axes[i, j]
            drawn = axis.imshow(
                image, norm=norm, cmap=colours if j < 2 else "cividis", aspect="auto"
            )
            axis.set(xlabel=CUTS[i][1], ylabel=CUTS[i][0])
            if j == 1 and missing.any() and not missing.all():
                axis.contour(missing, [0.5], colors=OUTLINE, linewidths=0.8)
            if i == 2 and j:
                label = "counts" if j == 1 else "σ / max(counts, 1)"
                figure.colorbar(
                    drawn, ax=axes[:, :2] if j == 1 else axes[:, 2], label=label, shrink=0.6
                )
    for axis, title in zip(axes[0], ("raw", "filled", "uncertainty"), strict=True):
        axis.set_title(title)
    known = node.metadata
    figure.suptitle(f"{known['sample']} scan {known.get('scan_id', '')}  {known['method_used']}")
