"""From the crystal to the intensity on the scan's grid: a true crop of reciprocal space."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ive

from .grid import EDGE, Floats, ObjectGrid

#: Reach in voxels of the search for the brightest point, about the centre of mass.
SEARCH = 16
#: Variance in voxels of a pixel's own width: a box's second moment.
PIXEL_VARIANCE = 1 / 12
#: Taps on each side of the blur's kernel.
TAPS = 3


def far_field(
    grid: ObjectGrid,
    crystal: Any,
    points: tuple[Floats, Floats, Floats],
    interface: Floats | None = None,
) -> Any:
    """Transform of the crystal at just the wanted points, complex64.

    Three matrix products, one for each axis: the points needn't be evenly spaced, nothing wraps around.

    Parameters
    ----------
    grid, crystal
        The object, complex64 on its grid.
    points
        For each axis the coordinates in steps of the scan, from the origin of reciprocal space.
    interface
        (3,) standard deviation, in units of ``1 / step``, of the interface's width along each axis.
    """
    widths = np.zeros(3) if interface is None else interface
    field = crystal
    for k, u, width in zip(points, grid.fractions, widths, strict=True):
        pitch = u[1] - u[0]
        # the smooth step's width is divided out, the interface's own multiplied in
        gain = np.exp(2 * np.pi**2 * k**2 * ((EDGE * pitch) ** 2 - width**2))
        matrix = gain[:, None] * np.exp(-2j * np.pi * np.outer(k, u))
        # contract the leading axis; its transform becomes the last one, so three turns restore order
        rest = field.shape[1:]
        field = field.reshape(field.shape[0], -1).T @ grid.put(matrix.T.astype(np.complex64))
        field = field.reshape(*rest, len(k))
    return field


def brightest(grid: ObjectGrid, crystal: Any) -> tuple[Floats, float]:
    """Point of highest intensity, in steps, and the intensity there.

    The search starts from the intensity's centre of mass, which is the crystal's mean slope of
    phase, looks at whole steps around it and then at quarters and sixteenths of a step.
    """
    centre = np.zeros(3)
    for axis, u in enumerate(grid.fractions):
        lead = (slice(None),) * axis
        ahead, behind = crystal[(*lead, slice(1, None))], crystal[(*lead, slice(None, -1))]
        turn = complex((ahead * behind.conj()).sum())
        centre[axis] = np.angle(turn) / (2 * np.pi * (u[1] - u[0]))
    value = 0.0
    for reach, pitch in ((SEARCH, 1.0), (4, 0.25), (4, 0.0625)):
        offsets = pitch * np.arange(-reach, reach + 1)
        points = (centre[0] + offsets, centre[1] + offsets, centre[2] + offsets)
        field = far_field(grid, crystal, points)
        intensity = field.real**2 + field.imag**2
        index = np.unravel_index(int(intensity.argmax()), tuple(intensity.shape))
        centre = np.array([k[i] for k, i in zip(points, index, strict=True)])
        value = float(intensity.max())
    return centre, value


def blur_kernels(blur: tuple[float, float, float]) -> list[Floats]:
    """Kernels of partial coherence and, on the detector's axes, of the pixels' width.

    The discrete Gaussian ``exp(-t) I_n(t)`` has exactly the variance ``t``, also below one voxel,
    where a sampled Gaussian doesn't.
    """
    variances = np.array(blur) ** 2 + [0.0, PIXEL_VARIANCE, PIXEL_VARIANCE]
    kernels = [ive(np.arange(-TAPS, TAPS + 1), variance) for variance in variances]
    return [kernel / kernel.sum() for kernel in kernels]


def convolve(intensity: Any, kernels: list[Floats]) -> Any:
    """Separable convolution; `TAPS` voxels are lost on every side."""
    for axis, kernel in enumerate(kernels):
        size = intensity.shape[axis] - 2 * TAPS
        lead = (slice(None),) * axis
        intensity = sum(
            float(weight) * intensity[(*lead, slice(tap, tap + size))]
            for tap, weight in enumerate(kernel)
        )
    return intensity
