"""Missing pixels that are found in the data: values that are no counts, hot and dead pixels."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BLOCKS = 8
"""Parts of a scan, from its first to its last frame, in which a pixel is judged."""
BLOCKS_HOT = 6
"""Number of these parts in which a hot pixel must be brighter, so that it is also bright far from the Bragg
peak."""
HOT_RATIO = 4.0
"""Counts over the neighbours'. Fringes that are sampled by 3 pixels stay below 3."""
HOT_SIGNIFICANCE = 4.0
"""Excess over the neighbours in standard deviations, in each block."""
MOST_BITS = 32
"""Of a pixel in a detector's images."""
DEAD_EXPECTED = 25.0
"""Counts that the neighbours of a dead pixel must have: exp(-25) is the odds of none by chance."""


def flagged(frames: NDArray[np.number], *, bits: int | None = None) -> NDArray[np.bool_]:
    """Mark values that are flags instead of counts.

    These are NaN and infinities, negative values (-1 and -2 mark gaps and bad pixels on Pilatus), the highest
    value of an integer type (detectors write 2**bits - 1 into masked and saturated pixels), and 2**32 - 1 or
    more in any type. Each value is judged alone, whatever the other voxels hold, so that flags don't depend
    on which part of a scan is read.

    Parameters
    ----------
    frames
        Counts of any real dtype and shape, usually ``(frame, row, col)``. Frames must not be
        summed before: a sum of flags isn't a flag.
    bits
        Bits of a pixel in the detector's images, where they have been cast to a wider type since:
        2**bits - 1 is a flag then, as 65535 of 16-bit images is. Nothing else tells such a flag
        from a count.

    Returns
    -------
    bool array
        The shape of `frames`; True = not a count.

    Raises
    ------
    TypeError
        If the frames aren't real numbers.
    ValueError
        If no image has so many bits.
    """
    if frames.dtype.kind not in "iuf":
        raise TypeError(f"frames must hold real numbers; got {frames.dtype}")
    if bits is not None and not 1 <= bits <= MOST_BITS:
        raise ValueError(f"bits must be 1 to {MOST_BITS}; got {bits}")
    if frames.dtype.kind == "f":
        flags = ~np.isfinite(frames)
    else:
        flags = frames == np.iinfo(frames.dtype.name).max
    if frames.dtype.kind != "u":
        flags |= frames < 0
    if frames.dtype.itemsize > 2:  # others can't hold such values
        flags |= frames >= 2**32 - 1
    if bits is not None:
        with np.errstate(over="ignore"):  # as a half-precision float it is infinite
            flags |= frames == 2**bits - 1
    return np.asarray(flags)


def hot_pixels(
    *,
    dark: NDArray[np.number] | None = None,
    frames: NDArray[np.number] | None = None,
    mask: NDArray[np.bool_] | None = None,
    level: float = 1.0,
) -> NDArray[np.bool_]:
    """Find pixels that count without photons, from a dark or from the scan itself.

    In a dark, pixels above `level` are hot. In a scan, a pixel is hot if it has far more counts
    than its neighbours in at least six of eight consecutive parts of the scan, hence also far off
    the peak; a Bragg peak, or one of another crystal, is neither that sharp nor that lasting.
    Found are single pixels and pairs that count 20 or more in an eighth of the scan.

    Parameters
    ----------
    dark
        ``(row, col)``, or ``(frame, row, col)`` of which the median is taken.
    frames
        ``(frame, row, col)`` counts of a rocking scan, at least 8 frames. Give this or `dark`.
    mask
        What is known to be missing, ``(row, col)`` or ``(frame, row, col)``: neither reported nor
        used as a neighbour. Give the geometry's, since large pixels count more than others.
        Flagged values are left out as well.
    level
        Counts in the dark that a good pixel may have.

    Returns
    -------
    bool array, (row, col)
        True = hot.
    """
    if dark is not None and frames is None:
        if dark.ndim not in (2, 3):
            raise ValueError(f"dark must be (row, col) or (frame, row, col); got {dark.shape}")
        hot = (dark if dark.ndim == 2 else np.median(dark, axis=0)) > level
        return np.asarray(hot if mask is None else hot & ~_known(mask, dark.shape))
    if frames is None or dark is not None:
        raise TypeError("hot_pixels takes either dark= or frames=")
    if frames.ndim == 3 and len(frames) < BLOCKS:
        raise ValueError(
            f"frames must be {BLOCKS} or more to tell a hot pixel from a peak; got {len(frames)}"
        )
    stands_out = np.zeros(frames.shape[1:], dtype=np.int64)
    for counts, measured in _blocks(frames, mask):
        # The second largest: one neighbour may be hot itself, while along a streak or a fringe
        # two are as bright.
        neighbour = _neighbours(counts, measured, absent=-1.0)[-2]
        expected = np.maximum(neighbour, 0.0) * measured
        noise = np.sqrt(counts + expected + 1)
        stands_out += (
            (neighbour >= 0)
            & (counts > HOT_RATIO * expected)
            & (counts - expected > HOT_SIGNIFICANCE * noise)
        )
    return np.asarray(stands_out >= BLOCKS_HOT)


