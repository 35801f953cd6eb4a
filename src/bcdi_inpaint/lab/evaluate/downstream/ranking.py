"""Tables of what the study has found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..markdown import Table
from .fills import FILLS
from .results import Key, firsts
from .scenes import MEASURED_SCENES, SCENES

if TYPE_CHECKING:
    from .results import StudyStore

FIGURES = {
    "complex_l2": "complex L2 error",
    "modulus_rmse": "RMSE of the modulus in the particle, relative",
    "phase_std": "standard deviation of the phase error in the particle, rad",
    "strain_rmse": "RMSE of the phase gradient in the particle, rad a voxel",
}
"""Times d / (2 pi voxel), with the lattice spacing d, the last one is a strain."""

GOAL = 5.0
"""Ratio of phase errors that the paper reports for one object."""

ENGINES = {"bench": "the bench's RAAR + ER", "cohere": "cohere"}


def make_tables(store: StudyStore) -> list[Table]:
    """All tables that the store allows."""
    lines, facts, inverse = (store.of(k) for k in ("Reconstruction", "GapFacts", "Inverse"))
    made: list[Table] = []
    if len(lines):
        simulated = lines["object"].str.isdigit()
        parts = {
            f"Simulated crystals, {words}": lines[simulated & (lines["engine"] == engine)]
            for engine, words in ENGINES.items()
        }
        for title, own in {**parts, "Measured scan": lines[~simulated]}.items():
            if len(own):
                made.append(_summary(title, own))
                made += [_by_scene(title, own, figure) for figure in FIGURES]
    if len(facts):
        made.append(_treatments(facts[facts["fill"] == "patching"], lines))
    if len(inverse):
        made.append(_ratios(inverse))
    return [table for table in made if len(table.frame)]


def _by_scene(title: str, lines: pd.DataFrame, figure: str) -> Table:
    of_key = lines.groupby(list(Key._fields), sort=False)[figure]
    each = of_key.first().to_frame("first").assign(spread=of_key.std(ddof=0))
    mean = each.groupby(["scene", "fill"]).mean()
    texts = mean.apply(lambda row: f"{row['first']:.3f} ± {row['spread']:.3f}", axis=1)
    scenes = dict.fromkeys(scene.name for scene in (*SCENES, *MEASURED_SCENES))
    there = texts.unstack("fill")
    return Table(
        f"{title}: {FIGURES[figure]}",
        f"Of the start that ranks first of {lines['start'].max() + 1}, mean over objects "
        f"({lines['object'].nunique()}); ± is the standard deviation over starts, not an error of the mean. "
        "Smaller is better.",
        there.reindex(
            index=[scene for scene in scenes if scene in there.index],
            columns=[fill for fill in FILLS if fill in there.columns],
        ),
    )


def _summary(title: str, lines: pd.DataFrame) -> Table:
    """All scenes together, each against the gap left free (or zero, where nothing can be free)."""
    best = firsts(lines).pivot(
        index=["engine", "scene", "object"], columns="fill", values=["complex_l2", "phase_std"]
    )
    base = "free" if "free" in set(lines["fill"]) else "zero"
    rows = {}
    for fill in [fill for fill in FILLS if fill in set(lines["fill"])]:
        paired = best["complex_l2"][[fill, base]].notna().all(axis=1)
        if not paired.any():
            continue
        errors, phases = best["complex_l2"][paired], best["phase_std"][paired]
        logs = np.log(errors[fill] / errors[base])
        ratio, error = np.exp(logs.mean()), float(logs.sem()) if len(logs) > 1 else 0.0
        compared = [f"{ratio:.2f} ± {ratio * error:.2f}", f"{(logs < 0).sum()} of {len(logs)}"]
        rows[fill] = [
            f"{errors[fill].mean():.3f}",
            f"{phases[fill].mean():.3f}",
            *(["1", None] if fill == base else compared),
        ]
    return Table(
        f"{title}: all scenes",
        f"Figures of the starts that rank first. The ratio of complex L2 errors to those of {base} is a "
        "geometric mean over scenes and objects with its standard error; below 1 is better.",
        pd.DataFrame.from_dict(
            rows,
            "index",
            object,
            ["complex L2", "phase, rad", f"ratio to {base}", f"better than {base}"],
        ),
    )


def _treatments(facts: pd.DataFrame, lines: pd.DataFrame) -> Table:
    """What a user can choose between, sorted by what the user can know."""
    offered = ["patching", "patching, soft", "patching, band", "free"]
    best = firsts(lines[lines["engine"] == "bench"]).pivot(
        index=["scene", "object"], columns="fill", values="complex_l2"
    )
    gaps = facts.sort_values("share", kind="stable").set_index(["scene", "object"])
    frame = gaps[["share", "doubt", "residual"]].join(best.reindex(columns=offered))
    frame = frame.assign(share=frame["share"].map("{:.2g}".format))
    frame = frame.assign(doubt=frame["doubt"].map("{:.2f}".format))
    frame.index = frame.index.map("{0[0]} ({0[1]})".format)
    return Table(
        "What to export: complex L2 error, gaps sorted by the share of the counts that they hold",
        "Share and doubt (sum of sigma over sum of filled counts) are known without the truth; the "
        "residual is the fill's amplitude residual against the counts.",
        frame,
    )


def _ratios(inverse: pd.DataFrame) -> Table:
    rows = {}
    for fill, own in inverse.groupby("fill", sort=False):
        ratios = own["phase_std_gap"] / own["phase_std_fill"]
        low, median, high = np.percentile(ratios, (10, 50, 90))
        rows[fill] = [
            f"{ratios.mean():.1f}",
            f"{median:.1f}",
            f"{low:.1f}-{high:.1f}",
            f"{ratios.min():.1f}-{ratios.max():.1f}",
            f"{(ratios >= GOAL).sum()} of {len(ratios)}",
            float(own["phase_std_gap"].mean()),
            float(own["phase_std_fill"].mean()),
        ]
    return Table(
        "Inverse transform with the true phases, 9 px cross (the paper's 2.6.1)",
        "How many times smaller the phase error of the particle becomes when the gap is filled instead of "
        "zero; the paper says 5, for one object.",
        pd.DataFrame.from_dict(
            rows,
            "index",
            object,
            ["mean", "median", "10-90 %", "range", f"{GOAL:g} or more", "gap, rad", "filled, rad"],
        ),
    )
