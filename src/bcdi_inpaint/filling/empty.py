"""Empty regions: missing voxels whose surroundings have no signal get the local mean, without kriging."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Bools = NDArray[np.bool_]

Scalar = TypeVar("Scalar", bound=np.generic)

BLOCK = 8
"""Edge of the blocks in voxels that are checked for a signal."""

SIGNAL = 0.05
"""Mean counts of a voxel from which a block holds a signal."""

NEAR = 2
"""Blocks around a signal that are not empty: kriging and the network use surroundings this far."""

FURTHEST = 6
"""The same for wide gaps, where a signal further away still matters."""

MEASURED = 64
"""Voxels of a block that must be measured to call it empty."""


STRUCTURE = 0.5
"""Standard deviation of the rate in an empty region, as a share of it."""


def fill_empty(intensity: NDArray[np.floating], sigma: NDArray[np.float32], mask: Bools) -> Bools:
    """Fill the missing voxels that lie in empty regions.

    Parameters
    ----------
    intensity, sigma
        ``(frame, row, col)`` counts and uncertainty, 0 in missing voxels; filled in place. Negative counts
        count as 0.
    mask
        bool, the same shape, True = missing.

    Returns
    -------
    The missing voxels that are still to be filled, bool of the same shape.
    """
    counts, measured = _sums(intensity, mask)
    telling = measured >= MEASURED
    signal = telling & (counts >= SIGNAL * measured)
    depth = ndimage.distance_transform_cdt(~telling).max() if telling.any() else 0
    width = 2 * min(NEAR + int(depth), FURTHEST) + 1
    around, known = (
        ndimage.uniform_filter(sums, width, mode="constant") * width**3
        for sums in (counts, measured)
    )
    # Deep inside a gap that is wider than the reach nothing is known.
    empty = ~ndimage.maximum_filter(signal, width) & (known >= MEASURED)
    if not empty.any():
        return mask
    rate = np.where(empty, around.clip(min=0) / known.clip(min=1), 0).astype(np.float32)
    doubt = np.maximum(STRUCTURE * rate, 1 / known.clip(min=1)).astype(np.float32)
    left = mask.copy()
    for layer, start in enumerate(range(0, len(left), BLOCK)):
        part = slice(start, start + BLOCK)
        here = left[part] & _spread(empty[layer], mask.shape[1:])
        np.copyto(intensity[part], _spread(rate[layer], mask.shape[1:]), where=here)
        np.copyto(sigma[part], _spread(doubt[layer], mask.shape[1:]), where=here)
        left[part] &= ~here
    return left


def _spread(blocks: NDArray[Scalar], shape: tuple[int, ...]) -> NDArray[Scalar]:
    """An image in which each block's pixels have its value."""
    rows, cols = shape
    return blocks.repeat(BLOCK, 0)[:rows].repeat(BLOCK, 1)[:, :cols]


def _sums(stack: Floats, mask: Bools) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts, and number of measured voxels, in each block."""
    rows, cols = (np.arange(0, n, BLOCK) for n in stack.shape[1:])
    layers = []
    for start in range(0, len(stack), BLOCK):
        part = slice(start, start + BLOCK)
        images = stack[part].clip(min=0).sum(0, dtype=float), (~mask[part]).sum(0, dtype=float)
        layers.append(
            [np.add.reduceat(np.add.reduceat(image, rows, 0), cols, 1) for image in images]
        )
    counts, measured = np.moveaxis(np.array(layers), 1, 0)
    return counts, measured
