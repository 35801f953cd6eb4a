"""Plain interpolations, the baselines of every other method.

Nearest, linear, cubic and biharmonic work plane by plane (one frame at a time, as an image-processing
package would), and on log(1 + counts): between a Bragg peak and its surroundings counts change by
decades, and a straight line between counts overestimates what lies between (on the real scan of the
tests, a 12 px gap near the peak gets 2.7 times its counts; on the logarithm, 1.08 times). The price
is known: where there is less than a count or so per voxel, the mean of a logarithm is biased low.
All frames that share a mask share one triangulation, so a whole band costs little more than a frame.

What can't be interpolated (gaps at the array's edge) takes the nearest measured pixel of its frame;
a frame without any measured pixel is interpolated between its neighbouring frames.

The standard deviation follows from the scan itself, see :func:`spread`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.spatial import Delaunay, QhullError
from skimage.restoration import inpaint_biharmonic
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from .method import Fill

# scipy.signal and scipy.interpolate, with the optimizers that they load, take longer to import than all
# else here: they are imported by the one method that needs them.

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Bools = NDArray[np.bool_]
    # (log counts of the frames that share a gap, that gap) -> log counts of its pixels (frame, pixel)
    PlaneFill = Callable[[Floats, Bools], Floats]

RIM = 2
"""Measured pixels around a gap that a linear interpolation can depend on (one would be enough)."""

CUBIC_RIM = 6
"""The same for the cubic: gradients are estimated from neighbours of neighbours."""

REACH_MAX = 16
"""Largest reach of the inverse-distance mean, and its margin."""

LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 20)
"""Distances, in pixels, at which `spread` compares measured voxels."""

WINDOW = 17
"""Edge, in voxels, of the cube over which `spread` averages."""


def nearest(stack: NDArray[np.float32], mask: Bools) -> Fill:
    """The nearest measured pixel of the same frame."""
    return _plane_by_plane(stack, mask, _nearest)


def linear(stack: NDArray[np.float32], mask: Bools) -> Fill:
    """Linear on the Delaunay triangles of the measured pixels: straight lines across a gap."""
    return _plane_by_plane(stack, mask, _linear)


def cubic(stack: NDArray[np.float32], mask: Bools) -> Fill:
    """Clough-Tocher, piecewise cubic with continuous slope, within the range of the gap's rim."""
    return _plane_by_plane(stack, mask, _cubic)


def biharmonic(stack: NDArray[np.float32], mask: Bools) -> Fill:
    """The biharmonic equation solved over the gap (scikit-image), frames as channels."""
    return _plane_by_plane(stack, mask, _biharmonic)


def inverse_distance(
    stack: NDArray[np.float32], mask: Bools, *, reach: int, exponent: float
) -> Fill:
    """Mean of the measured counts around a voxel, weighted by 1 / distance**exponent.

    PyNX's ``InterpIobsMask(d, n)`` (``mask_interp=d,n``): in three dimensions, on counts, over the cube
    of +-`reach` voxels. PyNX continues the array periodically beyond its edges, as its Fourier transform does; here
    nothing counts there, so that the two differ within `reach` of an edge. Voxels with no measured one in
    reach, which PyNX leaves free, take the nearest.
    """
    from scipy.signal import oaconvolve

    if not 1 <= reach <= REACH_MAX or int(reach) != reach:
        raise ValueError(f"reach={reach!r}: takes a whole number of voxels, 1 to {REACH_MAX}")
    if not exponent > 0:
        raise ValueError(f"exponent={exponent!r}: takes a positive number")
    axis = np.arange(-int(reach), int(reach) + 1)
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    distance[distance == 0] = np.inf
    kernel = distance**-exponent
    measured = ~mask
    weight = oaconvolve(measured.astype(np.float64), kernel, mode="same")[mask]
    counts = oaconvolve(stack.astype(np.float64), kernel, mode="same")[mask]
    near = ndimage.maximum_filter(measured, size=kernel.shape, mode="constant", cval=False)[mask]
    mean = np.maximum(counts, 0) / np.where(near, weight, 1)
    if not near.all():
        closest = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
        mean = np.where(near, mean, stack[tuple(closest)][mask])
    rate = np.zeros_like(stack)
    rate[mask] = mean
    return Fill(rate, spread(stack, mask, rate))


