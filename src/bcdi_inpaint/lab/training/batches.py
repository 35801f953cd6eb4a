"""Batches for training: a stream that is a pure function of the recipe and the step."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from bcdi_inpaint.filling.patching.patches import Patches
from bcdi_inpaint.geometry import flagged
from bcdi_inpaint.lab.simulate.recipes import seeded
from bcdi_inpaint.scans import from_file

from .tasks import task_of
from .volumes import patches_around_gap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from .recipes import TrainingRecipe

SEEDS_PER_RECIPE = 10**9
"""Volumes of recipes with different seeds have nothing in common."""


class Volumes(Dataset[Patches]):
    """Patches of volume i: simulated, or of a measured scan."""

    def __init__(self, recipe: TrainingRecipe, device: str, volumes: range) -> None:
        self.recipe, self.device, self.volumes = recipe, device, volumes

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, item: int) -> Patches:
        seed = self.recipe.seed * SEEDS_PER_RECIPE + self.volumes[item]
        rng = seeded(seed, 78)
        real = self.recipe.real
        if real and rng.random() < self.recipe.real_share:
            patches = measured_patches(rng, real[int(rng.integers(len(real)))], self.device)
        else:
            patches = task_of(self.recipe).training_patches(seed, self.device)
        if get_worker_info() and self.device != "cpu":
            # Sent through shared memory; in half precision, to which convolutions round anyway.
            return replace(patches, features=patches.features.half()).to("cpu")
        return patches


def measured_patches(rng: np.random.Generator, path: Path, device: str) -> Patches:
    """Patches of the measured region of a scan; their truth is the counts themselves."""
    scan = from_file(path)
    valid = ~(flagged(scan.frames) | scan.mask)
    counts = np.where(valid, scan.frames, 0).astype(np.float32)
    return patches_around_gap(rng, counts, counts, valid, device)


def blocks(
    recipe: TrainingRecipe,
    *,
    start: int = 0,
    device: str = "cpu",
    rank: int = 0,
    world: int = 1,
    time_is_over: Callable[[], bool] = lambda: False,
) -> Iterator[Iterator[Patches]]:
    """Endless blocks of batches, from block `start` on.

    A block is `recipe.mixing` volumes whose patches are shuffled together; block b of process `rank` of
    `world` is the same whenever it is made, so that a training resumes where it was. Simulation and kriging run on
    `device`, in `recipe.workers` processes; when time is over, a block ends with the volumes that it has.
    """
    size, workers = recipe.mixing, recipe.workers
    loader = DataLoader(
        Volumes(recipe, device, range((start * world + rank) * size, SEEDS_PER_RECIPE)),
        batch_size=None,
        sampler=_order(size, world),
        num_workers=workers,
        # The next block is made while the network trains on this one.
        prefetch_factor=-(-size // workers) if workers else None,
        worker_init_fn=_one_thread,
        multiprocessing_context="forkserver" if workers else None,
    )
    stream = iter(loader)
    block = start
    while True:
        drawn = [next(stream).to(device)]
        while len(drawn) < size and not time_is_over():
            drawn.append(next(stream).to(device))
        rng = seeded(recipe.seed, 79, block, rank)
        # Each pass turns and mixes the patches anew: making them takes longer than training on them.
        passes = [_shuffle(rng, drawn, recipe.batch) for _ in range(recipe.passes)]
        yield chain.from_iterable(passes)
        block += 1


def _order(size: int, world: int) -> Iterator[int]:
    """This process' volumes: `size` in a row, then the other processes' are skipped."""
    block = 0
    while True:
        yield from range(block * size * world, block * size * world + size)
        block += 1


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def _shuffle(rng: np.random.Generator, volumes: Sequence[Patches], size: int) -> Iterator[Patches]:
    """Mix patches of equal shape and turn each batch; those that don't fill a batch are dropped."""
    groups: dict[torch.Size, list[tuple[Patches, int]]] = {}
    for volume in volumes:
        for index in range(len(volume.start)):
            groups.setdefault(volume.start.shape[1:], []).append((volume, index))
    batches: list[list[tuple[Patches, int]]] = []
    for members in groups.values():
        mixed = [members[i] for i in rng.permutation(len(members))]
        batches += [mixed[i : i + size] for i in range(0, len(mixed) - size + 1, size)]
    for index in rng.permutation(len(batches)):
        yield _stack(batches[index]).turned(rng)


def _stack(members: list[tuple[Patches, int]]) -> Patches:
    def gather(name: str) -> torch.Tensor:
        return torch.stack([getattr(patches, name)[index] for patches, index in members])

    kind = type(members[0][0])
    return kind(gather("features").float(), gather("start"), gather("truth"), gather("weight"))
