"""What becomes of a fill whose twin belongs to another pattern.

    python benchmarks/inconsistent_halves.py --seeds 5,7,9,12

A gap right of the peak of a weakly strained crystal. Left of the peak, from 10 px on, the counts are then taken
from another, strongly strained crystal: the twin is wrong, though the halves agree around the peak.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

import bcdi_inpaint as bi
from bcdi_inpaint.lab.evaluate import metrics
from bcdi_inpaint.lab.simulate import simulate_scan

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (96, 96, 96)
WIDTHS = (24, 38)
CLEAN: dict[str, Any] = {
    "peak_counts": 1e6,
    "oversampling": (6.0, 6.0, 6.0),
    "peak_offset": (0.0, 0.0, 0.0),
    "aliens": 0,
    "streaks": 0,
    "hot_pixels": 0,
    "dead_pixels": 0,
    "background": 0.01,
    "scatter": 0.0,
}


def scan(seed: int, **crystal: Any) -> NDArray[np.int32]:
    """Counts with the peak in the middle."""
    return simulate_scan(seed, SHAPE, **CLEAN, **crystal).counts


def joined(counts: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int32]:
    """Counts with the left of another pattern; its rows moved, so that no symmetry is left."""
    wrong = counts.copy()
    edge = SHAPE[2] // 2 - 10
    wrong[:, :, :edge] = np.roll(other, 9, axis=1)[:, :, :edge]
    return wrong


def main() -> None:
    """Print one row for each fill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="5,7,9,12")
    arguments = parser.parse_args()
    print("| seed | gap px | halves | symmetry | PCC | filled / true | verdict |")
    print("|---|---|---|---|---|---|---|")
    for seed in map(int, arguments.seeds.split(",")):
        counts = scan(seed, family="cube", strain="smooth", strain_strength=0.2)
        other = scan(seed + 100, family="octahedron", strain="strong", strain_strength=0.9)
        for width in WIDTHS:
            gap = np.zeros(SHAPE[1:], bool)
            gap[:, SHAPE[2] // 2 + 8 :][:, :width] = True
            for name, pattern in (("belong", counts), ("do not", joined(counts, other))):
                out = bi.inpaint(np.where(gap, 0, pattern), gap)
                fill, truth = out.intensity[:, gap], pattern[:, gap]
                check = out.report.self_check
                print(
                    f"| {seed} | {width} | {name} | {out.report.symmetry:.2f} "
                    f"| {metrics.pcc(fill, truth):.3f} "
                    f"| {fill.sum(dtype=float) / truth.sum():.2f} "
                    f"| {'not checked' if check is None else check.note} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
