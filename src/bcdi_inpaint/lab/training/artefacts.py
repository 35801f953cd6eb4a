"""What a training leaves: weights that say what they were trained on, and a picture of the curve."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING

from bcdi_inpaint.lab.provenance import source_commit
from bcdi_inpaint.lab.simulate.recipes import TRAINING_FAMILIES, TRAINING_STRAINS

from .curve import read_curve
from .tasks import task_of

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from .curve import CurveRow
    from .recipes import TrainingRecipe
    from .tasks import Task

EARLIER = "earlier.json"
"""In the training's folder: the trainings that the first weights had had."""


def write_artefacts(network: nn.Module, recipe: TrainingRecipe, folder: Path) -> Path:
    """Write the weights that `train` gave, and ``curve.png``, to the training's folder.

    Returned is the weights' file, ``patching.safetensors`` or ``reference_6px.safetensors``:
    ``bi.inpaint(..., method="patching", model=weights)`` takes it; with ``method="reference"`` its folder is to be
    named, ``weights=folder``.
    """
    curve = read_curve(folder)
    task = task_of(recipe)
    earlier = folder / EARLIER
    metadata = {
        "recipe": recipe.model_dump(mode="json"),
        "data": {
            "families": TRAINING_FAMILIES,
            "strains": TRAINING_STRAINS,
            "real": [path.name for path in recipe.real],
        },
        "curve": [asdict(row) for row in curve],
        "patches": curve[-1].patches,
        "earlier": json.loads(earlier.read_text()) if earlier.exists() else [],
        "commit": source_commit(),
        "versions": {name: version(name) for name in ("bcdi-inpaint", "torch", "numpy")},
    }
    draw_curve(curve, task, folder / "curve.png")
    return task.save(network, folder, metadata)


def draw_curve(curve: list[CurveRow], task: Task, path: Path) -> None:
    """Draw the task's figure against the patches seen, and the untrained network's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    seen = [row.patches for row in curve]
    axes.plot(seen, [row.training for row in curve], color="0.7", label="training patches")
    axes.plot(seen, [row.validation for row in curve], color="#0072b2", label="held-out volumes")
    axes.axhline(
        curve[-1].baseline,
        color="#d55e00",
        linestyle="--",
        label=f"{task.baseline}, held-out volumes",
    )
    axes.set(xlabel="patches seen", ylabel=task.figure, ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
