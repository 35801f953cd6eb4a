"""How often a fill's verdict is right.

    python benchmarks/verdicts.py --scan scan.npz --avoid 60,100 --minutes 10

Gaps of 3 to 38 px, lines and crosses, up to 40 px from the peak, at random: three in four in simulated scans of
the evaluation families with 3e3 to 1e7 counts at the peak, one in four in a measured scan. A fill is right if
its counts are within 15 % of the true ones and its PCC within .05 of the noise ceiling.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import bcdi_inpaint as bi
from bcdi_inpaint.lab.evaluate import metrics, patterns
from bcdi_inpaint.lab.simulate import simulate_scan

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (128, 128, 128)
WIDTHS = (3, 6, 9, 12, 38)
REACH = 40


def random_gap(rng: np.random.Generator, peak: tuple[int, ...]) -> NDArray[np.bool_]:
    """Lines along rows, columns or both."""
    width, kind = int(rng.choice(WIDTHS)), rng.integers(1, 4)
    row, col = (
        int(np.clip(p + rng.integers(-REACH, REACH + 1), 2, n - width - 2))
        for p, n in zip(peak[1:], SHAPE[1:], strict=True)
    )
    gap = np.zeros(SHAPE[1:], bool)
    if kind & 1:
        gap[row : row + width] = True
    if kind & 2:
        gap[:, col : col + width] = True
    return gap


def right(out: bi.Inpainted, counts: NDArray[Any], where: NDArray[np.bool_]) -> bool:
    """Whether counts and PCC of a fill are good."""
    fill, truth = out.intensity[where], counts[where]
    noisy = np.random.default_rng(0).poisson(np.minimum(fill, 1e9))
    below = metrics.pcc(fill, noisy) - metrics.pcc(fill, truth)
    return abs(fill.sum(dtype=float) / max(truth.sum(), 1) - 1) < 0.15 and below < 0.05


def main() -> None:
    """Print one row for each set and verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scan", type=Path, required=True)
    parser.add_argument("--avoid", default="", help="ROW,COL of another crystal's peak")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    avoid: Any = [tuple(map(int, arguments.avoid.split(",")))] if arguments.avoid else []
    measured = patterns.measured(patterns.read_scan(arguments.scan, avoid), SHAPE)
    rng = np.random.default_rng(arguments.seed)
    number: Counter[tuple[str, str]] = Counter()
    good: Counter[tuple[str, str]] = Counter()
    end, count = time.monotonic() + 60 * arguments.minutes, 0
    while time.monotonic() < end:
        count += 1
        name, counts, judged, peak = "measured", measured.counts, measured.judged, measured.peak
        if count % 4:
            seed, brightest = 10000 * arguments.seed + count, 10 ** rng.uniform(3.5, 7)
            counts = simulate_scan(seed, SHAPE, split="evaluation", peak_counts=brightest).counts
            name, judged = "simulated", np.ones(SHAPE, bool)
            peak = patterns.brightest(counts)
        gap = random_gap(rng, peak)
        out = bi.inpaint(np.where(gap, 0, counts), gap)
        check = out.report.self_check
        key = name, "not checked" if check is None else check.verdict
        number[key] += 1
        good[key] += right(out, counts, gap & judged)
    print("| set | verdict | fills | right |\n|---|---|---|---|")
    for name, verdict in sorted(number):
        key = name, verdict
        print(f"| {name} | {verdict} | {number[key]} | {good[key] / number[key]:.2f} |")


if __name__ == "__main__":
    main()
