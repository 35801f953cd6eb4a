"""Gaps of every kind, at random, for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NARROW = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
WIDE = (17, 20, 36, 37, 38, 39, 41)
"""Widths of real gaps (Pilatus, Pilatus4, and the modules of all Eigers); see docs/detectors.md."""

WIDE_SHARE = 0.3
CROSS_SHARE = 0.35
CLUTTER_SHARE = 0.3
"""How often a gap is a wide one, is crossed by another, has faulty pixels beside it."""


def draw_mask(
    rng: np.random.Generator, shape: tuple[int, int, int], peak: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Draw a mask with one main gap, some 5 to 50 voxels from the Bragg peak or across it; True = missing."""
    mask = np.zeros(shape, bool)
    # Gaps cross the detector. Some lie along the frame axis, since frames may be missing, too.
    axis = int(rng.choice(3, p=(0.1, 0.45, 0.45)))
    wide = rng.random() < WIDE_SHARE
    width = int(rng.choice(WIDE if wide else NARROW))
    _lay_plane(mask, axis, width, _place(rng, shape[axis], peak[axis], width))
    if rng.random() < CROSS_SHARE:
        other = int(rng.choice([a for a in range(3) if a != axis]))
        second = width if not wide and rng.random() < 0.5 else int(rng.choice(NARROW))
        _lay_plane(mask, other, second, _place(rng, shape[other], peak[other], second))
    if rng.random() < CLUTTER_SHARE:
        _lay_clutter(rng, mask)
    return mask


def _place(rng: np.random.Generator, length: int, peak: int, width: int) -> int:
    """First missing plane: near the peak more often than not, else anywhere, edges included."""
    if rng.random() < 0.75:
        distance = rng.uniform(-36, 36)
        return int(np.clip(round(peak + distance - width / 2), -width + 1, length - 1))
    return int(rng.integers(-width + 1, length))


def _lay_plane(mask: NDArray[np.bool_], axis: int, width: int, start: int) -> None:
    planes = np.moveaxis(mask, axis, 0)
    planes[max(start, 0) : start + width] = True


def _lay_clutter(rng: np.random.Generator, mask: NDArray[np.bool_]) -> None:
    """Single pixels, a dead super-column, a block, or voxels that differ from frame to frame."""
    _, rows, cols = mask.shape
    kind = rng.integers(4)
    if kind == 0:
        for _ in range(rng.integers(1, 30)):
            mask[:, rng.integers(rows), rng.integers(cols)] = True
    elif kind == 1:
        start = int(rng.integers(cols))
        mask[:, : int(rng.integers(rows // 2, rows)), start : start + 8] = True
    elif kind == 2:
        height, breadth = rng.integers(2, 20, size=2)
        row, col = rng.integers(rows), rng.integers(cols)
        mask[:, row : row + height, col : col + breadth] = True
    else:
        mask |= rng.random(mask.shape) < 0.002
