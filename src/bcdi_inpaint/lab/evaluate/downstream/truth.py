"""A reconstruction against the true object, whatever a diffraction pattern can't tell aligned away."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ..metrics import gradient_rmse, modulus_rmse, particle, phase_std

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Waves = NDArray[np.complexfloating]

UPSAMPLING = 20
"""Shifts are found to a twentieth of a voxel."""


@dataclass(frozen=True, slots=True)
class ObjectErrors:
    """Errors of a reconstruction.

    Attributes
    ----------
    complex_l2
        Norm of the difference over the true norm, in the whole volume.
    modulus_rmse, phase_std, strain_rmse
        In the particle, as in `metrics.RealSpaceErrors`: relative, rad, rad a voxel.
    """

    complex_l2: float
    modulus_rmse: float
    phase_std: float
    strain_rmse: float


def aligned(image: Waves, truth: Waves) -> Waves:
    """The image or its twin, shifted, turned in phase and scaled to resemble the truth most.

    Parameters
    ----------
    image, truth
        Complex objects of one shape, with FFTs of one convention.
    """
    return min(
        (_laid_over(candidate, truth) for candidate in (image, _twin(image))),
        key=lambda laid: float(np.linalg.norm(laid - truth)),
    )


def errors(image: Waves, truth: Waves) -> ObjectErrors:
    """Errors of an image that has been `aligned`."""
    support = particle(truth)
    return ObjectErrors(
        float(np.linalg.norm(image - truth) / np.linalg.norm(truth)),
        modulus_rmse(image, truth, support),
        phase_std(image, truth, support),
        gradient_rmse(image, truth, support),
    )


def _twin(image: Waves) -> Waves:
    """Conjugated and inverted: the same amplitudes."""
    return np.roll(image[::-1, ::-1, ::-1].conj(), 1, (0, 1, 2))


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
