"""Where the work is: boxes around the gaps, each answering for the missing voxels it owns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Box = tuple[slice, slice, slice]

MAX_VOXELS = 2**23
"""A longer band is cut into overlapping pieces, so that memory does not grow with the stack."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A box of the stack around one gap.

    Attributes
    ----------
    slices
        The box, margin included.
    own
        bool, the box's shape: the missing voxels that this band answers for. Other missing voxels
        in the box (of a crossing gap) are unknown to it and answered for by their own bands.
    """

    slices: Box
    own: NDArray[np.bool_]


def bands(mask: NDArray[np.bool_], margin: int, *, max_voxels: int = MAX_VOXELS) -> list[Band]:
    """Cover the missing voxels with boxes that have `margin` voxels of surroundings.

    A gap that crosses the stack (rows, columns or whole frames) becomes a slab over its full
    extent; what is left (blocks, dead super-columns, single pixels) gets a box around each cluster.
    A voxel where gaps cross is owned by each of them.

    Parameters
    ----------
    mask
        bool ``(frame, row, col)``, True = missing.
    margin
        Voxels around the gap.
    max_voxels
        Larger boxes are cut along their longest axis.
    """
    found: list[Band] = []
    covered = np.zeros_like(mask)
    for axis in range(3):
        for run in _planes(mask, axis):
            core = _along(axis, run, mask.shape)
            covered[core] = True
            found += _cut(mask, mask, core, margin, max_voxels)
    rest = mask & ~covered
    for core in _clusters(rest, margin):
        found += _cut(mask, rest, core, margin, max_voxels)
    return found


def _planes(mask: NDArray[np.bool_], axis: int) -> Iterator[slice]:
    """Runs of planes perpendicular to `axis` that are missing over more than half of their area."""
    others = tuple(a for a in range(3) if a != axis)
    missing = mask.mean(axis=others) > 0.5
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False])).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield slice(int(start), int(stop))


def _clusters(rest: NDArray[np.bool_], margin: int) -> Iterator[Box]:
    """Boxes around clusters of missing pixels; pixels that would share their margins are one."""
    pixels = rest.any(axis=0)
    if not pixels.any():
        return
    near = ndimage.binary_dilation(pixels, np.ones((3, 3), bool), iterations=max(margin // 4, 1))
    labels, _ = ndimage.label(near)
    for rows, cols in ndimage.find_objects(np.where(pixels, labels, 0)):
        frames = np.flatnonzero(rest[:, rows, cols].any(axis=(1, 2)))
        yield (slice(int(frames[0]), int(frames[-1]) + 1), rows, cols)


def _cut(
    mask: NDArray[np.bool_], owned: NDArray[np.bool_], core: Box, margin: int, max_voxels: int
) -> Iterator[Band]:
    """Give `core` its margin; halve it along its longest axis while it is too large."""
    slices = _grow(core, margin, mask.shape)
    while mask[slices].all():  # shut in by wider gaps
        margin *= 2
        slices = _grow(core, margin, mask.shape)
    lengths = [s.stop - s.start for s in core]
    longest = int(np.argmax(lengths))
    if np.prod([s.stop - s.start for s in slices]) > max_voxels and lengths[longest] > max(
        4 * margin, 1
    ):
        middle = core[longest].start + lengths[longest] // 2
        for half in (slice(core[longest].start, middle), slice(middle, core[longest].stop)):
            yield from _cut(mask, owned, _replace(core, longest, half), margin, max_voxels)
        return
    inside = tuple(
        slice(c.start - s.start, c.stop - s.start) for c, s in zip(core, slices, strict=True)
    )
    own = np.zeros([s.stop - s.start for s in slices], bool)
    own[inside] = owned[core]
    if own.any():
        yield Band(slices, own)


def _along(axis: int, run: slice, shape: tuple[int, ...]) -> Box:
    whole = (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))
    return _replace(whole, axis, run)


def _replace(box: Box, axis: int, part: slice) -> Box:
    first, second, third = (part if a == axis else box[a] for a in range(3))
    return (first, second, third)


def _grow(box: Box, margin: int, shape: tuple[int, ...]) -> Box:
    first, second, third = (
        slice(max(s.start - margin, 0), min(s.stop + margin, n))
        for s, n in zip(box, shape, strict=True)
    )
    return (first, second, third)
