"""Training patches, cut around the gaps of a volume: the network's input and the truth."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..bands import bands
from ..estimation import estimate
from ..methods import MARGIN, MAX_VOXELS
from . import network
from .bands import starting_point

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import Tensor

    Ints = NDArray[np.integer]

ACROSS, ALONG = 64, 48
ACROSS_WIDE, ALONG_WIDE = 96, 48
"""Sizes of a patch across and along the gap; the wide ones hold a 41-pixel gap and its margins."""

WITH_TWIN = 0.85
"""Share of the gaps that are filled with the twin where it is believed; the network has to work without, too."""

PATCHES_PER_VOLUME = 12
"""Patches that are cut from one volume."""


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """A batch of patches of one shape.

    Attributes
    ----------
    features
        ``(patch, CHANNELS, frame, row, col)``, see `network.features`.
    start
        ``(patch, frame, row, col)``: expected counts that kriging gives.
    truth
        The same shape: the noise-free rate (of real patches: the counts).
    weight
        The same shape: 1 in missing voxels whose truth is known, 0 elsewhere.
    """

    features: Tensor
    start: Tensor
    truth: Tensor
    weight: Tensor

    def to(self, device: torch.device | str) -> Patches:
        """On another device."""
        return type(self)(*(getattr(self, f.name).to(device) for f in fields(self)))

    def turned(self, rng: np.random.Generator) -> Patches:
        """Flip and swap the axes at random: the physics has no preferred direction."""
        axes = [2 + int(a) for a in rng.permutation(3)]
        flips = [axis for axis in (2, 3, 4) if rng.random() < 0.5]

        def turn(x: Tensor) -> Tensor:
            return x.permute(0, 1, *axes).flip(flips).contiguous()

        single = (turn(x[:, None])[:, 0] for x in (self.start, self.truth, self.weight))
        features = turn(self.features)
        along = features[:, network.DIRECTION]
        signs = torch.tensor([-1.0 if axis in flips else 1.0 for axis in (2, 3, 4)])
        features[:, network.DIRECTION] = (
            along[:, [a - 2 for a in axes]] * signs.to(along)[:, None, None, None]
        )
        return Patches(features, *single)


def cut_patches(
    rng: np.random.Generator,
    counts: NDArray[np.float32],
    truth: NDArray[np.float32],
    valid: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    device: str = "cpu",
) -> Patches:
    """Lay a gap over a measured volume and cut patches around it.

    Parameters
    ----------
    rng
        Source of randomness.
    counts, truth
        ``(frame, row, col)``: what was measured, and what belongs in the gap.
    valid
        bool, the same shape: False where the truth is unknown (hot, dead or really missing).
    mask
        bool, the same shape: the gap, True = missing.
    device
        Where kriging is computed.
    """

    def tensor(array: NDArray[np.number] | NDArray[np.bool_]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    usable = mask & valid
    band = max(
        bands(mask, MARGIN, max_voxels=MAX_VOXELS),
        key=lambda band: int((band.own & usable[band.slices]).sum()),
    )
    box = band.slices
    own = band.own & usable[box]
    known = np.where(mask, 0, counts)
    scan = estimate(known, mask, twin=bool(rng.random() < WITH_TWIN))
    surroundings = scan.around(known, mask, box).to(device)
    features, start = starting_point(tensor(known[box]), tensor(mask[box]), surroundings)
    whole = torch.cat((features, start[None], tensor(truth[box])[None], tensor(own)[None]))
    pieces = torch.stack(list(_pieces(rng, whole, own, truth[box])))
    return Patches(pieces[:, : network.CHANNELS], *pieces[:, network.CHANNELS :].unbind(1))


def _pieces(
    rng: np.random.Generator, whole: Tensor, own: NDArray[np.bool_], truth: NDArray[np.float32]
) -> Iterable[Tensor]:
    """Cut boxes around missing voxels, bright ones preferred; across the gap is the first axis."""
    extents = [np.flatnonzero(own.any(axis=tuple(b for b in range(3) if b != a))) for a in range(3)]
    across = int(np.argmin([e[-1] - e[0] for e in extents]))
    wide = extents[across][-1] - extents[across][0] >= ACROSS // 2 - 8
    size = [ALONG_WIDE if wide else ALONG] * 3
    size[across] = ACROSS_WIDE if wide else ACROSS
    places = np.argwhere(own)
    # Dim regions are most of a pattern and all alike.
    brightness = np.log1p(truth[own]) + 0.15
    chosen = places[rng.choice(len(places), PATCHES_PER_VOLUME, p=brightness / brightness.sum())]
    for centre in chosen:
        piece = whole
        for axis in range(3):
            jitter = int(rng.integers(-size[axis] // 4, size[axis] // 4 + 1))
            piece = _window(piece, 1 + axis, int(centre[axis]) + jitter, size[axis])
        yield _across_first(piece, across)


def _across_first(piece: Tensor, across: int) -> Tensor:
    order = [across, *(a for a in range(3) if a != across)]
    piece = piece.permute(0, *(1 + a for a in order)).clone()
    piece[network.DIRECTION] = piece[network.DIRECTION][order]
    return piece


def _window(volume: Tensor, axis: int, centre: int, size: int) -> Tensor:
    """`size` planes around `centre`, as far inside as can be; short volumes are mirrored."""
    length = volume.shape[axis]
    start = min(max(centre - size // 2, 0), max(length - size, 0))
    piece = volume.narrow(axis, start, min(size, length))
    missing = size - length
    if missing > 0:
        index = np.pad(np.arange(length), (missing // 2, missing - missing // 2), mode="reflect")
        piece = volume.index_select(axis, torch.from_numpy(index).to(volume.device))
    return piece
