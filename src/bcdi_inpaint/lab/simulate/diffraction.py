"""From the crystal to the intensity on the scan's grid, without wrapping around."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ive

from .grid import EDGE

if TYPE_CHECKING:
    from .grid import Field, ObjectGrid
    from .rocking import Floats

Offsets = tuple["Floats", "Floats", "Floats"]
"""Offsets from a centre along each axis, in steps of the scan; they needn't be evenly spaced."""

FarField = Callable[["Floats", Offsets], "Field"]
"""The far field, complex64, at offsets from a centre: ``field(centre, offsets)``."""

SEARCH = 16
"""Reach in steps of the search for the brightest point."""

PIXEL_VARIANCE = 1 / 12
"""Variance in voxels of a pixel's own width: a box's second moment."""

TAPS = 4
"""Taps on each side of the blur's kernel."""


def far_field(
    grid: ObjectGrid,
    crystal: Field,
    interface: Floats,
    centre: Floats,
    offsets: Offsets,
) -> Field:
    """Transform of the crystal at just the wanted points, complex64.

    Three matrix products, one for each axis: nothing wraps around, and points needn't be evenly spaced. They are
    offsets in steps from a Bragg peak's centre, away from which the graded `interface` damps the field: (3,)
    standard deviations, as a fraction of the real-space field of view.
    """
    field = crystal
    for k, middle, u, width in zip(offsets, centre, grid.fractions, interface, strict=True):
        pitch = u[1] - u[0]
        # the sampled step's width is divided out, the interface's own multiplied in
        gain = np.exp(2 * np.pi**2 * k**2 * ((EDGE * pitch) ** 2 - width**2))
        matrix = gain * np.exp(-2j * np.pi * np.outer(u, k + middle))
        # Contracting the leading axis appends its transform, so three turns restore the order.
        rest = field.shape[1:]
        field = field.reshape(len(u), -1).T @ grid.put(matrix.astype(np.complex64))
        field = field.reshape(*rest, len(k))
    return field


def mean_slope(grid: ObjectGrid, crystal: Field) -> Floats:
    """The intensity's centre of mass, in steps: the crystal's mean slope of phase."""
    slope = np.zeros(3)
    for axis, u in enumerate(grid.fractions):
        lead = (slice(None),) * axis
        ahead, behind = crystal[(*lead, slice(1, None))], crystal[(*lead, slice(None, -1))]
        turn = complex((ahead * behind.conj()).sum())
        slope[axis] = np.angle(turn) / (2 * np.pi * (u[1] - u[0]))
    return slope


def brightest(field: FarField, start: Floats) -> tuple[Floats, float]:
    """Point of highest intensity, in steps, and the intensity there.

    Looks at whole steps around `start`, then at ever smaller parts of a step.
    """
    centre, height = start, 0.0
    for reach, pitch in ((SEARCH, 1.0), (4, 1 / 4), (4, 1 / 16), (4, 1 / 64)):
        offsets = pitch * np.arange(-reach, reach + 1)
        nearby = field(centre, (offsets, offsets, offsets))
        intensity = nearby.real**2 + nearby.imag**2
        index = np.unravel_index(int(intensity.argmax()), tuple(intensity.shape))
        centre = centre + offsets[list(index)]
        height = float(intensity.max())
    return centre, height


def fall_off(
    like: Field, offsets: Sequence[Floats], period: Sequence[float], power: float
) -> Field:
    """Real factor (1 + distance^2)^(-power / 2), distance from the peak in fringes.

    `like` is an array of the library and device wanted, `offsets` are in steps, `period` too.
    """
    squares = [(np.asarray(o) / p) ** 2 for o, p in zip(offsets, period, strict=True)]
    total = squares[0][:, None, None] + squares[1][:, None] + squares[2]
    factor = ((1 + total) ** (-power / 2)).astype(np.float32)
    return factor if isinstance(like, np.ndarray) else like.real.new_tensor(factor)


def blur_kernels(blur: tuple[float, float, float]) -> list[Floats]:
    """Kernels of partial coherence and, on the detector's axes, of the pixels' width.

    The discrete Gaussian ``exp(-t) I_n(t)`` has exactly the variance ``t``, also below one voxel,
    where a sampled Gaussian doesn't (Lindeberg 1990, IEEE TPAMI 12, 234).
    """
    variances = np.array(blur) ** 2 + [0.0, PIXEL_VARIANCE, PIXEL_VARIANCE]
    kernels = [ive(np.arange(-TAPS, TAPS + 1), variance) for variance in variances]
    return [kernel / kernel.sum() for kernel in kernels]


def convolve(intensity: Field, kernels: list[Floats]) -> Field:
    """Separable convolution; `TAPS` voxels are lost on every side."""
    for axis, kernel in enumerate(kernels):
        size = intensity.shape[axis] - 2 * TAPS
        lead = (slice(None),) * axis
        intensity = sum(
            float(weight) * intensity[(*lead, slice(tap, tap + size))]
            for tap, weight in enumerate(kernel)
        )
    return intensity
