"""Fine-tuning a network on the scan it is to fill (Masto et al. 2024, section 2.7)."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from bcdi_inpaint.progress import no_progress

from .devices import autocast, channels_last, choose_device
from .losses import loss
from .patches import PATCHES_PER_VOLUME, Patches, cut_patches
from .weights import Model, load_model, save_model, trainings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from bcdi_inpaint.progress import Progress

    from .network import PatchingNetwork

HELD_OUT = 0.2
"""Share of the artificial gaps that decides when to stop, and whether the tuned weights are kept."""

MAKING_SHARE = 0.4
"""Of the time, at most for making patches."""

FEWEST_GAPS = 2
"""One to train on and one to judge by, however long they take."""

PATIENCE = 1
"""Epochs without progress on held-out patches before tuning stops."""


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    """A network tuned to one scan.

    Attributes
    ----------
    network
        The tuned one, or the old one where tuning made nothing better.
    before, after
        Deviance on held-out patches of the scan, with the old and the returned network.
    patches, epochs, seconds
        What it was tuned on, how often, how long.
    model
        What it began with.
    """

    network: PatchingNetwork
    before: float
    after: float
    patches: int
    epochs: int
    seconds: float
    model: Model

    @property
    def improved(self) -> bool:
        """Whether the network differs from the one it began with."""
        return self.after < self.before

    def save(self, path: Path, **about: object) -> None:
        """Write the weights to a safetensors file that ``inpaint(..., model=path)`` takes.

        Parameters
        ----------
        path
            Ends in ``.safetensors``.
        **about
            More for the file's metadata: ``raw_uid``, ``sample``.
        """
        figures = {"before": self.before, "after": self.after, "patches": self.patches}
        began_with = {"model": self.model.name, "sha256": self.model.sha256}
        metadata = {
            **about,
            "fine_tuning": {**figures, **began_with},
            "earlier": trainings(self.model.metadata),
        }
        save_model(self.network, path, metadata)


def finetune(
    stack: ArrayLike,
    mask: ArrayLike,
    *,
    model: str = "patching",
    patches: int = 6400,
    epochs: int = 3,
    seconds: float = 55.0,
    learning_rate: float = 2e-4,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = no_progress,
) -> FineTuned:
    """Tune a network on patches of a scan that no gap touches.

    Artificial gaps, as wide as the real ones, are laid over measured voxels; their counts are the truth.

    Parameters
    ----------
    stack
        ``(frame, row, col)`` counts; at least 64 voxels in two directions.
    mask
        bool ``(row, col)`` or ``(frame, row, col)``, True = missing.
    model
        What to begin with: a shipped model or a weights file.
    patches
        How many to train on, at most.
    epochs
        Passes over them, at most.
    seconds
        End after about this time; making patches included.
    learning_rate
        Of AdamW.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    seed
        Of the places of gaps and patches.
    progress
        Called with the share of the work that is done.

    Raises
    ------
    ValueError
        If no gap of the scan's widths fits on measured voxels.
    """
    session = _Session(seconds, progress)
    target = choose_device(device)
    first = load_model(model, target)
    network = copy.deepcopy(first.network)
    made = session.make_patches(_around_artificial_gaps(stack, mask, patches, seed, target))
    held = max(round(HELD_OUT * len(made)), 1)
    held_out, training = made[:held], made[held:]
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate)
    before, after, done = session.train(network, optimiser, training, held_out, epochs, seed)
    trained_on = sum(len(batch.start) for batch in training)
    return FineTuned(network.to("cpu"), before, after, trained_on, done, session.elapsed(), first)


@dataclass(frozen=True, slots=True)
class _Session:
    """The time that fine-tuning has, and what it reports."""

    seconds: float
    progress: Progress
    began: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        return time.monotonic() - self.began

    def make_patches(self, around_gaps: Iterable[Patches]) -> list[Patches]:
        """As many as `MAKING_SHARE` of the time makes; at least those of `FEWEST_GAPS`."""
        made: list[Patches] = []
        for patches in around_gaps:
            made.append(patches)
            share = self.elapsed() / self.seconds
            self.progress("making patches", min(share, MAKING_SHARE))
            if len(made) >= FEWEST_GAPS and share > MAKING_SHARE:
                break
        return made

    def train(
        self,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        training: list[Patches],
        held_out: list[Patches],
        epochs: int,
        seed: int,
    ) -> tuple[float, float, int]:
        """Deviance on held-out patches before, and with the best weights, which are kept; epochs made."""
        before = best = _deviance(network, held_out)
        kept = copy.deepcopy(network.state_dict())
        rng = np.random.default_rng(seed)
        epoch, since_best = 0, 0
        while epoch < epochs and since_best <= PATIENCE and self.elapsed() <= self.seconds:
            for count, index in enumerate(rng.permutation(len(training))):
                if self.elapsed() > self.seconds:
                    break
                _step(network, optimiser, training[index].turned(rng))
                done = (epoch + count / len(training)) / epochs
                self.progress("fine-tuning", MAKING_SHARE + (1 - MAKING_SHARE) * done)
            epoch, since_best = epoch + 1, since_best + 1
            deviance = _deviance(network, held_out)
            if deviance < best:
                best, since_best, kept = deviance, 0, copy.deepcopy(network.state_dict())
        network.load_state_dict(kept)
        return before, best, epoch


def _around_artificial_gaps(
    stack: ArrayLike, mask: ArrayLike, patches: int, seed: int, device: torch.device
) -> Iterator[Patches]:
    """About so many patches around artificial gaps over measured voxels, gap by gap."""
    counts = np.asarray(stack, dtype=np.float32)
    missing = np.broadcast_to(np.asarray(mask, dtype=bool), counts.shape)
    known = np.where(missing, 0, counts)
    for number in range(max(patches // PATCHES_PER_VOLUME, FEWEST_GAPS)):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        gap = _artificial_gap(rng, missing)
        yield cut_patches(rng, known, known, ~missing, gap | missing, str(device))


def _artificial_gap(rng: np.random.Generator, missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A straight gap as wide as one of the scan's, where most voxels are measured."""
    widths = [(axis, width) for axis in (1, 2) for width in _widths(missing, axis)] or [(1, 6)]
    for _ in range(50):
        axis, width = widths[int(rng.integers(len(widths)))]
        # In either direction of the detector: the pattern has fringes along both.
        axis = int(rng.choice((1, 2)))
        length = missing.shape[axis]
        if width > length // 3:
            continue
        start = int(rng.integers(0, length - width + 1))
        planes = np.moveaxis(missing, axis, 0)[start : start + width]
        if planes.mean() < 0.5:
            gap = np.zeros_like(missing)
            np.moveaxis(gap, axis, 0)[start : start + width] = True
            return gap
    raise ValueError(
        "mask leaves no room for an artificial gap as wide as the real ones: too little is measured "
        "to fine-tune on"
    )


def _widths(missing: NDArray[np.bool_], axis: int) -> list[int]:
    """Widths of the gaps that run across the detector."""
    others = tuple(a for a in range(3) if a != axis)
    planes = missing.mean(axis=others) > 0.5
    edges = np.flatnonzero(np.diff(np.concatenate(([0], planes, [0]))))
    return [int(stop - start) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _step(network: nn.Module, optimiser: torch.optim.Optimizer, batch: Patches) -> None:
    # The intensities of one scan are not those of all: the normalisation's statistics are kept.
    network.eval()
    optimiser.zero_grad()
    loss(_predict(network, batch), batch).deviance.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()


def _deviance(network: nn.Module, held_out: list[Patches]) -> float:
    network.eval()
    with torch.inference_mode():
        total = sum(float(loss(_predict(network, batch), batch).deviance) for batch in held_out)
    return total / len(held_out)


def _predict(network: nn.Module, batch: Patches) -> Tensor:
    with autocast(batch.features.device):
        return network(channels_last(batch.features))  # type: ignore[no-any-return]
