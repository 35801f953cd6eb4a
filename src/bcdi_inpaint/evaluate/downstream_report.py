"""The command behind ``bcdi-inpaint evaluate --downstream``: the study's tables and pictures."""

from __future__ import annotations

import json
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..filling import METHODS
from . import cohere
from .bench import unable
from .downstream import (
    FILLS,
    MEASURED_SCENES,
    QUICK,
    SCENES,
    Digests,
    GapFacts,
    Inverse,
    Ledger,
    Plan,
    Reconstruction,
    measured_view,
    study,
)
from .evaluation import measured_scan, networks, origin, progress
from .tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from .evaluation import Provenance, Request

FIGURES = {
    "complex_l2": "complex L2 error",
    "modulus_rmse": "RMSE of the modulus in the particle, relative",
    "phase_std": "standard deviation of the phase error in the particle, rad",
    "strain_rmse": "RMSE of the phase gradient in the particle, rad a voxel",
}
"""Times d / (2 pi voxel), with the lattice spacing d, the last one is a strain."""

ENGINES = {"bench": "the bench's RAAR + ER", "cohere": "cohere"}

GOAL = 5.0
"""Ratio of phase errors that the paper reports for one object."""

Best = dict[tuple[str, str, str, str], tuple[Reconstruction, list[Reconstruction]]]


def report(request: Request, console: Console, plan: Plan | None = None) -> Ledger:
    """Run the study (or what is missing of it), print its tables and write them down.

    Interrupted (Ctrl-C), it makes the tables of what is there.

    Parameters
    ----------
    request
        ``out`` gets everything and is where a stopped run goes on; ``data``, a measured scan without
        gaps, adds a section.
    console
        Where to print.
    plan
        How much; by default as ``request.quick`` says.

    Raises
    ------
    ValueError
        If the data can't be used.
    OSError
        If the data can't be read.
    """
    plan = plan or (QUICK if request.quick else Plan())
    used = tuple(m for m in METHODS if any(m == fill.method for fill in FILLS.values()))
    config = replace(request, methods=used).config()
    refused = unable(config)
    remarks = [f"{name}: no row, {why.partition(':')[0]}" for name, why in refused.items()]
    config = replace(config, methods=tuple(m for m in used if m not in refused))
    if not cohere.available():
        remarks.append(
            "cohere: no tables, it is not installed (pip install bcdi-inpaint[downstream])"
        )
    holder = tempfile.TemporaryDirectory() if request.out is None else nullcontext(request.out)
    with holder as place:
        folder = Path(place)
        ledger = Ledger(folder / "ledger.jsonl", Digests(config).current)
        try:
            with progress(console) as tell:
                measured = None
                if request.data is not None and plan.measured:
                    tell("reconstructing the whole measured scan", 0.0)
                    frames, unjudged = measured_scan(request)
                    measured = measured_view(plan, frames, unjudged, request.data.stem)
                study(plan, config, ledger, folder, measured, tell)
        except KeyboardInterrupt:
            remarks.append("stopped early: the same command goes on")
        remarks += networks(config)
        made = origin(request, config, f"objects {plan.objects}, starts {plan.starts}")
        tables = tables_of(ledger)
        _write(folder, tables, remarks, made)
        draw(ledger, folder)
    for table in tables:
        table.show(console)
    for remark in (*remarks, made.line()):
        console.print(remark, markup=False, highlight=False)
    return ledger


def tables_of(ledger: Ledger) -> list[Table]:
    """All tables that the ledger allows."""
    lines: list[Reconstruction] = ledger.of(Reconstruction)
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


def best_of(lines: Iterable[Reconstruction]) -> Best:
    """(engine, scene, object, fill) -> the start of best merit, and all starts."""
    groups: dict[tuple[str, str, str, str], list[Reconstruction]] = {}
    for r in lines:
        groups.setdefault((r.engine, r.scene, r.object, r.fill), []).append(r)
    return {key: (min(own, key=lambda r: r.merit), own) for key, own in groups.items()}


