"""Figures of filled scans in Tiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.colours import COLOURS
from bcdi_inpaint.filling.plotting import AXES, SIZE, Cut, draw_cuts, title_of

from .fields import to_report
from .filled_scan import require_complete
from .layout import INTENSITY, MASK, SIGMA
from .quicklook import cuts

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase
    from numpy.typing import NDArray
    from tiled.client.container import Container

    from .q_space import QSpace


def plot(node: Container) -> Figure:
    """Raw, filled and uncertainty in three orthogonal cuts through the Bragg peak; see `plot_on`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    plot_on(figure, node)
    return figure


def plot_on(figure: FigureBase, node: Container) -> None:
    """Draw raw, filled and uncertainty on an empty figure or part of one.

    Only the three planes of each volume are downloaded; see `filling.plotting.draw_cuts`.
    """
    require_complete(str(node.item["id"]), node.metadata)
    base, peak, known = node.base, tuple(node.metadata["peak"]), node.metadata
    planes = zip(*(cuts(base[name], peak) for name in (INTENSITY, SIGMA, MASK)), strict=True)
    name = f"{known['sample']} scan {known.get('scan_id', '')}".strip()
    title = f"{name}: {title_of(to_report(known))}"
    draw_cuts(
        figure, [Cut(values, sigma, np.asarray(gap, bool)) for values, sigma, gap in planes], title
    )


def plot_q_on(figure: FigureBase, node: Container, q_space: QSpace) -> None:
    """Draw the filled pattern in reciprocal space on an empty figure or part of one.

    Three cuts through the Bragg peak, each in the plane that its voxels lie in best, relative to the peak.
    """
    from matplotlib.colors import LogNorm

    peak = tuple(node.metadata["peak"])
    planes = cuts(node.base[INTENSITY], peak)
    frame, row, col = (slice(place, place + 1) for place in peak)
    vectors = (
        q_space.vectors(frame)[:, 0],
        q_space.vectors(rows=row)[:, :, 0],
        q_space.vectors(cols=col)[..., 0].swapaxes(1, 2),
    )
    centre = q_space.vectors(frame, row, col)[:, 0, 0, 0]
    norm = LogNorm(0.5, max(float(np.max(planes[0])), 1.0))
    axes = figure.subplots(1, 3)
    for axis, plane, q, (down, across) in zip(axes, planes, vectors, AXES, strict=True):
        x, y = _in_plane(q - centre[:, None, None])
        drawn = axis.pcolormesh(
            x,
            y,
            np.maximum(plane, 0.5),
            norm=norm,
            cmap=COLOURS,
            shading="nearest",
            rasterized=True,
        )
        axis.set(xlabel=f"along {across} (1/Å)", ylabel=f"along {down} (1/Å)", aspect="equal")
    figure.colorbar(drawn, ax=axes, label="counts", shrink=0.8)
    length = float(np.linalg.norm(centre))
    figure.suptitle(f"in reciprocal space, |q| = {length:.4f} 1/Å, d = {2 * np.pi / length:.4f} Å")


def _in_plane(q: NDArray[np.float32]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Coordinates of vectors ``(3, down, across)`` along the second index, and square to that."""
    along = (q[:, :, -1] - q[:, :, 0]).mean(axis=1)
    along /= np.linalg.norm(along)
    down = (q[:, -1] - q[:, 0]).mean(axis=1)
    down -= (down @ along) * along
    down /= np.linalg.norm(down)
    return np.tensordot(along, q, 1), np.tensordot(down, q, 1)
