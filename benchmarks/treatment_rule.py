"""How well a limit of doubt decides between a gap that counts as measured and one left free.

python benchmarks/treatment_rule.py docs/results/downstream/ledger.jsonl

Takes the results of ``bcdi-inpaint evaluate --downstream``. The doubt is the sum of the fill's sigma over all counts;
patterns without a voxel of `FAINT` counts have a limit of their own (`bcdi_inpaint.export.treatment`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from bcdi_inpaint.export.treatment import FAINT, FAINT_DOUBT, HARD_DOUBT
from bcdi_inpaint.lab.evaluate.downstream.results import StudyStore, firsts
from bcdi_inpaint.lab.evaluate.downstream.scenes import SCENES

LIMITS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15)


def main() -> None:
    """Print a row for each limit, then what goes wrong with today's."""
    store = StudyStore(Path(sys.argv[1]), 0, lambda _: True)
    lines, facts = store.of("Reconstruction"), store.of("GapFacts")
    best = firsts(lines[lines["engine"] == "bench"])
    errors = best.pivot(index=["scene", "object"], columns="fill", values="complex_l2")
    facts = facts[facts["fill"] == "patching"].set_index(["scene", "object"])
    cases = errors[["patching", "free"]].join(facts[["share", "doubt"]], how="inner").dropna()
    peaks = {scene.name: scene.peak_counts for scene in SCENES}
    simulated = cases.index.get_level_values("object").str.isdigit()
    faint = simulated & (cases.index.get_level_values("scene").map(peaks) < FAINT)
    doubt = cases["share"] * cases["doubt"]
    least = cases[["patching", "free"]].min(axis=1)
    print(f"{len(cases)} cases; always hard, always free: errors over the better one's, mean")
    print(" ".join(f"{(cases[fill] / least).mean():.3f}" for fill in ("patching", "free")))
    print("\n| limit | right | error over the better one's, mean |\n|---|---|---|")
    for limit in LIMITS:
        hard = doubt <= np.where(faint, FAINT_DOUBT, limit)
        chosen = cases["patching"].where(hard, cases["free"])
        print(f"| {limit:.0%} | {(chosen == least).sum()} | {(chosen / least).mean():.3f} |")
    hard = doubt <= np.where(faint, FAINT_DOUBT, HARD_DOUBT)
    chosen = cases["patching"].where(hard, cases["free"])
    wrong = cases.assign(of_all=doubt, chosen=np.where(hard, "hard", "free"))[chosen > least]
    print(f"\nWrong with a limit of {HARD_DOUBT:.0%}:\n\n{wrong.to_string()}")


if __name__ == "__main__":
    main()