def spread(
    stack: NDArray[np.float32], mask: Bools, rate: NDArray[np.float32]
) -> NDArray[np.float32]:
    """One standard deviation of an interpolated rate, from how the scan itself varies.

    Taken on s = sqrt(counts + 3/8), whose Poisson variance is 1/4 whatever the rate (Anscombe 1948).
    Measured voxels d pixels apart along rows and columns differ there by D(d)**2 on average, Poisson
    noise included; the average is local, over a cube of `WINDOW` voxels. A missing voxel whose nearest
    measured pixel is d away, and that is interpolated from about two sides, is off by
    ``var(s) = (D(d)**2 - 1/2) / 2`` for the pattern's structure, and by 1/8 for the noise of its two
    sources. Back in counts, ``sigma = 2 sqrt(rate + 3/8) sqrt(var(s))``.

    Returns
    -------
    float32, the shape of `stack`: counts in missing voxels, 0 in measured ones.
    """
    root = np.sqrt(stack + np.float32(0.375))
    gap_distance = _plane_distance(mask)
    sigma = np.zeros_like(stack)
    far = gap_distance[mask].max(initial=1)
    lags = [lag for lag in LAGS if lag <= max(far, 1)]
    structure = np.stack([_structure(root, mask, lag)[mask] for lag in lags])
    # Differences grow with distance; averages over few pairs may not show it.
    structure = np.maximum.accumulate(structure, axis=0)
    at = np.interp(gap_distance[mask], lags, np.arange(len(lags)))
    low = at.astype(np.intp)
    high = np.minimum(low + 1, len(lags) - 1)
    pixel = np.arange(low.size)
    between = structure[low, pixel] + (at - low) * (structure[high, pixel] - structure[low, pixel])
    variance = np.maximum(between - 0.5, 0) / 2 + 0.125
    sigma[mask] = 2 * np.sqrt((rate[mask] + 0.375) * variance)
    return sigma


def _structure(root: NDArray[np.float32], mask: Bools, lag: int) -> NDArray[np.float32]:
    """Local mean of squared differences between measured voxels `lag` apart along rows and columns."""
    total = np.zeros_like(root)
    pairs = np.zeros_like(root)
    for axis in (1, 2):
        if root.shape[axis] <= lag:
            continue
        first: list[slice] = [slice(None)] * 3
        second: list[slice] = [slice(None)] * 3
        first[axis], second[axis] = slice(None, -lag), slice(lag, None)
        a, b = tuple(first), tuple(second)
        both = ~(mask[a] | mask[b])
        squared = np.where(both, (root[a] - root[b]) ** 2, 0)
        for end in (a, b):
            total[end] += squared
            pairs[end] += both
    mean = total.sum() / max(pairs.sum(), 1)
    total = ndimage.uniform_filter(total, WINDOW, mode="constant")
    pairs = ndimage.uniform_filter(pairs, WINDOW, mode="constant")
    # Where the window has less than one pair, the band's mean is used.
    enough = pairs * WINDOW**3 > 0.5
    local: NDArray[np.float32] = np.where(enough, total / np.where(enough, pairs, 1), mean)
    return local.astype(np.float32)


def _plane_distance(mask: Bools) -> NDArray[np.float64]:
    """Distance, in pixels, to the nearest measured pixel of the same frame; inf where there is none."""
    distance = np.zeros(mask.shape)
    for frames, gap in _by_gap(mask):
        distance[frames] = np.inf if gap.all() else ndimage.distance_transform_edt(gap)
    return distance


