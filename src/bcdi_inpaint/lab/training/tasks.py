"""Training tasks: patches and loss of each kind of network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from bcdi_inpaint.filling.patching.losses import loss
from bcdi_inpaint.filling.patching.network import PatchingNetwork
from bcdi_inpaint.filling.patching.patches import PATCHES_PER_VOLUME, Patches
from bcdi_inpaint.filling.patching.weights import load_model, save_model, write_weights
from bcdi_inpaint.lab.reference.filler import weights_name
from bcdi_inpaint.lab.reference.network import ReferenceNetwork, reference_loss, reference_patch
from bcdi_inpaint.lab.simulate import simulate_scan
from bcdi_inpaint.lab.simulate.recipes import seeded

from .volumes import VOLUME, patches_of_scan, simulated_patches

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from bcdi_inpaint.lab.simulate.recipes import Split

    from .recipes import TrainingRecipe


class TaskLoss(NamedTuple):
    """What is minimised, and the figure that the training curve shows; scalars."""

    minimised: Tensor
    figure: Tensor


class Task(Protocol):
    """What differs between the kinds of networks; the training loop is the same for all.

    Attributes
    ----------
    figure, baseline
        Names of the figure that the training curve shows, and of the fill that an untrained network
        gives.
    """

    figure: str
    baseline: str

    def network(self) -> nn.Module:
        """The network before training."""

    def training_patches(self, seed: int, device: str) -> Patches:
        """Patches of a simulated volume of the training families."""

    def validation_patches(self, seed: int, device: str) -> Patches:
        """Patches of a volume of all families and strains, also those that training never draws."""

    def baseline_output(self, patches: Patches) -> Tensor:
        """The network's output that gives the baseline."""

    def loss(self, output: Tensor, patches: Patches) -> TaskLoss:
        """Compare the network's output with the truth."""

    def save(self, network: nn.Module, folder: Path, metadata: Mapping[str, object]) -> Path:
        """Write weights that ``inpaint`` takes."""


def task_of(recipe: TrainingRecipe) -> Task:
    """The task of a recipe's network."""
    if recipe.network == "reference":
        return _Reference(recipe.width)
    return _Patching(recipe.widths, recipe.begin)


@dataclass(frozen=True)
class _Patching:
    widths: tuple[int, ...]
    begin: str
    figure = "deviance, as a share of kriging's"
    baseline = "kriging"

    def network(self) -> PatchingNetwork:
        network = PatchingNetwork(self.widths)
        if self.begin:
            first = load_model(self.begin, torch.device("cpu")).network
            network.load_state_dict(first.state_dict())
        return network

    def training_patches(self, seed: int, device: str) -> Patches:
        return simulated_patches(seed, device=device)

    def validation_patches(self, seed: int, device: str) -> Patches:
        scan = simulate_scan(seed, VOLUME, split="evaluation")
        return patches_of_scan(np.random.default_rng(seed), scan, device)

    def baseline_output(self, patches: Patches) -> Tensor:
        return torch.zeros_like(patches.features[:, :2])

    def loss(self, output: Tensor, patches: Patches) -> TaskLoss:
        terms = loss(output, patches)
        return TaskLoss(terms.total, terms.deviance)

    def save(self, network: nn.Module, folder: Path, metadata: Mapping[str, object]) -> Path:
        assert isinstance(network, PatchingNetwork)
        path = folder / "patching.safetensors"
        save_model(network, path, metadata)
        return path


class ReferencePatches(Patches):
    """Patches of the published network: `features` and `start` have the gap at zero, `weight` is 1 in it."""

    __slots__ = ()

    def turned(self, rng: np.random.Generator) -> Patches:
        """Unchanged: the gap lies across the second axis, and there is no augmentation."""
        del rng
        return self


def _initialise_as_published(module: nn.Module) -> None:
    """TensorFlow's initial weights; with torch's smaller ones signals fade in so many layers."""
    if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
        nn.init.xavier_uniform_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


_MEAN_LOGIT = -1.2
"""Last bias of the reference; its sigmoid is .14, the mean of the training patches."""


@dataclass(frozen=True)
class _Reference:
    """As published, see `lab.reference.network`, on the same simulated volumes as the patching network."""

    width: int
    figure = "published loss"
    baseline = "gap left at zero"

    def network(self) -> ReferenceNetwork:
        network = ReferenceNetwork()
        network.apply(_initialise_as_published)
        # From a bias of 0 the first steps drive the output to zero, where the sigmoid is flat, and it
        # stays there for thousands of steps: more than a short training has.
        nn.init.constant_(network.head[-1].bias, _MEAN_LOGIT)  # type: ignore[arg-type]
        return network

    def training_patches(self, seed: int, device: str) -> ReferencePatches:
        return self._patches(seed, "training", device)

    def validation_patches(self, seed: int, device: str) -> ReferencePatches:
        return self._patches(seed, "evaluation", device)

    def _patches(self, seed: int, split: Split, device: str) -> ReferencePatches:
        # Its patches are scaled by their brightest voxel and it knows no mask: no hot pixels.
        scan = simulate_scan(
            seed,
            VOLUME,
            split=split,
            device=None if device == "cpu" else device,
            hot_pixels=0,
            dead_pixels=0,
        )
        rng = seeded(seed, 77)
        cut = [reference_patch(scan.counts, self.width, rng) for _ in range(PATCHES_PER_VOLUME)]
        truth = torch.from_numpy(np.stack([patch.truth for patch in cut])).to(device)
        gap = torch.from_numpy(np.stack([patch.mask for patch in cut])).to(device)
        shown = truth.masked_fill(gap, 0)
        return ReferencePatches(shown[:, None], shown, truth, gap.float())

    def baseline_output(self, patches: Patches) -> Tensor:
        return patches.features

    def loss(self, output: Tensor, patches: Patches) -> TaskLoss:
        gap = patches.weight[:, None] > 0
        value = reference_loss(output.float(), patches.truth[:, None], gap)
        return TaskLoss(value, value)

    def save(self, network: nn.Module, folder: Path, metadata: Mapping[str, object]) -> Path:
        path = folder / weights_name(self.width)
        write_weights(network, path, metadata)
        return path
