"""Pictures of a filled scan."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import track

from bcdi_inpaint.colours import OUTLINE
from bcdi_inpaint.export.filled_scan import open_scan
from bcdi_inpaint.export.layout import Blocks, path_segment
from bcdi_inpaint.export.plots import plot_on, plot_q_on
from bcdi_inpaint.export.q_space import GeometryUnknownError, QSpace

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from rich.console import Console
    from tiled.client.container import Container

WIDTH = 11.0
UNIT = 2.7
"""Inches: of the picture, and of the height that the rocking curve has."""
BLACK = "#222222"


def draw(node: Container, folder: Path, console: Console) -> Figure:
    """Draw a filled scan, save the picture in `folder`, and open a window where there can be one.

    Above, the three central planes raw, filled and with their uncertainty; below, the rocking
    curve with and without what was filled, and where the metadata suffice the pattern in reciprocal space.
    """
    scan = open_scan(node)
    angles = scan.angles
    try:
        q_space = QSpace.of(scan.metadata, angles, scan.filled.intensity.shape[1:])
    except GeometryUnknownError:
        q_space = None
    heights = (4.0, 1.0) if q_space is None else (4.0, 1.0, 1.3)
    figure = _figure(sum(heights))
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    planes, curve = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
    plot_on(planes, node)
    if q_space is not None:
        plot_q_on(figure.add_subfigure(grid[2]), node, q_space)
    measured, filled = rocking_curve(node, console)
    x = np.arange(len(filled)) if angles is None else angles
    axis = curve.subplots()
    axis.semilogy(x, np.maximum(filled, 0.5), color=OUTLINE, linewidth=2, label="filled")
    axis.semilogy(
        x, np.maximum(measured, 0.5), color=BLACK, linestyle="--", linewidth=1, label="measured"
    )
    motor = node.metadata["motor"]
    axis.set(xlabel="frame" if angles is None else f"{motor} (deg)", ylabel="counts in a frame")
    axis.legend(frameon=False)

    path = picture_path(folder, node.item["id"])
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)
    console.print(f"picture: {path}", markup=False, soft_wrap=True)
    return figure


def picture_path(folder: Path, key: str) -> Path:
    """Where the picture of a node goes; a server's keys may be anything."""
    return folder / "pictures" / f"{path_segment(key)}.png"


def rocking_curve(
    node: Container, console: Console
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts of each frame ``(frame,)``: measured ones, and with what was filled."""
    scan = open_scan(node).filled
    shape = scan.intensity.shape
    parts = Blocks.of(shape, scan.intensity.dtype).parts()
    measured, filled = np.zeros(shape[0]), np.zeros(shape[0])
    for part in track(parts, "reading", console=console, transient=True):
        counts, gap = np.asarray(scan.intensity[part]), np.asarray(scan.mask[part])
        filled[part] = counts.sum(axis=(1, 2), dtype=np.float64)
        measured[part] = np.where(gap, 0, counts).sum(axis=(1, 2), dtype=np.float64)
    return measured, filled


def _figure(units: float) -> Figure:
    """An empty figure, in a window if the user plots in windows."""
    from matplotlib.figure import Figure

    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        window: Figure = pyplot.figure(figsize=(WIDTH, UNIT * units), layout="constrained")
        return window
    return Figure(figsize=(WIDTH, UNIT * units), layout="constrained")
