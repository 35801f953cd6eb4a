"""Pictures of what the study has found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..real_space import PARTICLE_THRESHOLD
from .fills import FILLS
from .ranking import GOAL
from .truth import errors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from ..patterns import Waves
    from .scenes import View

MARGIN = 3
"""Voxels that are drawn around the particle."""


def draw_scatter(lines: pd.DataFrame, path: Path) -> None:
    """Draw every start of the bench as a dot, the one that ranks first as a line."""
    from matplotlib.figure import Figure

    if len(lines):
        lines = lines[(lines["engine"] == "bench") & lines["object"].str.isdigit()]
    scenes = list(lines.sort_index()["scene"].unique()) if len(lines) else []
    fills = [f for f in FILLS if len(lines) and f in set(lines["fill"])]
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    ax = figure.subplots()
    for at, fill in enumerate(fills):
        offset = (at - (len(fills) - 1) / 2) * 0.85 / len(fills)
        for (scene, _), starts in lines[lines["fill"] == fill].groupby(["scene", "object"]):
            x = scenes.index(scene) + offset
            figures = starts["complex_l2"].to_numpy()
            ax.plot([x] * len(figures), figures, ".", c=f"C{at}", ms=3, alpha=0.4)
            ax.plot(x, figures[0], "_", c=f"C{at}", ms=7, mew=2)
        ax.plot([], [], "s", c=f"C{at}", label=fill)
    ax.set_xticks(range(len(scenes)), scenes, rotation=20, fontsize=8)
    ax.set_ylabel("complex L2 error")
    ax.legend(fontsize=7, ncols=max(len(fills), 1))
    ax.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=110)


def draw_ratios(inverse: pd.DataFrame, path: Path) -> None:
    """Draw how often filling divides the phase error by how much."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), layout="constrained")
    ax = figure.subplots()
    ratios = inverse["phase_std_gap"] / inverse["phase_std_fill"]
    bins = np.geomspace(0.5, ratios.max() * 1.1, 16).tolist()
    for fill, own in ratios.groupby(inverse["fill"], sort=False):
        ax.hist(own, bins, histtype="step", lw=1.6, label=fill)
    ax.axvline(GOAL, c="k", ls="--", lw=1)
    ax.set_xscale("log")
    ax.set_xlabel("phase error with the gap / filled")
    ax.set_ylabel("objects")
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def draw_slices(view: View, images: Mapping[str, Waves], path: Path) -> None:
    """Draw modulus and phase of the object's middle plane, as in the paper's Figs. 7-8.

    The view's own object comes first, then its reconstructions by their names, `aligned`.
    """
    from matplotlib.figure import Figure

    shown = {"truth": _middle(view.truth)}
    for name, image in images.items():
        shown[f"{name}\nL2 {errors(image, view.truth)['complex_l2']:.3f}"] = _middle(image)
    brightest = np.abs(shown["truth"]).max()
    inside = np.abs(shown["truth"]) > PARTICLE_THRESHOLD * brightest
    rows, cols = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    near = tuple(slice(max(i[0] - MARGIN, 0), i[-1] + MARGIN + 1) for i in (rows, cols))
    turn = np.exp(-1j * np.angle(shown["truth"][inside].sum()))
    figure = Figure(figsize=(1.5 * len(shown), 3.6), layout="constrained")
    axes = figure.subplots(2, len(shown), squeeze=False)
    for (title, image), (top, bottom) in zip(shown.items(), axes.T, strict=True):
        modulus = np.abs(image)
        top.imshow(modulus[near], vmin=0, vmax=brightest * 1.1, cmap="gray")
        phase = np.where(modulus > PARTICLE_THRESHOLD * brightest, np.angle(image * turn), np.nan)
        bottom.imshow(phase[near], vmin=-1.5, vmax=1.5, cmap="twilight_shifted")
        top.set_title(title, fontsize=7)
        top.set_axis_off()
        bottom.set_axis_off()
    figure.suptitle(f"{view.scene.name}: modulus, and phase from -1.5 to 1.5 rad", fontsize=8)
    figure.savefig(path, dpi=120)


def _middle(image: Waves) -> Waves:
    plane: Waves = np.fft.fftshift(image)[image.shape[0] // 2]
    return plane
