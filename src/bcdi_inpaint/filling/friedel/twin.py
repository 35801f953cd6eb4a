"""The Friedel twin of a box: what was measured at its mirror image through the Bragg peak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..mirroring import mirrored

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
    stack: NDArray[np.number],
    mask: NDArray[np.bool_],
    box: Box,
    symmetry: Symmetry,
    *,
    missing: NDArray[np.bool_] | None = None,
    start: int = 0,
) -> Twin | None:
    """Cut the twin of a box out of a stack.

    Parameters
    ----------
    stack
        ``(frame, row, col)`` counts; those in missing voxels don't matter.
    mask
        bool, the same shape, True = missing.
    box
        Of the scan.
    symmetry
        Of the scan.
    missing
        bool, what is missing of the box; by default the mask in it.
    start
        Frame of the scan with which the stack begins.

    Returns
    -------
    Twin or None
        None where no symmetry is believed, or no missing voxel of the box has a measured twin.
    """
    if not symmetry.believed:
        return None
    mirror = _mirror(symmetry, start)
    known = mirrored(~mask, mirror, box)
    if not (known & (mask[box] if missing is None else missing)).any():
        return None
    counts = np.where(known, mirrored(stack, mirror, box), 0).clip(min=0)
    return Twin(
        torch.from_numpy(counts.astype(np.float32)),
        torch.from_numpy(known.astype(np.float32)),
        symmetry,
    )


def twin_share(
    missing: NDArray[np.bool_],
    symmetry: Symmetry,
    *,
    first: int = 0,
    mask: NDArray[np.bool_] | None = None,
    start: int = 0,
) -> float:
    """Share of missing voxels whose mirror image was measured; 0 where no symmetry is believed.

    Parameters
    ----------
    missing
        bool ``(frame, row, col)``, True = missing: of the scan, or of its frames from `first` on.
    symmetry
        Of the scan.
    first
        Frame of the scan with which `missing` begins.
    mask, start
        Where mirror images are looked for, and the frame with which that begins; by default `missing`.
    """
    if not symmetry.believed or not missing.any():
        return 0.0
    frames, rows, cols = missing.shape
    box = (slice(first, first + frames), slice(0, rows), slice(0, cols))
    known = mirrored(~(missing if mask is None else mask), _mirror(symmetry, start), box)
    return float(known[missing].mean())


def _mirror(symmetry: Symmetry, start: int) -> tuple[int, int, int]:
    """`Symmetry.mirror` from voxels of the scan to those of a stack that begins with frame `start`."""
    first, second, third = symmetry.mirror
    return first - start, second, third
