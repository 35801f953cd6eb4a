"""The patching model: a network's correction to kriging, over entire bands in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ..kriging import gap_depth, krige
from ..method import Fill
from .devices import autocast
from .network import SOFTENING, STRIDE, expectation, features
from .weights import load_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from ..estimation import Surroundings

STEPS_PER_VOXEL = 8
"""Of the kriging that the network starts from, for each voxel of a gap's depth: each step carries the
measured surroundings further into the gap."""
STEPS = (16, 48)
"""Least and most: with more, the network's fill does not change."""


def fill(
    stack: NDArray[np.float32],
    mask: NDArray[np.bool_],
    *,
    surroundings: Surroundings,
    model: str,
    device: str,
) -> Fill:
    """Fill one band with the patching network.

    Parameters
    ----------
    stack
        float32 ``(frame, row, col)``, 0 in missing voxels.
    mask
        bool of the same shape, True = missing.
    surroundings
        Texture, symmetry and twin.
    model
        Name of a shipped model or path of a weights file.
    device
        A torch device.
    """
    target = torch.device(device)
    return fill_with(load_model(model, target).folded, stack, mask, surroundings, target)


def fill_with(
    network: nn.Module,
    stack: NDArray[np.float32],
    mask: NDArray[np.bool_],
    surroundings: Surroundings,
    device: torch.device,
) -> Fill:
    """Fill one band with a given network, which is on `device` and in evaluation mode."""
    inside = torch.from_numpy(stack).to(device)
    gap = torch.from_numpy(mask).to(device)
    with torch.inference_mode():
        seen, start = starting_point(inside, gap, surroundings.to(device))
        output = _predict(network, seen)
        log_mean, log_shape = expectation(output, start)
        softened = torch.exp(log_mean)
        sigma = softened * torch.exp(-0.5 * log_shape)
        rate = (softened - SOFTENING).clamp_min(0)
    return Fill(rate.cpu().numpy(), sigma.cpu().numpy())


def starting_point(stack: Tensor, mask: Tensor, around: Surroundings) -> tuple[Tensor, Tensor]:
    """The network's input for a band, and the expected counts that it corrects.

    Parameters
    ----------
    stack, mask
        float32 ``(frame, row, col)``, 0 in missing voxels; bool, True = missing.
    around
        Texture, symmetry and twin, on the same device.

    Returns
    -------
    features, start
        ``(CHANNELS, frame, row, col)`` and ``(frame, row, col)``.
    """
    fewest, most = STEPS
    steps = min(max(STEPS_PER_VOXEL * gap_depth(mask), fewest), most)
    field = krige(stack, mask, around.texture, around.twin, steps)
    seen = features(stack, mask, field, around.twin, around.symmetry, around.corner)
    return seen, torch.expm1(field.value.clamp_min(0))


def _predict(network: nn.Module, seen: Tensor) -> Tensor:
    """Run the network on features ``(CHANNELS, frame, row, col)`` of any size."""
    shape = seen.shape[1:]
    padding = [(0, -n % STRIDE) for n in reversed(shape)]
    padded = functional.pad(seen[None], [p for pair in padding for p in pair], mode="replicate")
    with autocast(seen.device):
        output = network(padded)
    return output[0, :, : shape[0], : shape[1], : shape[2]].float()  # type: ignore[no-any-return]
