"""What a network is taught: its portions and its loss. One course for each kind of network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from bcdi_inpaint.filling.patching.losses import loss
from bcdi_inpaint.filling.patching.network import PatchingNetwork
from bcdi_inpaint.filling.patching.patches import PORTIONS, Portions
from bcdi_inpaint.filling.patching.weights import load_model, save_model, write_weights
from bcdi_inpaint.lab.reference.filler import weights_name
from bcdi_inpaint.lab.reference.network import ReferenceNetwork, reference_loss, reference_portion
from bcdi_inpaint.lab.simulate import simulate_scan

from .volumes import VOLUME, portions_behind_a_gap, simulated_portions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from torch import Tensor

    from bcdi_inpaint.lab.simulate.recipes import Split

    from .recipes import TrainingRecipe


class Lesson(NamedTuple):
    """What is minimised, and the figure that curves show; scalars."""

    minimised: Tensor
    shown: Tensor


class Course(Protocol):
    """How one kind of network is taught and judged; the loop is the same for all.

    Attributes
    ----------
    shown, start
        Names of the figure that curves show, and of what the network starts from.
    """

    shown: str
    start: str

    def network(self) -> nn.Module:
        """A network to begin with."""

    def training(self, seed: int, device: str) -> Portions:
        """Portions of a simulated volume of the training families."""

    def held_out(self, seed: int, device: str) -> Portions:
        """Portions of a volume of all families and strains, those kept out of training included."""

    def nothing_learned(self, portions: Portions) -> Tensor:
        """The output that leaves the network's start as it is."""

    def lesson(self, output: Tensor, portions: Portions) -> Lesson:
        """Judge the network's output."""

    def save(self, network: nn.Module, folder: Path, about: Mapping[str, Any]) -> Path:
        """Write weights that ``inpaint`` takes."""


def course(recipe: TrainingRecipe) -> Course:
    """The course of a recipe's network."""
    if recipe.network == "reference":
        return _Reference(recipe.width)
    return _Patching(recipe.widths, recipe.begin)


@dataclass(frozen=True)
class _Patching:
    widths: tuple[int, ...]
    begin: str
    shown = "deviance, as a share of kriging's"
    start = "kriging"

    def network(self) -> PatchingNetwork:
        network = PatchingNetwork(self.widths)
        if self.begin:
            begun = load_model(self.begin, torch.device("cpu")).network
            network.load_state_dict(begun.state_dict())
        return network

    def training(self, seed: int, device: str) -> Portions:
        return simulated_portions(seed, device=device)

    def held_out(self, seed: int, device: str) -> Portions:
        scan = simulate_scan(seed, VOLUME, split="evaluation")
        counts = scan.counts.astype(np.float32)
        sound = ~np.broadcast_to(scan.bad_pixels, counts.shape)
        return portions_behind_a_gap(np.random.default_rng(seed), counts, scan.rate, sound, device)

    def nothing_learned(self, portions: Portions) -> Tensor:
        return torch.zeros_like(portions.features[:, :2])

    def lesson(self, output: Tensor, portions: Portions) -> Lesson:
        terms = loss(output, portions)
        return Lesson(terms.total, terms.deviance)

    def save(self, network: nn.Module, folder: Path, about: Mapping[str, Any]) -> Path:
        assert isinstance(network, PatchingNetwork)
        path = folder / "patching.safetensors"
        save_model(network, path, about)
        return path


class ReferencePortions(Portions):
    """Portions of the published network: `features` and `start` have the gap at zero, `weight` is 1 in it."""

    __slots__ = ()

    def turned(self, rng: np.random.Generator) -> Portions:
        """As they are: the gap lies across the second axis, and there is no augmentation."""
        del rng
        return self


def _begin_as_published(module: nn.Module) -> None:
    """TensorFlow's initial weights; with torch's smaller ones little passes so many layers."""
    if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
        nn.init.xavier_uniform_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


_USUAL = -1.2
"""Before the reference's sigmoid; behind it .14, the mean of its training portions."""


@dataclass(frozen=True)
class _Reference:
    """As published, see `lab.reference.network`, on the volumes of the patching network's course."""

    width: int
    shown = "published loss"
    start = "gap left at zero"

    def network(self) -> ReferenceNetwork:
        network = ReferenceNetwork()
        network.apply(_begin_as_published)
        # At the middle of its range the first steps would drive it to zero, where the sigmoid is flat
        # and Adam remembers them for thousands of steps: more than a short training has.
        nn.init.constant_(network.head[-1].bias, _USUAL)  # type: ignore[arg-type]
        return network

    def training(self, seed: int, device: str) -> ReferencePortions:
        return self._portions(seed, "training", device)

    def held_out(self, seed: int, device: str) -> ReferencePortions:
        return self._portions(seed, "evaluation", device)

    def _portions(self, seed: int, split: Split, device: str) -> ReferencePortions:
        # Its portions are scaled by their brightest voxel and it knows no mask: no hot pixels.
        scan = simulate_scan(
            seed,
            VOLUME,
            split=split,
            device=None if device == "cpu" else device,
            hot_pixels=0,
            dead_pixels=0,
        )
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(77,)))
        cut = [reference_portion(scan.counts, self.width, rng) for _ in range(PORTIONS)]
        truth = torch.from_numpy(np.stack([portion.truth for portion in cut])).to(device)
        gap = torch.from_numpy(np.stack([portion.mask for portion in cut])).to(device)
        shown = truth.masked_fill(gap, 0)
        return ReferencePortions(shown[:, None], shown, truth, gap.float())

    def nothing_learned(self, portions: Portions) -> Tensor:
        return portions.features

    def lesson(self, output: Tensor, portions: Portions) -> Lesson:
        gap = portions.weight[:, None] > 0
        value = reference_loss(output.float(), portions.truth[:, None], gap)
        return Lesson(value, value)

    def save(self, network: nn.Module, folder: Path, about: Mapping[str, Any]) -> Path:
        path = folder / weights_name(self.width)
        write_weights(network, path, about)
        return path
