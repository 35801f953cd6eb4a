"""A reconstruction against the true object, whatever a diffraction pattern can't tell aligned away."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ..real_space import particle_errors

if TYPE_CHECKING:
    from ..patterns import Waves

UPSAMPLING = 20
"""Shifts are found to a twentieth of a voxel."""


def aligned(image: Waves, truth: Waves) -> Waves:
    """The image or its twin, shifted, turned in phase and scaled to resemble the truth most.

    Both are complex objects of one shape, with FFTs of one convention.
    """
    twin = np.roll(image[::-1, ::-1, ::-1].conj(), 1, (0, 1, 2))  # the same amplitudes
    return min(
        (_laid_over(candidate, truth) for candidate in (image, twin)),
        key=lambda laid: float(np.linalg.norm(laid - truth)),
    )


def errors(image: Waves, truth: Waves) -> dict[str, float]:
    """Errors of an image that has been `aligned`: those of `particle_errors`, and "complex_l2", norm of the
    difference over the true norm, in the whole volume.
    """
    difference = float(np.linalg.norm(image - truth) / np.linalg.norm(truth))
    return {"complex_l2": difference, **particle_errors(image, truth)}


def _laid_over(image: Waves, truth: Waves) -> Waves:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-image on the imports of its optional parts
        from skimage.registration import phase_cross_correlation

    shift, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        truth, image, upsample_factor=UPSAMPLING, normalization=None
    )
    moved = np.fft.ifftn(ndimage.fourier_shift(np.fft.fftn(image), shift))
    power = float(np.linalg.norm(moved) ** 2)
    # The scale that makes the difference smallest; 0 for an image that is empty.
    return moved * (np.vdot(moved, truth) / power if power else 0.0)
