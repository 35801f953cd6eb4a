"""How near to the truth the centre of symmetry is found, behind a gap: ``python benchmarks/centres.py``.

The patterns are those of the evaluation, with its gaps of 12 px in turn vertical and crosses. Two things are the truth: where the
scattering vector is the lattice's, which a strained crystal's pattern need not be symmetric about; and the centre that is found in the whole
pattern without a gap and without noise. The largest of the three differences counts. A centre that is not
believed does no harm: the fill goes without the twin.
"""

from __future__ import annotations

import argparse
from typing import get_args

import numpy as np
import pandas as pd

from bcdi_inpaint.filling import estimate_scan
from bcdi_inpaint.lab.evaluate.cases import DISTANCES, PatternSet, place_gap, recipes
from bcdi_inpaint.lab.simulate import render

WIDTH = 12
SYMMETRIC = 0.5
"""Most measured scans are at least so symmetric."""
SHAPE = (128, 128, 128)
ENOUGH = 1e5
"""Counts of a scan from which on a centre is asked for."""


def found(which: PatternSet, number: int) -> pd.DataFrame:
    """A row for each pattern of a set."""
    rows = []
    for index, recipe in enumerate(recipes(which, number, SHAPE)):
        scan = render(recipe)
        truth = np.array(SHAPE) // 2 + np.array(recipe.peak_offset)
        row, col = (round(place) for place in truth[1:])
        distance = DISTANCES[which][index % len(DISTANCES[which])]
        rng = np.random.default_rng(recipe.seed)
        kind = ("vertical", "cross")[index % 2]
        mask = place_gap(kind, WIDTH, distance, (row, col), SHAPE[1:], rng).mask(SHAPE[1:])
        counts = np.where(mask, 0, scan.counts)
        symmetry = estimate_scan(counts, mask).symmetry
        whole = estimate_scan(scan.rate, np.zeros_like(mask)).symmetry
        off, of_whole = (
            float(np.abs(np.array(symmetry.centre) - place).max())
            for place in (truth, np.array(whole.centre))
        )
        known = symmetry.believed, symmetry.correlation
        rows.append((which, recipe.strain, float(counts.sum()), *known, off, of_whole))
        print(".", end="", flush=True)
    return pd.DataFrame(
        rows, columns=["set", "strain", "counts", "believed", "symmetry", "off", "of_whole"]
    )


def main() -> None:
    """Print a table: one row for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patterns", type=int, default=40, help="of each set")
    number = parser.parse_args().patterns
    every = pd.concat([found(which, number) for which in get_args(PatternSet)])
    print(
        "\n\nBelieved centres: within .3 and 1 voxel of the lattice's, and of the whole pattern's own\n"
    )
    print(f"| set | patterns with {ENOUGH:.0e} counts | believed | .3 | 1 | .3 | 1 |")
    print("|---|---|---|---|---|---|---|")
    enough = every[every["counts"] >= ENOUGH]
    smooth = enough[enough["symmetry"] >= SYMMETRIC]
    named = [*enough.groupby("set", sort=False), ("all", enough)]
    for name, own in [*named, (f"all of symmetry {SYMMETRIC} or more", smooth)]:
        believed = own[own["believed"]]
        shares = [
            f"{(believed[figure] <= limit).mean():.0%}"
            for figure in ("off", "of_whole")
            for limit in (0.3, 1.0)
        ]
        print(f"| {name} | {len(own)} | {len(believed)} | {' | '.join(shares)} |")
    print("\nBelieved, and further than .3 from the whole pattern's own:\n")
    print(every[every["believed"] & (every["of_whole"] > 0.3)].to_string())


if __name__ == "__main__":
    main()
