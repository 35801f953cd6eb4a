"""Batches for training: a stream that is a pure function of the recipe and the step."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from bcdi_inpaint.filling.patching.patches import Portions

from .courses import course
from .volumes import portions_behind_a_gap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from .recipes import TrainingRecipe

SEEDS_A_RUN = 10**9
"""Volumes of recipes with different seeds never meet."""


class Volumes(Dataset[Portions]):
    """Portions of volume i: simulated, or of a measured scan."""

    def __init__(self, recipe: TrainingRecipe, device: str, volumes: range) -> None:
        self.recipe, self.device, self.volumes = recipe, device, volumes

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, item: int) -> Portions:
        seed = self.recipe.seed * SEEDS_A_RUN + self.volumes[item]
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(78,)))
        real = self.recipe.real
        if real and rng.random() < self.recipe.real_share:
            made = real_portions(rng, real[int(rng.integers(len(real)))], self.device)
        else:
            made = course(self.recipe).training(seed, self.device)
        return _carried(made) if get_worker_info() and self.device != "cpu" else made


def _carried(made: Portions) -> Portions:
    """From a worker's GPU memory to shared memory; features in half, which convolutions round anyway."""
    return replace(made, features=made.features.half()).to("cpu")


def real_portions(rng: np.random.Generator, path: Path, device: str) -> Portions:
    """Portions of the measured region of a scan; their truth is the counts themselves.

    Raises
    ------
    ValueError
        If the scan is not one that `scans.from_file` reads.
    """
    from bcdi_inpaint.geometry import flagged
    from bcdi_inpaint.scans import from_file

    scan = from_file(path)
    sound = ~(flagged(scan.frames) | scan.mask)
    counts = np.where(sound, scan.frames, 0).astype(np.float32)
    return portions_behind_a_gap(rng, counts, counts, sound, device)


def blocks(
    recipe: TrainingRecipe,
    *,
    start: int = 0,
    device: str = "cpu",
    rank: int = 0,
    world: int = 1,
    late: Callable[[], bool] = lambda: False,
) -> Iterator[Iterator[Portions]]:
    """Endless blocks of batches, from block `start` on.

    A block is `recipe.mixing` volumes whose portions are shuffled together; block b of process `rank` of
    `world` is the same whenever it is made, so that a training resumes where it was.

    Parameters
    ----------
    recipe
        Decides the data.
    start
        First block.
    device
        Where simulation and kriging run, in `recipe.workers` processes, and where batches are.
    rank, world
        This process and how many there are.
    late
        Whether time is over: then a block ends with the volumes that it has.
    """
    size = recipe.mixing
    volumes = range((start * world + rank) * size, SEEDS_A_RUN)
    own = Volumes(recipe, device, volumes)
    workers = recipe.workers
    order = _order(size, world)
    loader = DataLoader(
        own,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        # The next block is made while this one is learned.
        prefetch_factor=-(-size // workers) if workers else None,
        worker_init_fn=_one_thread,
        multiprocessing_context="forkserver" if workers else None,
    )
    stream = iter(loader)
    block = start
    while True:
        drawn = [next(stream).to(device)]
        while len(drawn) < size and not late():
            drawn.append(next(stream).to(device))
        rng = np.random.default_rng(
            np.random.SeedSequence(recipe.seed, spawn_key=(79, block, rank))
        )
        # Learned again they are turned and mixed anew; to make them takes longer than to learn them.
        passes = [_shuffle(rng, drawn, recipe.batch) for _ in range(recipe.passes)]
        yield chain.from_iterable(passes)
        block += 1


def _order(size: int, world: int) -> Iterator[int]:
    """Own volumes: `size` in a row, then those of the other processes are passed over."""
    block = 0
    while True:
        yield from range(block * size * world, block * size * world + size)
        block += 1


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def _shuffle(
    rng: np.random.Generator, volumes: Sequence[Portions], size: int
) -> Iterator[Portions]:
    """Mix portions of equal shape and turn each batch; what doesn't fill a batch is dropped."""
    groups: dict[torch.Size, list[tuple[Portions, int]]] = {}
    for volume in volumes:
        for index in range(len(volume.start)):
            groups.setdefault(volume.start.shape[1:], []).append((volume, index))
    batches_: list[list[tuple[Portions, int]]] = []
    for members in groups.values():
        mixed = [members[i] for i in rng.permutation(len(members))]
        batches_ += [mixed[i : i + size] for i in range(0, len(mixed) - size + 1, size)]
    for index in rng.permutation(len(batches_)):
        yield _stack(batches_[index]).turned(rng)


def _stack(members: list[tuple[Portions, int]]) -> Portions:
    def gather(name: str) -> torch.Tensor:
        return torch.stack([getattr(portions, name)[index] for portions, index in members])

    kind = type(members[0][0])
    return kind(gather("features").float(), gather("start"), gather("truth"), gather("weight"))