def _plane_by_plane(stack: NDArray[np.float32], mask: Bools, fill: PlaneFill) -> Fill:
    """Apply `fill` to every group of frames with the same gap, on log(1 + counts)."""
    log = np.log1p(stack)
    empty = []
    for frames, gap in _by_gap(mask):
        if gap.all():
            empty.append(frames)
        else:
            block = log[frames]
            block[:, gap] = fill(block, gap)
            log[frames] = block
    if empty:
        _between_frames(log, np.concatenate(empty))
    rate = np.maximum(np.expm1(log), 0)
    return Fill(rate, spread(stack, mask, rate))


def _by_gap(mask: Bools) -> Iterator[tuple[NDArray[np.intp], Bools]]:
    """Frames that share a gap, and that gap; frames without one are left out."""
    groups: dict[bytes, list[int]] = {}
    for index, gap in enumerate(mask):
        groups.setdefault(np.packbits(gap).tobytes(), []).append(index)
    for frames in groups.values():
        if mask[frames[0]].any():
            yield np.array(frames), mask[frames[0]]


def _between_frames(log: Floats, empty: NDArray[np.intp]) -> None:
    """Fill the `empty` frames of `log`, in place, between the nearest frames that aren't."""
    known = np.setdiff1d(np.arange(len(log)), empty)
    for frame in empty:
        above = np.searchsorted(known, frame)
        before, after = known[max(above - 1, 0)], known[min(above, known.size - 1)]
        share = (frame - before) / (after - before) if after != before else 0.0
        log[frame] = (1 - share) * log[before] + share * log[after]


def _nearest(log: Floats, gap: Bools) -> Floats:
    closest = ndimage.distance_transform_edt(gap, return_distances=False, return_indices=True)
    rows, cols = closest[:, gap]
    return log[:, rows, cols]


def _linear(log: Floats, gap: Bools) -> Floats:
    filled = _nearest(log, gap)
    triangles, rim = _triangulate(gap, RIM)
    if triangles is None:
        return filled
    pixels = np.argwhere(gap)
    with threadpool_limits(1, "blas"):  # one small matrix a triangle: threads would only wait
        simplex = triangles.find_simplex(pixels)
        affine = triangles.transform[simplex]
    inside = np.flatnonzero((simplex >= 0) & np.isfinite(affine[:, 0, 0]))
    affine = affine[inside]
    two = np.einsum("pij,pj->pi", affine[:, :2], pixels[inside] - affine[:, 2])
    weights = np.column_stack([two, 1 - two.sum(axis=1)])
    corners = triangles.simplices[simplex[inside]]
    rows = np.repeat(np.arange(inside.size), 3)
    operator = csr_array(
        (weights.ravel(), (rows, corners.ravel())), shape=(inside.size, triangles.npoints)
    )
    filled[:, inside] = (operator @ log[:, rim].T).T
    return filled


def _cubic(log: Floats, gap: Bools) -> Floats:
    from scipy.interpolate import CloughTocher2DInterpolator

    filled = _nearest(log, gap)
    triangles, rim = _triangulate(gap, CUBIC_RIM)
    if triangles is None:
        return filled
    around = log[:, rim].astype(np.float64)
    values = CloughTocher2DInterpolator(triangles, around.T)(np.argwhere(gap)).T
    low, high = around.min(axis=1, keepdims=True), around.max(axis=1, keepdims=True)
    return np.where(np.isfinite(values), np.clip(values, low, high), filled)


def _biharmonic(log: Floats, gap: Bools) -> Floats:
    filled = inpaint_biharmonic(np.moveaxis(log, 0, -1).astype(np.float64), gap, channel_axis=-1)
    pixels: Floats = np.moveaxis(filled, -1, 0)[:, gap]
    return pixels


def _triangulate(gap: Bools, rim: int) -> tuple[Delaunay | None, Bools]:
    """Triangles on the measured pixels within `rim` of `gap`, and these pixels.

    A triangle that holds a missing pixel has its corners beside the gap, so pixels further away
    would change nothing. None where the pixels span no area.
    """
    around = ndimage.binary_dilation(gap, np.ones((3, 3), bool), iterations=rim) & ~gap
    try:
        return Delaunay(np.argwhere(around)), around
    except (QhullError, ValueError):
        return None, around
