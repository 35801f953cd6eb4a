"""Fills of scans from a simulator that training never drew from.

    python benchmarks/independent.py --scans 24

A gap of 3 to 38 px beside the peak of each scan. Prints, for each method and width, means over the scans: PCC of
log counts against the counts, its distance to the noise ceiling over that of kriging without a twin, filled over
measured counts by what was filled, and what the 68 % and 95 % intervals cover. Then
whether artificial gaps tell by how much a fill is off: the correlation of log(filled over measured counts) there
with that in the real gap, and both standard deviations.
"""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.progress import track

import bcdi_inpaint as bi
from bcdi_inpaint.lab.evaluate import metrics, patterns
from bcdi_inpaint.lab.evaluate.markdown import Table
from bcdi_inpaint.lab.simulate.independent import independent_scan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Record = dict[str, float]

WIDTHS = (3, 6, 12, 38)
METHODS: dict[str, dict[str, Any]] = {
    "kriging, no twin": {"method": "kriging", "twin": False},
    "kriging": {"method": "kriging"},
    "patching": {"method": "patching"},
}


def gap_beside(
    peak: tuple[int, ...], shape: tuple[int, ...], width: int, seed: int
) -> NDArray[np.bool_]:
    """A line along rows or columns, 10 px from the peak on one of its sides."""
    rng = np.random.default_rng(seed)
    axis, sign = int(rng.integers(1, 3)), int(rng.choice((-1, 1)))
    start = peak[axis] + (10 if sign > 0 else -10 - width)
    if not 0 < start < shape[axis] - width:
        start = peak[axis] - 10 - width if sign > 0 else peak[axis] + 10
    gap = np.zeros(shape[1:], bool)
    line = slice(max(start, 1), start + width)
    gap[(line, slice(None)) if axis == 1 else (slice(None), line)] = True
    return gap


def measured(counts: NDArray[Any], gap: NDArray[np.bool_], settings: dict[str, Any]) -> Record:
    """Fill a gap and compare with the counts that were hidden."""
    out = bi.inpaint(np.where(gap, 0, counts), gap, **settings)
    where = np.broadcast_to(gap, counts.shape)
    fill, truth = out.intensity[where], counts[where]
    narrow, wide = metrics.coverage_of_counts(fill, out.sigma[where], truth)
    sums = metrics.band_sums(fill, truth)
    check = out.report.self_check
    return {
        "PCC": metrics.pcc(fill, truth),
        "ceiling": metrics.pcc_ceiling_of_counts(truth),
        "68 %": narrow,
        "95 %": wide,
        "filled / true there": math.nan if check is None else check.counts_ratio,
        "filled / true": sum(sums["filled"]) / max(sum(sums["true"]), 1),
        **{f"filled {b}": n for b, n in zip(metrics.BAND_NAMES, sums["filled"], strict=True)},
        **{f"true {b}": n for b, n in zip(metrics.BAND_NAMES, sums["true"], strict=True)},
    }


def table(fills: pd.DataFrame) -> pd.DataFrame:
    """Means over the scans, one row for each width and method."""
    groups = fills.groupby(["gap px", "method"], sort=False)
    means, sums = groups.mean(), groups.sum()
    below = means["ceiling"] - means["PCC"]
    first = below.xs(next(iter(METHODS)), level="method")
    found = means[["PCC", "68 %", "95 %"]].assign(
        share=below / first.reindex(below.index, level="gap px")
    )
    for band in metrics.BAND_NAMES:
        found[band] = sums[f"filled {band}"] / sums[f"true {band}"]
    found.index = [f"{width} px, {name}" for width, name in found.index]
    return found


def main() -> None:
    """Print the table, and what artificial gaps tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=24)
    parser.add_argument("--first", type=int, default=0, help="seed of the first scan")
    arguments = parser.parse_args()
    records = []
    for seed in track(range(arguments.first, arguments.first + arguments.scans), "filling"):
        counts = independent_scan(seed)
        peak = patterns.brightest(counts)
        for width in WIDTHS:
            gap = gap_beside(peak, counts.shape, width, seed)
            for name, settings in METHODS.items():
                told = {"gap px": width, "method": name}
                records.append({**told, **measured(counts, gap, settings)})
    fills = pd.DataFrame(records)
    print(Table("Another simulator", f"{arguments.scans} scans", table(fills)).markdown())
    for name, each in fills[fills["filled / true there"] > 0].groupby("method", sort=False):
        there, here = np.log(each["filled / true there"]), np.log(each["filled / true"])
        print(
            f"{name}: correlation {there.corr(here):.2f} over {len(each)} gaps, "
            f"standard deviations {there.std():.2f} (artificial) and {here.std():.2f}"
        )


if __name__ == "__main__":
    main()
