"""A wide gap of a measured scan: as recorded, filled without and with the Friedel twin, and what was there.

python benchmarks/twin_picture.py scan.npz docs/images/twin-38-px.png --avoid 60,100
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

import bcdi_inpaint as bi
from bcdi_inpaint.colours import COLOURS, GAP, OUTLINE
from bcdi_inpaint.lab.evaluate import metrics
from bcdi_inpaint.lab.evaluate.cases import Gap
from twin_measured import pattern_of

WIDTH, DISTANCE = 38, 12
"""Pixels: the gap, and how far from the peak its first column is; a place of `twin_measured.py`."""
HALF = 62
"""Pixels on either side of the peak that are shown."""


def main() -> None:
    """Draw two planes through the peak, and print the PCC and the counts of both fills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--avoid", default="", help="ROW,COL of another crystal's peak")
    arguments = parser.parse_args()
    pattern = pattern_of(arguments.scan, arguments.avoid)
    frame, row, col = pattern.peak
    span = (col + DISTANCE, col + DISTANCE + WIDTH)
    mask = Gap("vertical", WIDTH, DISTANCE, None, span).mask(pattern.plane)
    judged = np.broadcast_to(mask, pattern.counts.shape) & pattern.judged
    hidden = np.where(mask, 0, pattern.counts)
    shown = {"as recorded": np.where(mask, np.nan, pattern.counts)}
    for twin in (False, True):
        fill = bi.inpaint(hidden, mask, twin=twin, self_check=False).intensity
        name = f"filled, {'with' if twin else 'without'} the twin"
        pcc = metrics.pcc(fill[judged], pattern.counts[judged])
        ratio = fill[judged].sum(dtype=float) / pattern.counts[judged].sum(dtype=float)
        print(f"{name}: PCC {pcc:.3f}, {ratio:.2f} times the measured counts", flush=True)
        shown[f"{name}\nPCC {pcc:.3f}, counts x {ratio:.2f}"] = fill
    shown["measured"] = pattern.counts

    norm = LogNorm(0.5, float(pattern.counts.max()))
    colours = mpl.colormaps[COLOURS].with_extremes(bad=GAP)
    figure, axes = plt.subplots(2, len(shown), figsize=(14, 7.4), layout="constrained")
    for column, (title, volume) in zip(axes.T, shown.items(), strict=True):
        column[0].set_title(title)
        for axis, plane, names, centre in (
            (column[0], volume[frame], ("col", "row"), row),
            (column[1], volume[:, row], ("col", "frame"), frame),
        ):
            image = axis.imshow(np.maximum(plane, 0.5), norm=norm, cmap=colours, aspect="auto")
            axis.set(xlim=(col - HALF, col + HALF), ylim=(centre + HALF, centre - HALF))
            axis.set(xlabel=names[0], ylabel=names[1])
            for edge in span:
                axis.axvline(edge - 0.5, color=OUTLINE, linewidth=0.8)
    figure.colorbar(image, ax=axes, label="counts", shrink=0.6)
    figure.savefig(arguments.picture, dpi=80)


if __name__ == "__main__":
    main()
