"""What a training leaves: weights that say what they saw, and a picture of the curve."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING

from bcdi_inpaint.lab.provenance import source_commit
from bcdi_inpaint.lab.simulate.recipes import TRAINING_FAMILIES, TRAINING_STRAINS

from .courses import course
from .curve import read_curve

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from .courses import Course
    from .curve import CurveRow
    from .recipes import TrainingRecipe


def write_outcome(network: nn.Module, recipe: TrainingRecipe, folder: Path) -> Path:
    """Write the weights, ``patching.safetensors`` or ``reference_6px.safetensors``, and ``curve.png``.

    Parameters
    ----------
    network
        From `train`.
    recipe
        What it was trained by.
    folder
        The training's.

    Returns
    -------
    weights
        The file: ``bi.inpaint(..., method="patching", model=weights)`` takes it; with
        ``method="reference"`` its folder is to be named, ``weights=folder``.
    """
    curve = read_curve(folder)
    taught = course(recipe)
    about = {
        "recipe": recipe.model_dump(mode="json"),
        "data": {
            "families": TRAINING_FAMILIES,
            "strains": TRAINING_STRAINS,
            "real": [path.name for path in recipe.real],
        },
        "curve": [asdict(row) for row in curve],
        "portions": curve[-1].portions,
        "commit": source_commit(),
        "versions": {name: version(name) for name in ("bcdi-inpaint", "torch", "numpy")},
    }
    draw_curve(curve, taught, folder / "curve.png")
    return taught.save(network, folder, about)


def draw_curve(curve: list[CurveRow], taught: Course, path: Path) -> None:
    """Draw what the course shows against portions seen, and what the network starts from."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    seen = [row.portions for row in curve]
    axes.plot(seen, [row.training for row in curve], color="0.7", label="training portions")
    axes.plot(seen, [row.validation for row in curve], color="#0072b2", label="held-out volumes")
    axes.axhline(
        curve[-1].start, color="#d55e00", linestyle="--", label=f"{taught.start}, held-out volumes"
    )
    axes.set(xlabel="portions seen", ylabel=taught.shown, ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
