"""The evaluation's simulated sets with a row for kriging without the Friedel twin, and each method's share of its distance.

python benchmarks/twin_simulated.py --patterns 4 --out docs/results/simulated
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from bcdi_inpaint.lab.evaluate import Request, evaluate

BEFORE = "kriging (no twin)"
METHODS = ("patching", "kriging", BEFORE, "linear")


def main() -> None:
    """Write the tables, and print the shares: one row for each set and method, means over patterns and kinds of gaps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patterns", type=int, default=4, help="of each set")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    request = Request(
        methods=METHODS,
        patterns=dict.fromkeys(("plain", "held-out", "bright"), arguments.patterns),
        options={BEFORE: {"twin": False}},
        out=arguments.out,
        command=f"python benchmarks/twin_simulated.py --patterns {arguments.patterns} --out {arguments.out}",
    )
    records = evaluate(request, Console()).results.records
    gaps = records[records["scope"] == "volume"]
    gaps = gaps.assign(off=gaps["ceiling"] - gaps["pcc_counts"])
    mean = gaps.groupby(["pattern", "width", "method"])["off"].mean().unstack("method")
    share = mean.div(mean[BEFORE], axis=0)
    print("\nDistance to the noise ceiling over that of kriging without the twin\n")
    print("| set, method | " + " | ".join(f"{width} px" for width in request.widths) + " |")
    print("|---|" + "---|" * len(request.widths))
    for name in [*request.patterns, "mean of the sets"]:
        own = share.groupby("width").mean() if name not in request.patterns else share.loc[name]
        for method in METHODS:
            cells = " | ".join(f"{own.loc[width, method]:.2f}" for width in request.widths)
            print(f"| {name}, {method} | {cells} |")


if __name__ == "__main__":
    main()