def dead_pixels(
    frames: NDArray[np.number], *, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Find pixels that never count while their neighbours clearly do.

    Only where the scan has light can a dead pixel be told from a dark place: at least 25 counts
    over the scan must be expected from the neighbours. Found are single pixels and pairs; gaps and
    dead columns are the geometry's or a mask file's.

    Parameters
    ----------
    frames
        ``(frame, row, col)`` counts.
    mask
        What is known to be missing, ``(row, col)`` or ``(frame, row, col)``: neither reported nor
        used as a neighbour. Flagged values are left out as well.

    Returns
    -------
    bool array, (row, col)
        True = dead.
    """
    counts = np.zeros(frames.shape[1:])
    measured = np.zeros(frames.shape[1:])
    for block_counts, block_measured in _blocks(frames, mask):
        counts += block_counts
        measured += block_measured
    # The second smallest: one neighbour may be dead itself, while along a dark fringe two are.
    neighbour = _neighbours(counts, measured, absent=np.inf)[1]
    expected = np.where(np.isinf(neighbour), 0.0, neighbour) * measured
    return np.asarray((counts == 0) & (expected >= DEAD_EXPECTED))


def _blocks(
    frames: NDArray[np.number], mask: NDArray[np.bool_] | None
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Counts, and number of measured frames, of each pixel in each part of the scan."""
    if frames.ndim != 3:
        raise ValueError(f"frames must be (frame, row, col); got shape {frames.shape}")
    known = None if mask is None else np.broadcast_to(_known(mask, frames.shape), frames.shape)
    borders = np.linspace(0, len(frames), min(BLOCKS, len(frames)) + 1).astype(int)
    for start, stop in pairwise(borders):
        block = frames[start:stop]
        good = ~flagged(block)
        if known is not None:
            good &= ~known[start:stop]
        yield block.sum(axis=0, dtype=np.float64, where=good), good.sum(axis=0)


def _known(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if mask.dtype != np.bool_ or mask.shape not in (shape, shape[-2:]):
        raise ValueError(
            f"mask must be bool of shape {shape[-2:]} or {shape}; got {mask.dtype} {mask.shape}"
        )
    return mask


def _neighbours(
    counts: NDArray[np.float64], measured: NDArray[np.number], *, absent: float
) -> NDArray[np.float64]:
    """Counts a frame of each pixel's eight neighbours in ascending order, (8, row, col).

    `absent` stands for a neighbour that wasn't measured or lies beyond the frame.
    """
    rate = np.divide(counts, measured, out=np.full(counts.shape, absent), where=measured > 0)
    framed = np.pad(rate, 1, constant_values=absent)
    rows, cols = counts.shape
    shifts = [(row, col) for row in range(3) for col in range(3) if (row, col) != (1, 1)]
    ring = np.stack([framed[row : row + rows, col : col + cols] for row, col in shifts])
    ring.sort(axis=0)
    return ring
