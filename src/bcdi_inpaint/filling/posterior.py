"""The posterior of a stationary Gaussian field that is measured in some voxels, with white noise.

For a gap that crosses the whole box, each Fourier component along the gap is solved exactly from the planes
on both sides: `Slab`. A gap of another shape is solved by conjugate gradients over the box: `FreeForm`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from . import conjugate_gradients
from .fourier import corner, embedded, forward, grid_for, inverse

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from .bands import Box
    from .fourier import Shape

    Spectrum = Callable[[Shape], Tensor]

REACH = 8
"""Voxels around a gap that the posterior is conditioned on. Those further away make it worse, since the field
is stationary only locally."""

PAD = 16
"""Voxels of padding between opposite faces of the box, which are neighbours for the FFT."""

CROSSING = 0.95
"""Share of a plane's voxels that are missing from which it belongs to a slab."""

HOLES = 0.3
"""Share of the planes beside a slab that may be missing."""

SLAB_STEPS = 40
"""Steps that account for voxels missing in the planes beside a slab: crossing gaps, dead pixels, the box's
ends."""


EXPLAINED = 0.998
"""Share of all that planes tell of each other that the Fourier components tell which are solved for."""


class Prior(NamedTuple):
    """The prior of the field in a box: mean ``(frame, row, col)``, power spectrum on a grid."""

    mean: Tensor
    spectrum: Spectrum


class Posterior(Protocol):
    """The posterior of the field in a box, given what was measured there."""

    def mean(self, data: Tensor, before: Tensor) -> Tensor:
        """Posterior mean in the gap and close to it, 0 elsewhere.

        Parameters
        ----------
        data
            float32 ``(frame, row, col)``; what it holds in unknown voxels doesn't matter.
        before
            Prior mean, the same shape.
        """

    def error(self, generator: torch.Generator) -> Tensor:
        """One draw from the posterior's error.

        The error of the solution for a simulated field with simulated noise has the posterior's distribution.
        """


def posterior(known: Tensor, spectrum: Spectrum, noise: float, steps: int) -> Posterior:
    """How a box is solved.

    Parameters
    ----------
    known
        float32 ``(frame, row, col)``, 1 where the field was measured, 0 elsewhere.
    spectrum
        The field's power spectrum on a grid.
    noise
        Variance of the noise.
    steps
        Of conjugate gradients, for a gap that doesn't cross the box.
    """
    missing = [known.movedim(axis, 0).mean((1, 2)) < 1 - CROSSING for axis in range(3)]
    axis = max(range(3), key=lambda axis: float(missing[axis].float().mean()))
    gap = missing[axis]
    if gap.any() and not gap.all():
        beside = known.movedim(axis, 0)[~gap]
        if float(beside.mean()) > 1 - HOLES:
            return Slab.of(known, axis, gap, spectrum, noise)
    return FreeForm(known, spectrum, noise, steps)


@dataclass(frozen=True, slots=True)
class Slab:
    """A gap between two planes.

    Attributes
    ----------
    axis
        Across the gap.
    box
        float32 ``(frame, row, col)``: 1 where the field was measured, 0 elsewhere.
    near
        Indices along `axis` of the gap's planes and of those close to it.
    rim
        Those close to it, which were measured, as indices in `near`.
    known
        float32 ``(plane, wave grid)``: 1 where one of them was measured.
    waves
        Those by which planes tell of each other, as indices in the flattened transform of a plane. By all
        others they don't: there the field is white.
    white
        The field's variance there.
    covariance
        complex64 ``(wave, near plane, rim plane)``, less that of the white part.
    inverse
        complex64 ``(wave, rim plane, rim plane)`` of the covariance of what was measured, less that of the
        noise and the white part alone.
    spectrum, noise
        See `posterior`.
    """

    axis: int
    box: Tensor
    near: Tensor
    rim: Tensor
    known: Tensor
    waves: Tensor
    white: float
    covariance: Tensor
    inverse: Tensor
    spectrum: Spectrum
    noise: float

    @staticmethod
    def of(known: Tensor, axis: int, gap: Tensor, spectrum: Spectrum, noise: float) -> Slab:
        """Prepare a box in which the planes `gap` along `axis` are missing."""
        planes = known.movedim(axis, 0)
        places = torch.arange(len(planes), device=known.device)
        away = (places[:, None] - places[gap]).abs().amin(1)
        near = places[away <= REACH]
        rim = places[: len(near)][away[near] > 0]
        first, second = grid_for(tuple(planes.shape[1:]), PAD)
        # Twice the planes: no lag within the box is a shorter one around the grid.
        grid = [first, second]
        grid.insert(axis, *grid_for((2 * int(near[-1] - near[0] + 1),), 0))
        periodic = inverse(spectrum(tuple(grid)), tuple(grid)).movedim(axis, 0)
        powers = torch.fft.rfft2(periodic).flatten(1)
        waves, white = _waves(powers, noise)
        lag = (near[:, None] - near[rim]).remainder(len(powers))
        covariance = powers[:, waves].t().contiguous()[:, lag]
        alone, each = noise + white, torch.eye(len(rim), device=known.device)
        covariance[:, rim] -= white * each
        seen = covariance[:, rim] + alone * each
        solved = torch.cholesky_inverse(torch.linalg.cholesky(seen)) - each / alone
        beside = embedded(planes[near[rim]], (len(rim), first, second))
        return Slab(
            axis, known, near, rim, beside, waves, white, covariance, solved, spectrum, noise
        )

    def mean(self, data: Tensor, before: Tensor) -> Tensor:
        """Posterior mean in the gap and close to it, 0 elsewhere."""
        expected = before.movedim(self.axis, 0)
        planes = (data.movedim(self.axis, 0) - expected)[self.near[self.rim]]
        seen = embedded(planes, tuple(self.known.shape)) * self.known
        within = self.covariance[:, self.rim]
        alone = self.noise + self.white

        def measured(weights: Tensor) -> Tensor:
            return (self._waved(within, weights) + alone * weights) * self.known

        def condition(rest: Tensor) -> Tensor:
            return (self._waved(self.inverse, rest) + rest / alone) * self.known

        weights = conjugate_gradients.solve(measured, seen, SLAB_STEPS, condition)
        above = self._waved(self.covariance, weights)
        above[self.rim] += self.white * weights
        found = torch.zeros_like(expected)
        found[self.near] = expected[self.near] + corner(
            above, (len(self.near), *expected.shape[1:])
        )
        return found.movedim(0, self.axis)

    def _waved(self, matrices: Tensor, planes: Tensor) -> Tensor:
        """Mix planes, for each Fourier component."""
        transformed = torch.fft.rfft2(planes)
        mixed = transformed.new_zeros(matrices.shape[1], *transformed.shape[1:])
        waves = transformed.flatten(1)[:, self.waves].t()
        mixed.flatten(1)[:, self.waves] = (matrices @ waves[..., None])[..., 0].t()
        found: Tensor = torch.fft.irfft2(mixed, s=planes.shape[1:])
        return found

    def error(self, generator: torch.Generator) -> Tensor:
        """One draw from the posterior's error."""
        return _error(self, self.box, self.spectrum, self.noise, generator)


