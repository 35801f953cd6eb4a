"""Fills without and with the Friedel twin, in artificial gaps of a measured scan.

python benchmarks/twin_measured.py scan.npz --avoid 60,100
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import bcdi_inpaint as bi
from bcdi_inpaint.lab.evaluate import metrics, patterns
from bcdi_inpaint.lab.evaluate.cases import Gap, measured_gaps

WIDTHS = (3, 6, 9, 12, 38)


def pattern_of(scan: Path, avoid: str) -> patterns.Pattern:
    """128^3 voxels around the peak of a measured scan; `avoid` is ROW,COL of another crystal's peak, or empty."""
    others: Any = [tuple(map(int, avoid.split(",")))] if avoid else []
    return patterns.measured(patterns.read_scan(scan, others), (128, 128, 128))


def figures(pattern: patterns.Pattern, gap: Gap, method: str, *, twin: bool) -> list[float]:
    """PCC, R_amp, filled over measured counts, and what the 68 % and 95 % intervals cover."""
    mask = gap.mask(pattern.plane)
    where = np.broadcast_to(mask, pattern.counts.shape) & pattern.judged
    stack = np.where(mask, 0, pattern.counts)
    out = bi.inpaint(stack, mask, method, self_check=False, twin=twin)
    fill, counts = out.intensity[where], pattern.counts[where]
    ratio = fill.sum(dtype=float) / counts.sum(dtype=float)
    covered = metrics.coverage_of_counts(fill, out.sigma[where], counts)
    return [
        metrics.pcc(fill, counts),
        metrics.amplitude_residual(fill, counts),
        float(ratio),
        *covered,
    ]


def main() -> None:
    """Print one row for each width and kind of fill, means over four places."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--avoid", default="", help="ROW,COL of another crystal's peak")
    parser.add_argument("--method", default="kriging", choices=("kriging", "patching"))
    arguments = parser.parse_args()
    pattern = pattern_of(arguments.scan, arguments.avoid)
    print("| gap px | twin | PCC | R_amp | filled / measured counts | 68 % covers | 95 % covers |")
    print("|---|---|---|---|---|---|---|")
    for width in WIDTHS:
        for twin in (False, True):
            gaps = measured_gaps("anchors", width, pattern.peak[1:], pattern.plane)
            means = np.mean(
                [figures(pattern, gap, arguments.method, twin=twin) for gap in gaps], axis=0
            )
            row = " | ".join(f"{value:.3f}" for value in means)
            print(f"| {width} | {'with' if twin else 'without'} | {row} |", flush=True)


if __name__ == "__main__":
    main()
