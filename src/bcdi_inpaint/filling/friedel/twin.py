"""The Friedel twin of a box: what was measured at its mirror image through the Bragg peak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from .symmetry import mirrored

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from ..bands import Box
    from .symmetry import Symmetry


@dataclass(frozen=True, slots=True, eq=False)
class Twin:
    """What lies at the mirror image of each voxel of a box.

    Attributes
    ----------
    stack
        float32 ``(frame, row, col)`` counts, 0 where nothing was measured.
    known
        float32, the same shape: 1 where something was, else 0.
    symmetry
        Of the scan; believed.
    """

    stack: Tensor
    known: Tensor
    symmetry: Symmetry

    def to(self, device: torch.device | str) -> Twin:
        """On another device."""
        return Twin(self.stack.to(device), self.known.to(device), self.symmetry.to(device))


def twin_of(
    stack: NDArray[np.floating], mask: NDArray[np.bool_], box: Box, symmetry: Symmetry
) -> Twin | None:
    """Cut the twin of a box out of a stack.

    Parameters
    ----------
    stack
        ``(frame, row, col)`` counts; those in missing voxels don't matter.
    mask
        bool, the same shape, True = missing.
    box
        Of the stack.
    symmetry
        Of the scan.

    Returns
    -------
    Twin or None
        None where no symmetry is believed, or no missing voxel of the box has a measured twin.
    """
    if not symmetry.believed:
        return None
    inside = mirrored(np.broadcast_to(True, mask.shape), symmetry.mirror, box)
    known = inside & ~mirrored(mask, symmetry.mirror, box)
    if not (known & mask[box]).any():
        return None
    counts = np.where(known, mirrored(stack, symmetry.mirror, box), 0).clip(min=0)
    return Twin(
        torch.from_numpy(counts.astype(np.float32)),
        torch.from_numpy(known.astype(np.float32)),
        symmetry,
    )


def twin_share(mask: NDArray[np.bool_], symmetry: Symmetry) -> float:
    """Share of missing voxels whose mirror image was measured; 0 where no symmetry is believed."""
    if not symmetry.believed or not mask.any():
        return 0.0
    inside = mirrored(np.broadcast_to(True, mask.shape), symmetry.mirror)
    return float((inside & ~mirrored(mask, symmetry.mirror))[mask].mean())