def _waves(powers: Tensor, noise: float) -> tuple[Tensor, float]:
    """The Fourier components by which planes tell of each other, and the mean power of the others.

    What the plane at some lag tells of another is, as a variance, the square of their covariance over the
    variance of what is measured.
    """
    alone = powers[0].real
    told = powers[1:].abs().square().sum(0) / (alone + noise)
    order = told.argsort(descending=True)
    enough = int((told[order].cumsum(0) < EXPLAINED * told.sum()).sum()) + 1
    others = alone[order[enough:]]
    return order[:enough].sort().values, float(others.mean()) if len(others) else 0.0


@dataclass(frozen=True, slots=True)
class FreeForm:
    """A gap of any shape.

    Attributes
    ----------
    known, spectrum, noise, steps
        See `posterior`.
    """

    known: Tensor
    spectrum: Spectrum
    noise: float
    steps: int

    def mean(self, data: Tensor, before: Tensor) -> Tensor:
        """Posterior mean in the gap and close to it, 0 elsewhere.

        With C the posterior's covariance if all were seen, which is diagonal in Fourier space, N the
        noise and G the unknown voxels: C (data / N + v), where (N - G C G) v = G C data / N.
        """
        core = _around(self.known)
        seen = self.known[core]
        grid = grid_for(tuple(seen.shape), PAD)
        spectrum = self.spectrum(grid)
        gain = spectrum * self.noise / (spectrum + self.noise)
        known = embedded(seen, grid)
        unknown = 1 - known

        def smooth(field: Tensor) -> Tensor:
            return inverse(forward(field) * gain, grid)

        scaled = embedded((data - before)[core], grid) * known / self.noise
        hidden = conjugate_gradients.solve(
            lambda field: self.noise * field - unknown * smooth(field),
            unknown * smooth(scaled),
            self.steps,
        )
        found = torch.zeros_like(data)
        found[core] = corner(smooth(scaled + hidden), tuple(seen.shape)) + before[core]
        return found

    def error(self, generator: torch.Generator) -> Tensor:
        """One draw from the posterior's error."""
        return _error(self, self.known, self.spectrum, self.noise, generator)


def _error(
    given: Posterior,
    known: Tensor,
    spectrum: Spectrum,
    noise: float,
    generator: torch.Generator,
) -> Tensor:
    shape = tuple(known.shape)
    grid = grid_for(shape, PAD)
    white = torch.randn(grid, generator=generator).to(known.device)
    field = corner(inverse(forward(white) * spectrum(grid).sqrt(), grid), shape)
    shots = torch.randn(shape, generator=generator).to(known.device) * noise**0.5
    return given.mean(field + shots, torch.zeros_like(field)) - field


def _around(known: Tensor) -> Box:
    """The box around the unknown voxels, with `REACH` around it where the box is large enough."""
    first, second, third = (
        slice(max(int(at.min()) - REACH, 0), min(int(at.max()) + 1 + REACH, n))
        for at, n in zip(torch.nonzero(known == 0, as_tuple=True), known.shape, strict=True)
    )
    return (first, second, third)
