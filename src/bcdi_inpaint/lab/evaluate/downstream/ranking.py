"""Tables of what the study has found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..markdown import Table
from .fills import FILLS
from .results import GapFacts, Inverse, Reconstruction, ranked
from .scenes import MEASURED_SCENES, SCENES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .results import Ledger

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


def make_tables(ledger: Ledger) -> list[Table]:
    """All tables that the ledger allows."""
    lines = ledger.of(Reconstruction)
    simulated = [r for r in lines if r.object.isdigit()]
    measured = [r for r in lines if not r.object.isdigit()]
    made: list[Table] = []
    for engine, words in ENGINES.items():
        own = [r for r in simulated if r.engine == engine]
        if own:
            made.append(_summary(f"Simulated crystals, {words}", own))
            made += [_by_scene(f"Simulated crystals, {words}", own, f) for f in FIGURES]
    if measured:
        made.append(_summary("Measured scan", measured))
        made += [_by_scene("Measured scan", measured, f) for f in FIGURES]
    facts = [f for f in ledger.of(GapFacts) if f.fill == "patching"]
    if facts:
        made.append(_treatments(facts, [r for r in lines if r.engine == "bench"]))
    inverse = ledger.of(Inverse)
    if inverse:
        made.append(_ratios(inverse))
    return made


def _by_scene(title: str, lines: list[Reconstruction], figure: str) -> Table:
    found = ranked(lines)
    fills = [f for f in FILLS if any(r.fill == f for r in lines)]
    scenes = [s.name for s in (*SCENES, *MEASURED_SCENES)]
    rows = []
    for scene in dict.fromkeys(s for s in scenes if any(r.scene == s for r in lines)):
        cells: list[str | None] = []
        for fill in fills:
            own = [
                [getattr(start, figure) for start in starts]
                for key, starts in found.items()
                if (key.scene, key.fill) == (scene, fill)
            ]
            if not own:
                cells.append(None)
                continue
            mean = np.mean([starts[0] for starts in own])
            spread = np.mean([np.std(starts) for starts in own])
            cells.append(f"{mean:.3f} ± {spread:.3f}")
        rows.append((scene, tuple(cells)))
    objects = len({r.object for r in lines})
    starts = max(r.start for r in lines) + 1
    return Table(
        f"{title}: {FIGURES[figure]}",
        f"Of the start that ranks first of {starts}, mean over objects ({objects}); ± is the standard "
        "deviation over starts, not an error of the mean. Smaller is better.",
        tuple(fills),
        tuple(rows),
    )


def _summary(title: str, lines: list[Reconstruction]) -> Table:
    """All scenes together, each against the gap left free (or zero, where nothing can be free)."""
    best = {key: starts[0] for key, starts in ranked(lines).items()}
    base = "free" if any(r.fill == "free" for r in lines) else "zero"
    rows = []
    for fill in FILLS:
        pairs = [
            (first, best[key._replace(fill=base)])
            for key, first in best.items()
            if key.fill == fill and key._replace(fill=base) in best
        ]
        if not pairs:
            continue
        logs = np.log([a.complex_l2 / b.complex_l2 for a, b in pairs])
        error = float(logs.std(ddof=1) / np.sqrt(len(logs))) if len(logs) > 1 else 0.0
        rows.append(
            (
                fill,
                (
                    f"{np.mean([a.complex_l2 for a, _ in pairs]):.3f}",
                    f"{np.mean([a.phase_std for a, _ in pairs]):.3f}",
                    "1"
                    if fill == base
                    else f"{np.exp(logs.mean()):.2f} ± {np.exp(logs.mean()) * error:.2f}",
                    None if fill == base else f"{int((logs < 0).sum())} of {len(logs)}",
                ),
            )
        )
    return Table(
        f"{title}: all scenes",
        f"Figures of the starts that rank first. The ratio of complex L2 errors to those of {base} is a "
        "geometric mean over scenes and objects with its standard error; below 1 is better.",
        ("complex L2", "phase, rad", f"ratio to {base}", f"better than {base}"),
        tuple(rows),
    )


def _treatments(facts: Sequence[GapFacts], lines: list[Reconstruction]) -> Table:
    """What a user can choose between, sorted by what the user can know."""
    best = {key: starts[0] for key, starts in ranked(lines).items()}
    offered = ("patching", "patching, soft", "patching, band", "free")
    rows = []
    for gap in sorted(facts, key=lambda f: f.share):
        figures = [best.get(gap.key._replace(fill=fill)) for fill in offered]
        cells: list[float | str | None] = [f"{gap.share:.2g}", f"{gap.doubt:.2f}", gap.residual]
        cells += [None if r is None else r.complex_l2 for r in figures]
        rows.append((f"{gap.scene} ({gap.object})", tuple(cells)))
    return Table(
        "What to export: complex L2 error, gaps sorted by the share of the counts that they hold",
        "Share and doubt (sum of sigma over sum of filled counts) are known without the truth; the "
        "residual is the fill's amplitude residual against the counts.",
        ("share", "doubt", "residual", *offered),
        tuple(rows),
    )


def _ratios(inverse: Sequence[Inverse]) -> Table:
    rows = []
    for fill in dict.fromkeys(line.fill for line in inverse):
        own = [line for line in inverse if line.fill == fill]
        ratios = np.array([line.ratio for line in own])
        low, median, high = np.percentile(ratios, (10, 50, 90))
        rows.append(
            (
                fill,
                (
                    f"{ratios.mean():.1f}",
                    f"{median:.1f}",
                    f"{low:.1f}-{high:.1f}",
                    f"{ratios.min():.1f}-{ratios.max():.1f}",
                    f"{int((ratios >= GOAL).sum())} of {len(ratios)}",
                    float(np.mean([line.phase_std_gap for line in own])),
                    float(np.mean([line.phase_std_fill for line in own])),
                ),
            )
        )
    return Table(
        "Inverse transform with the true phases, 9 px cross (the paper's 2.6.1)",
        "How many times smaller the phase error of the particle becomes when the gap is filled instead of "
        "zero; the paper says 5, for one object.",
        ("mean", "median", "10-90 %", "range", f"{GOAL:g} or more", "gap, rad", "filled, rad"),
        tuple(rows),
    )
