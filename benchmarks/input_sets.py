"""Which of its inputs the patching network is the better for.

    python benchmarks/input_sets.py [--volumes 64] [--passes 4] [--repeats 2]

Networks from nothing that differ only in which inputs are hidden from them (put to 0): the same patches in
the same order, the same first weights, the same steps, so also the same seconds. Kriging, which they correct,
has the twin in every set. Prints the deviance on held-out volumes, as a share of kriging's: least is best.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from bcdi_inpaint.filling.patching.network import COARSE, FINE
from bcdi_inpaint.lab.simulate.recipes import seeded
from bcdi_inpaint.lab.training.batches import blocks
from bcdi_inpaint.lab.training.loop import VALIDATION_SEEDS, optimise, predict
from bcdi_inpaint.lab.training.recipes import TrainingRecipe
from bcdi_inpaint.lab.training.state import TrainingState
from bcdi_inpaint.lab.training.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bcdi_inpaint.filling.patching.patches import Patches

CPU = torch.device("cpu")
CHANNELS = (*FINE, *COARSE)
TWIN = ("twin's residual", "twin's mask")
PLACE = ("distance", "along frames", "along rows", "along cols")
HIDDEN: dict[str, tuple[str, ...]] = {
    "all inputs (shipped)": (),
    "without the twin's residual and mask": TWIN,
    "without the agreement of the halves": ("agreement",),
    "without the place relative to the peak": PLACE,
    "without any of these": (*TWIN, "agreement", *PLACE),
}


def hiding(patches: Patches, names: tuple[str, ...]) -> Patches:
    """The same patches with some inputs at 0."""
    features = patches.features.clone()
    features[:, [CHANNELS.index(name) for name in names]] = 0
    return replace(patches, features=features)


def trained(
    recipe: TrainingRecipe,
    batches: Sequence[Patches],
    held_out: Sequence[Patches],
    hidden: tuple[str, ...],
) -> float:
    """The held-out deviance of a network after all batches."""
    task = task_of(recipe)
    state = TrainingState.begin(recipe, task, CPU)
    steps = recipe.passes * len(batches)
    for number in range(steps):
        batch = batches[number % len(batches)].turned(seeded(recipe.seed, number))
        state.set_learning_rate(recipe, number / steps)
        optimise(state.network, state.optimiser, hiding(batch, hidden), task, recipe)
        state.average.update_parameters(state.network)
        state.step += 1
    network = state.average.module.eval()
    with torch.inference_mode():
        figures = [
            float(task.loss(predict(network, hiding(patches, hidden), recipe), patches).figure)
            for patches in held_out
        ]
    return float(np.mean(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volumes", type=int, default=64)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and patches")
    parser.add_argument("--repeats", type=int, default=2, help="with the next seeds")
    parser.add_argument("--held-out", type=int, default=12, help="volumes")
    arguments = parser.parse_args()
    seeds = range(VALIDATION_SEEDS, VALIDATION_SEEDS + arguments.held_out)
    held_out = [task_of(TrainingRecipe()).validation_patches(seed, "cpu") for seed in seeds]
    found: dict[str, list[float]] = {name: [] for name in HIDDEN}
    steps = 0
    for seed in range(arguments.seed, arguments.seed + arguments.repeats):
        recipe = TrainingRecipe(
            seed=seed, mixing=arguments.volumes, workers=0, warmup=20, averaging=0.98
        )
        batches = list(next(blocks(recipe)))
        recipe = recipe.model_copy(update={"passes": arguments.passes})
        steps = recipe.passes * len(batches)
        for name, hidden in HIDDEN.items():
            began = time.monotonic()
            found[name].append(trained(recipe, batches, held_out, hidden))
            spent = time.monotonic() - began
            print(f"seed {seed}, {name}: {found[name][-1]:.4f} ({spent:.0f} s)", flush=True)
    print(
        f"\n{arguments.volumes} volumes, {steps} steps of {TrainingRecipe().batch} patches, "
        f"{arguments.held_out} held-out volumes\n"
    )
    print("| inputs | deviance, mean | of each repetition |\n|---|---|---|")
    for name, figures in found.items():
        each = " / ".join(f"{figure:.4f}" for figure in figures)
        print(f"| {name} | {np.mean(figures):.4f} | {each} |")


if __name__ == "__main__":
    main()
