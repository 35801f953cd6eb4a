"""Pictures of the results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bcdi_inpaint.lab.simulate import draw_recipe

from . import metrics
from .cases import place_gap
from .markdown import CEILING
from .patterns import simulated

if TYPE_CHECKING:
    from pathlib import Path

    from .markdown import Table
    from .patterns import Bools, Pattern
    from .request import Request

FRINGES_SEED = 30_000
FRINGES_WIDTH = 12
FRINGES_DISTANCE = 8
FRINGES: dict[str, Any] = {
    "family": "truncated_octahedron", "strain": "none", "rounding": 1.0, "roughness": 0.0,
    "oversampling": (6.0, 6.0, 6.0), "peak_offset": (0.0, 0.0, 0.0), "peak_counts": 1e6,
    "background": 0.01, "scatter": 0.0, "aliens": 0, "streaks": 0, "hot_pixels": 0, "dead_pixels": 0,
}  # fmt: skip
SHOWN = 64
"""Edge, in pixels, of the region around the peak that is shown."""


def draw_rows(table: Table, path: Path) -> None:
    """Draw a table whose rows are named ``"<width> px <method>"``: one panel for each width."""
    from matplotlib.figure import Figure

    panels: dict[str, list[tuple[str, Any]]] = {}
    for name, *values in table.frame.itertuples():
        width, _, method = name.partition(" px ")
        panels.setdefault(width, []).append((method, [np.nan if v is None else v for v in values]))
    figure = Figure(figsize=(3.2 * len(panels), 3.4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (width, lines) in zip(axes, panels.items(), strict=True):
        for method, values in lines:
            style = "k--" if method == CEILING else "o-"
            ax.plot(list(table.frame.columns), values, style, ms=3, lw=1.2, label=method)
        ax.set_title(f"{width} px", fontsize=9)
        ax.tick_params(labelsize=7)
        ax.tick_params(axis="x", rotation=45)
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize=6)
    figure.suptitle(table.title, fontsize=9)
    figure.savefig(path, dpi=110)


def draw_fringes(request: Request, path: Path) -> None:
    """Curved fringes across a 12 px gap, as in the paper's Fig. 4: the truth and every method's fill.

    A rounded crystal without strain, 1e6 counts at the peak, oversampling 6.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    recipe = draw_recipe(FRINGES_SEED, request.shape, split="evaluation", **FRINGES)
    pattern = simulated(recipe)
    gap = place_gap(
        "vertical",
        FRINGES_WIDTH,
        FRINGES_DISTANCE,
        pattern.peak[1:],
        pattern.plane,
        np.random.default_rng(0),
    )
    panels = _fills(request, pattern, gap.mask(pattern.plane))
    columns = 4
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3 * columns, 3.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    frame, row, col = pattern.peak
    half = SHOWN // 2
    view = np.s_[frame, max(row - half, 0) : row + half, max(col - half, 0) : col + half]
    for ax, (title, volume) in zip(axes, panels.items(), strict=False):
        shown = np.clip(np.asarray(volume[view], float), 0.1, None)
        ax.imshow(shown, norm=LogNorm(0.1, 1e5), cmap="magma")
        ax.set_title(title, fontsize=8)
    for ax in axes:
        ax.set_axis_off()
    figure.suptitle(
        f"Curved fringes across a {FRINGES_WIDTH} px gap {gap.distance} px from the peak",
        fontsize=9,
    )
    figure.savefig(path, dpi=110)


def _fills(request: Request, pattern: Pattern, mask: Bools) -> dict[str, Any]:
    """Volumes by the titles of their panels."""
    assert pattern.rate is not None
    missing = np.broadcast_to(mask, request.shape)
    panels = {
        "expected counts": pattern.rate,
        "counts": pattern.counts,
        "measured": np.where(missing, np.nan, pattern.counts),
    }
    counts = pattern.counts[missing]
    ceiling = metrics.pcc_ceiling(pattern.rate[missing], counts)
    for method in request.methods:
        try:
            filled = request.inpaint(np.where(missing, 0, pattern.counts), mask, method).intensity
        except ValueError:
            continue
        pcc = metrics.pcc(filled[missing], counts)
        panels[f"{method}: PCC {pcc:.3f} of {ceiling:.3f}"] = filled
    return panels
