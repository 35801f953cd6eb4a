"""The posterior mean of Gaussian fields with a stationary prior, seen in some places through noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from .fourier import forward, inverse
from .friedel.symmetry import shift

if TYPE_CHECKING:
    from torch import Tensor

    from .fourier import Shape
    from .friedel.symmetry import Symmetry

TYPICAL_PRECISION = 0.1
"""The preconditioner's precision, as a share of the measured voxels' mean."""


Linear = Callable[["Tensor"], "Tensor"]
"""Of fields ``(field, frame, row, col)``."""


class Prior(Protocol):
    """Covariance S of stationary fields, diagonal in Fourier space."""

    def damped(self, precision: float) -> Linear:
        """(1/S + precision)^-1."""

    def draw(self, white: Tensor) -> Tensor:
        """Fields of covariance S, made of white noise."""


@dataclass(frozen=True, slots=True)
class OneField:
    """A field with a power spectrum."""

    spectrum: Tensor

    def damped(self, precision: float) -> Linear:
        """(1/S + precision)^-1."""
        gain = _damped(self.spectrum, precision)
        return lambda fields: inverse(forward(fields) * gain, tuple(fields.shape[1:]))

    def draw(self, white: Tensor) -> Tensor:
        """A field of covariance S, made of white noise."""
        return inverse(forward(white) * self.spectrum.sqrt(), tuple(white.shape[1:]))


@dataclass(frozen=True, slots=True)
class TwoFields:
    """A field and its mirror image.

    Their sum and difference, over sqrt(2), are independent once the twin is moved by the fraction of a
    voxel by which the centre misses the grid.

    Attributes
    ----------
    even, odd
        Power spectra of sum and difference.
    turn
        Moves the twin, in Fourier space.
    """

    even: Tensor
    odd: Tensor
    turn: Tensor

    @staticmethod
    def of(spectrum: Tensor, symmetry: Symmetry, grid: Shape) -> TwoFields:
        """Two fields with the same spectrum and a scan's coherence."""
        coherence = symmetry.coherence(grid)
        turn = shift(grid, symmetry.offset, spectrum.device).conj()
        return TwoFields(spectrum * (1 + coherence), spectrum * (1 - coherence), turn)

    def damped(self, precision: float) -> Linear:
        """(1/S + precision)^-1."""
        return self._mixing(_damped(self.even, precision), _damped(self.odd, precision))

    def draw(self, white: Tensor) -> Tensor:
        """Fields of covariance S, made of white noise."""
        return self._mixing(self.even.sqrt(), self.odd.sqrt())(white)

    def _mixing(self, even: Tensor, odd: Tensor) -> Linear:
        alike, across = (even + odd) / 2, (even - odd) / 2 * self.turn
        back = across.conj()

        def mixed(fields: Tensor) -> Tensor:
            first, second = forward(fields)
            waves = torch.stack((alike * first + across * second, back * first + alike * second))
            return inverse(waves, tuple(fields.shape[1:]))

        return mixed


def posterior_mean(data: Tensor, precision: Tensor, prior: Prior, iterations: int) -> Tensor:
    """Conjugate gradients for (1/S + P) x = P data, where S is diagonal in Fourier space and P in real space.

    Preconditioned by (1/S + p)^-1 with a single precision p in the place of P. What 1/S does to a
    search direction follows from the recurrence, so that a step takes one pair of FFTs.

    Parameters
    ----------
    data, precision
        ``(field, frame, row, col)`` on the prior's grid, precision 0 where nothing is known.
    prior
        S.
    iterations
        Steps.
    """
    known = precision[0]
    typical = TYPICAL_PRECISION * float(known.sum() / known.count_nonzero().clamp_min(1))
    condition = prior.damped(typical)

    solution = torch.zeros_like(data)
    remainder = data * precision
    smooth = condition(remainder)
    direction = smooth.clone()
    stiff = remainder - typical * smooth  # 1/S times the direction
    size = (remainder * smooth).sum()
    for _ in range(iterations):
        image = torch.addcmul(stiff, precision, direction)
        step = size / (direction * image).sum().clamp_min(1e-20)
        solution += step * direction
        remainder -= step * image
        smooth = condition(remainder)
        previous, size = size, (remainder * smooth).sum()
        turn = size / previous.clamp_min(1e-20)
        direction = smooth + turn * direction
        stiff = remainder - typical * smooth + turn * stiff
    return solution


def _damped(spectrum: Tensor, precision: float) -> Tensor:
    return spectrum / (1 + precision * spectrum)
