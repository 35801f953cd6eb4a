"""Errors of a crystal that a filled pattern gives, in real space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .patterns import Bools, Waves

    Floats = NDArray[np.floating]

PARTICLE_THRESHOLD = 0.3
"""Share of the greatest modulus above which a voxel is one of the particle."""


def real_space_errors(fill: Floats, rate: Floats, phase: Floats, mask: Bools) -> dict[str, float]:
    """Compare inverse transforms with true phases: gap at zero, gap filled, no gap (paper 2.6.1).

    Outside the gap all three take the noise-free rate, so that the gap alone makes the difference.

    Parameters
    ----------
    fill
        ``(frame, row, col)`` filled counts; only the voxels in `mask` are used.
    rate, phase
        Same shape: noise-free expected counts; phase of the scattered amplitude in rad.
    mask
        bool, same shape, True = gap.

    Returns
    -------
    dict
        "phase_std_gap" and "phase_std_fill", with the gap left at zero and after filling, in rad; likewise
        "modulus_rmse_..." and "strain_rmse_...", see `particle_errors`.
    """
    wave = np.exp(1j * phase)

    def object_of(intensity: Floats) -> Waves:
        # Shifts in either space would cancel in the comparison (a common ramp, a common roll).
        return np.fft.ifftn(np.sqrt(intensity) * wave)

    truth = object_of(rate)
    return {
        f"{name}_{state}": error
        for state, inside in (("gap", np.zeros(())), ("fill", fill))
        for name, error in particle_errors(object_of(np.where(mask, inside, rate)), truth).items()
    }


def particle_errors(compared: Waves, truth: Waves) -> dict[str, float]:
    """Errors of a complex object in the particle, where the true modulus is high.

    Returns
    -------
    dict
        "modulus_rmse", root mean square error of the modulus over the true mean modulus; "phase_std", standard
        deviation of the phase error up to a constant phase, rad; "strain_rmse", root mean square error of
        the phase gradient over the three axes, rad a voxel. Times ``d / (2 pi voxel)``, with the lattice
        spacing d of the reflection, it is a strain.
    """
    modulus = np.abs(truth)
    support = modulus > PARTICLE_THRESHOLD * modulus.max()
    difference = np.abs(compared[support]) - modulus[support]
    relative = compared * truth.conj()
    inside = relative[support]
    squares = []
    for axis in range(3):
        neighbours = support & np.roll(support, -1, axis)
        step = np.angle(np.roll(relative, -1, axis) * relative.conj())
        squares.append(step[neighbours] ** 2)
    return {
        "modulus_rmse": float(np.sqrt(np.mean(difference**2)) / modulus[support].mean()),
        # A constant phase has no meaning: it is taken out before angles are cut at +-pi.
        "phase_std": float(np.angle(inside * np.exp(-1j * np.angle(inside.sum()))).std()),
        "strain_rmse": float(np.sqrt(np.concatenate(squares).mean())),
    }
