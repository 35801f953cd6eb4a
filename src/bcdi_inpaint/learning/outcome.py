"""What a training leaves: weights that say what they saw, and a picture of the curve."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING

from ..filling.weights import save_model
from ..provenance import source_commit
from ..simulate.recipe import TRAINING_FAMILIES, TRAINING_STRAINS
from .training import read_curve

if TYPE_CHECKING:
    from pathlib import Path

    from ..filling.network import PatchingNetwork
    from .recipe import TrainingRecipe
    from .training import Progress


def write_outcome(network: PatchingNetwork, recipe: TrainingRecipe, folder: Path) -> Path:
    """Write ``patching.safetensors`` and ``curve.png`` beside the checkpoint.

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
        The file, which ``bi.inpaint(..., model=weights)`` takes.
    """
    curve = read_curve(folder)
    weights = folder / "patching.safetensors"
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
    save_model(network, weights, about)
    draw_curve(curve, folder / "curve.png")
    return weights


def draw_curve(curve: list[Progress], path: Path) -> None:
    """Draw deviance against portions seen, kriging's beside it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    seen = [row.portions for row in curve]
    axes.plot(seen, [row.training for row in curve], color="0.7", label="training portions")
    axes.plot(seen, [row.validation for row in curve], color="#0072b2", label="held-out volumes")
    axes.axhline(
        curve[-1].kriging, color="#d55e00", linestyle="--", label="kriging, held-out volumes"
    )
    axes.set(xlabel="portions seen", ylabel="deviance in the gap", ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
