"""How near to the truth the centre of symmetry is found, behind a gap: ``python benchmarks/centres.py``.

The patterns are those of the evaluation, with its gaps of 12 px in turn vertical and crosses. The truth is where the simulated scattering
vector is the lattice's; the largest of the three differences counts. A centre that is not believed does no harm:
the fill goes without the twin.
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
        off = float(np.abs(np.array(symmetry.centre) - truth).max())
        rows.append((which, recipe.strain, float(counts.sum()), symmetry.believed, off))
        print(".", end="", flush=True)
    return pd.DataFrame(rows, columns=["set", "strain", "counts", "believed", "off"])


def main() -> None:
    """Print a table: one row for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patterns", type=int, default=40, help="of each set")
    number = parser.parse_args().patterns
    every = pd.concat([found(which, number) for which in get_args(PatternSet)])
    print(
        f"\n\n| set | patterns | with {ENOUGH:.0e} counts | believed | of those within .3 | within 1 | wrong by more |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, own in [*every.groupby("set", sort=False), ("all", every)]:
        enough = own[own["counts"] >= ENOUGH]
        believed = enough[enough["believed"]]
        within = [f"{(believed['off'] <= limit).mean():.0%}" for limit in (0.3, 1.0)]
        wrong = (own["believed"] & (own["off"] > 1)).sum()
        print(
            f"| {name} | {len(own)} | {len(enough)} | {len(believed)} | {' | '.join(within)} | {wrong} |"
        )
    print(every[every["believed"] & (every["off"] > 0.3)].to_string())


if __name__ == "__main__":
    main()