def _by_scene(title: str, lines: list[Reconstruction], figure: str) -> Table:
    best = best_of(lines)
    fills = [f for f in FILLS if any(r.fill == f for r in lines)]
    scenes = [s.name for s in (*SCENES, *MEASURED_SCENES)]
    rows = []
    for scene in dict.fromkeys(s for s in scenes if any(r.scene == s for r in lines)):
        cells: list[str | None] = []
        for fill in fills:
            own = [found for key, found in best.items() if key[1] == scene and key[3] == fill]
            if not own:
                cells.append(None)
                continue
            mean = np.mean([getattr(chosen, figure) for chosen, _ in own])
            spread = np.mean([np.std([getattr(r, figure) for r in all_]) for _, all_ in own])
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
    best = {key: chosen for key, (chosen, _) in best_of(lines).items()}
    base = "free" if any(r.fill == "free" for r in lines) else "zero"
    rows = []
    for fill in FILLS:
        pairs = [
            (chosen, best[(engine, scene, name, base)])
            for (engine, scene, name, which), chosen in best.items()
            if which == fill and (engine, scene, name, base) in best
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
    best = {key[1:]: chosen for key, (chosen, _) in best_of(lines).items()}
    offered = ("patching", "patching, soft", "patching, band", "free")
    rows = []
    for gap in sorted(facts, key=lambda f: f.share):
        figures = [best.get((gap.scene, gap.object, fill)) for fill in offered]
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
        ratios = np.array([line.phase_std_gap / line.phase_std_fill for line in own])
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


def _write(folder: Path, tables: list[Table], remarks: list[str], made: Provenance) -> None:
    versions = f"cohere-core {version('cohere-core')}; " if cohere.available() else ""
    line = versions + made.line()
    text = "\n".join([*(t.markdown() for t in tables), *(f"- {r}" for r in remarks)])
    (folder / "tables.md").write_text(f"{text}\n\n<sub>{line}</sub>\n")
    plain = {"provenance": line, "remarks": remarks, "tables": [t.plain() for t in tables]}
    (folder / "tables.json").write_text(json.dumps(plain, indent=1) + "\n")


def draw(ledger: Ledger, folder: Path) -> None:
    """Write ``scatter.png``, ``true-phases.png`` and ``slices-<scene>.png``."""
    lines: list[Reconstruction] = ledger.of(Reconstruction)
    _draw_scatter(lines, folder / "scatter.png")
    if inverse := ledger.of(Inverse):
        _draw_inverse(inverse, folder / "true-phases.png")
    for place in sorted(folder.glob("slices/*/*")):
        if place.parent.name.isdigit():
            _draw_slices(lines, place, folder / f"slices-{place.name.replace(' ', '-')}.png")


def _draw_scatter(lines: list[Reconstruction], path: Path) -> None:
    """Every start a dot, the one that ranks first a line."""
    from matplotlib.figure import Figure

    own = [r for r in lines if r.engine == "bench" and r.object.isdigit()]
    best = best_of(own)
    scenes = list(dict.fromkeys(r.scene for r in own))
    fills = [f for f in FILLS if any(r.fill == f for r in own)]
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    ax = figure.subplots()
    for at, fill in enumerate(fills):
        chosen = {key: found for key, found in best.items() if key[3] == fill}
        offset = (at - (len(fills) - 1) / 2) * 0.85 / len(fills)
        for (_, scene, _, _), (first, all_) in chosen.items():
            x = scenes.index(scene) + offset
            ax.plot([x] * len(all_), [r.complex_l2 for r in all_], ".", c=f"C{at}", ms=3, alpha=0.4)
            ax.plot(x, first.complex_l2, "_", c=f"C{at}", ms=7, mew=2)
        ax.plot([], [], "s", c=f"C{at}", label=fill)
    ax.set_xticks(range(len(scenes)), scenes, rotation=20, fontsize=8)
    ax.set_ylabel("complex L2 error")
    ax.legend(fontsize=7, ncols=len(fills))
    ax.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=110)


def _draw_inverse(inverse: Sequence[Inverse], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), layout="constrained")
    ax = figure.subplots()
    ratios = {
        fill: [r.phase_std_gap / r.phase_std_fill for r in inverse if r.fill == fill]
        for fill in dict.fromkeys(r.fill for r in inverse)
    }
    bins = np.geomspace(0.5, max(map(max, ratios.values())) * 1.1, 16).tolist()
    for fill, values in ratios.items():
        ax.hist(values, bins, histtype="step", lw=1.6, label=fill)
    ax.axvline(GOAL, c="k", ls="--", lw=1)
    ax.set_xscale("log")
    ax.set_xlabel("phase error with the gap / filled")
    ax.set_ylabel("objects")
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def _draw_slices(lines: list[Reconstruction], place: Path, path: Path) -> None:
    """Modulus and phase of the object's middle plane, the truth first, as in the paper's Figs. 7-8."""
    from matplotlib.figure import Figure

    best = best_of(lines)
    truth = np.load(place / "truth.npy")
    shown: dict[str, Any] = {"truth": truth}
    for fill in FILLS:
        found = best.get(("bench", place.name, place.parent.name, fill))
        if found is not None and (place / f"{fill}.npy").is_file():
            shown[f"{fill}\nL2 {found[0].complex_l2:.3f}"] = np.load(place / f"{fill}.npy")
    modulus = np.abs(truth)
    inside = modulus > 0.3 * modulus.max()
    rows, cols = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    view = np.s_[rows[0] - 3 : rows[-1] + 4, cols[0] - 3 : cols[-1] + 4]
    turn = np.exp(-1j * np.angle(truth[inside].sum()))
    figure = Figure(figsize=(1.5 * len(shown), 3.6), layout="constrained")
    axes = figure.subplots(2, len(shown), squeeze=False)
    for (title, image), (top, bottom) in zip(shown.items(), axes.T, strict=True):
        top.imshow(np.abs(image[view]), vmin=0, vmax=modulus.max() * 1.1, cmap="gray")
        phase = np.where(np.abs(image) > 0.3 * modulus.max(), np.angle(image * turn), np.nan)
        bottom.imshow(phase[view], vmin=-1.5, vmax=1.5, cmap="twilight_shifted")
        top.set_title(title, fontsize=7)
        top.set_axis_off()
        bottom.set_axis_off()
    figure.suptitle(f"{place.name}: modulus, and phase from -1.5 to 1.5 rad", fontsize=8)
    figure.savefig(path, dpi=120)
