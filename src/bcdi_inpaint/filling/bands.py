"""Boxes around the gaps, in which they are filled; each fills the missing voxels that it owns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Box = tuple[slice, slice, slice]
T = TypeVar("T")

MAX_VOXELS = 2**23
"""A longer band is cut into overlapping pieces, so that memory does not grow with the stack."""

Fades = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Voxels over which a band's weight falls to 0, at both ends of each axis of its core."""

ABRUPT: Fades = ((0, 0), (0, 0), (0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A box of the stack around one gap.

    Attributes
    ----------
    slices
        The box, margin included.
    own
        bool, the box's shape: the missing voxels that this band fills. Other missing voxels
        in the box (of a crossing gap) are unknown to it and filled by their own bands.
    profiles
        Weights of its fill along each axis, where it shares voxels with other bands.
    """

    slices: Box
    own: NDArray[np.bool_]
    profiles: tuple[NDArray[np.float32], ...]

    def weight(self, part: Box = (slice(None), slice(None), slice(None))) -> NDArray[np.float32]:
        """Weight of its fill in (a part of) the box: 0 in voxels that it does not own."""
        first, second, third = (p[s] for p, s in zip(self.profiles, part, strict=True))
        weight: NDArray[np.float32] = (
            self.own[part] * first[:, None, None] * second[:, None] * third
        )
        return weight


def bands(
    mask: NDArray[np.bool_],
    margin: int,
    *,
    max_voxels: int = MAX_VOXELS,
    wanted: NDArray[np.bool_] | None = None,
) -> list[Band]:
    """Cover the missing voxels with boxes that have `margin` voxels of surroundings.

    A gap that crosses the stack (rows, columns or whole frames) becomes a slab over its full
    extent; the others (blocks, dead super-columns, single pixels) get a box around each cluster.
    A voxel where gaps cross is owned by each of them, one where a long band was cut by both pieces.

    Parameters
    ----------
    mask
        bool ``(frame, row, col)``, True = missing.
    margin
        Voxels around the gap.
    max_voxels
        Larger boxes are cut along their longest axis.
    wanted
        bool, the same shape: the missing voxels to be covered; by default all.
    """
    found: list[Band] = []
    wanted = mask if wanted is None else wanted
    rest = wanted.copy()
    for axis in range(3):
        for run in _planes(mask, axis):
            core = _along(axis, run, mask.shape)
            rest[core] = False
            found += _cut(mask, wanted, core, margin, max_voxels)
    for core in _clusters(rest, margin):
        found += _cut(mask, rest, core, margin, max_voxels)
    return found


def weight_of_all(band: Band, work: list[Band]) -> NDArray[np.float32]:
    """Sum of the weights that all bands have in a band's box; 1 where none has any."""
    total = np.zeros(band.own.shape, np.float32)
    for other in work:
        both = list(zip(band.slices, other.slices, strict=True))
        if all(a.start < b.stop and b.start < a.stop for a, b in both):
            here, there = _overlap(band.slices, other.slices), _overlap(other.slices, band.slices)
            total[here] += other.weight(there)
    return np.where(total > 0, total, np.float32(1))


def _planes(mask: NDArray[np.bool_], axis: int) -> Iterator[slice]:
    """Runs of planes perpendicular to `axis` that are missing over more than half of their area."""
    others = tuple(a for a in range(3) if a != axis)
    missing = mask.mean(axis=others) > 0.5
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False])).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield slice(int(start), int(stop))


def _clusters(rest: NDArray[np.bool_], margin: int) -> Iterator[Box]:
    """Boxes around clusters of missing pixels; pixels whose margins overlap are one cluster."""
    pixels = rest.any(axis=0)
    if not pixels.any():
        return
    near = ndimage.binary_dilation(pixels, np.ones((3, 3), bool), iterations=max(margin // 4, 1))
    labels, _ = ndimage.label(near)
    for rows, cols in ndimage.find_objects(np.where(pixels, labels, 0)):
        frames = np.flatnonzero(rest[:, rows, cols].any(axis=(1, 2)))
        yield (slice(int(frames[0]), int(frames[-1]) + 1), rows, cols)


def _cut(
    mask: NDArray[np.bool_],
    owned: NDArray[np.bool_],
    core: Box,
    margin: int,
    max_voxels: int,
    fades: Fades = ABRUPT,
) -> Iterator[Band]:
    """Add the margin to `core`; while the box is too large, halve it along its longest axis.

    The halves overlap and fade into each other, so that no seam shows.
    """
    held = held_in(core, owned[core])
    if held is None:
        return
    core = held
    slices = _grow(core, margin, mask.shape)
    while mask[slices].all():  # shut in by wider gaps
        margin *= 2
        slices = _grow(core, margin, mask.shape)
    lengths = [s.stop - s.start for s in core]
    longest = int(np.argmax(lengths))
    if np.prod([s.stop - s.start for s in slices]) > max_voxels and lengths[longest] > max(
        4 * margin, 3
    ):
        whole, (left, right) = core[longest], fades[longest]
        overlap = max(margin, 2)
        first = whole.start + (lengths[longest] - overlap) // 2
        for half, fade in (
            (slice(whole.start, first + overlap), (left, overlap)),
            (slice(first, whole.stop), (overlap, right)),
        ):
            yield from _cut(
                mask,
                owned,
                _replace(core, longest, half),
                margin,
                max_voxels,
                _replace(fades, longest, fade),
            )
        return
    inside = tuple(
        slice(c.start - s.start, c.stop - s.start) for c, s in zip(core, slices, strict=True)
    )
    own = np.zeros([s.stop - s.start for s in slices], bool)
    own[inside] = owned[core]
    yield Band(
        slices,
        own,
        tuple(_profile(n, c, fade) for n, c, fade in zip(own.shape, inside, fades, strict=True)),
    )


def held_in(box: Box, marked: NDArray[np.bool_]) -> Box | None:
    """The part of a box around what is marked in it (bool, the box's shape); None if nothing is marked."""
    found = ndimage.find_objects(marked.view(np.int8), max_label=1)[0]
    if found is None:
        return None
    first, second, third = (
        slice(b.start + f.start, b.start + f.stop) for b, f in zip(box, found, strict=True)
    )
    return (first, second, third)


def _profile(length: int, core: slice, fade: tuple[int, int]) -> NDArray[np.float32]:
    """1 within the core, falling linearly over the fades at its ends."""
    place = np.arange(length)
    left = (place - core.start + 1) / (fade[0] + 1)
    right = (core.stop - place) / (fade[1] + 1)
    profile: NDArray[np.float32] = np.minimum(left, right).clip(0, 1).astype(np.float32)
    return profile


def _along(axis: int, run: slice, shape: tuple[int, ...]) -> Box:
    whole = (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))
    return _replace(whole, axis, run)


def _replace(triple: tuple[T, T, T], axis: int, part: T) -> tuple[T, T, T]:
    first, second, third = (part if a == axis else triple[a] for a in range(3))
    return (first, second, third)


def _grow(box: Box, margin: int, shape: tuple[int, ...]) -> Box:
    first, second, third = (
        slice(max(s.start - margin, 0), min(s.stop + margin, n))
        for s, n in zip(box, shape, strict=True)
    )
    return (first, second, third)


def _overlap(box: Box, other: Box) -> Box:
    """Where another box lies in a box, in that one's own indices."""
    first, second, third = (
        slice(max(a.start, b.start) - a.start, min(a.stop, b.stop) - a.start)
        for a, b in zip(box, other, strict=True)
    )
    return (first, second, third)
