"""Volumes mirrored at a point, voxel by voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .bands import Box

Voxel = TypeVar("Voxel", bound=np.generic)


def mirrored(
    volume: NDArray[Voxel], mirror: Sequence[int], box: Box | None = None
) -> NDArray[Voxel]:
    """What lies at mirror - q for each voxel q of a box (by default of the volume); 0 where nothing does."""
    within = box or tuple(slice(0, n) for n in volume.shape)
    sources, targets = [], []
    for part, total, length in zip(within, mirror, volume.shape, strict=True):
        first = max(total - part.stop + 1, 0)
        last = max(min(total - part.start + 1, length), first)
        end = total - first + 1 - part.start
        sources.append(slice(first, last))
        targets.append(slice(end - (last - first), end))
    found = np.zeros([part.stop - part.start for part in within], volume.dtype)
    found[tuple(targets)] = volume[tuple(sources)][::-1, ::-1, ::-1]
    return found
