"""Estimated once from a whole scan, for all its bands: texture, symmetry, Friedel twins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from .friedel.symmetry import Symmetry, symmetry_of, without_symmetry
from .friedel.twin import Twin, twin_of, twin_share
from .texture import Texture, sample_of, texture_of

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from .bands import Box


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What kriging and the network use besides a band's own voxels.

    Attributes
    ----------
    texture, symmetry
        Of the whole scan.
    twin
        Of the band; None where it has none.
    corner
        Where the band begins in the stack, (frame, row, col).
    """

    texture: Texture
    symmetry: Symmetry
    twin: Twin | None
    corner: tuple[int, int, int]

    def to(self, device: torch.device | str) -> Surroundings:
        """On another device."""
        return replace(
            self,
            texture=self.texture.to(device),
            symmetry=self.symmetry.to(device),
            twin=None if self.twin is None else self.twin.to(device),
        )


class Part(NamedTuple):
    """Some frames of a scan, and those that may hold their twins; see `Estimate.of_part`."""

    first: int
    stack: NDArray[np.number]
    mask: NDArray[np.bool_]
    start: int

    def hiding(self, missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The mask, and what is missing of the frames that are filled."""
        shift = self.first - self.start
        shared = slice(max(shift, 0), max(min(shift + len(missing), len(self.mask)), 0))
        if shared.start >= shared.stop:
            return self.mask
        hidden = self.mask.copy()
        hidden[shared] |= missing[shared.start - shift : shared.stop - shift]
        return hidden


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What is estimated once from a whole scan.

    Attributes
    ----------
    texture, symmetry
        See `Texture` and `Symmetry`.
    part
        Where twins are found if only some of the scan's frames are filled.
    """

    texture: Texture
    symmetry: Symmetry
    part: Part | None = None

    @property
    def mirroring(self) -> Symmetry | None:
        """The symmetry, if twins lie in the same stack that is filled."""
        return self.symmetry if self.part is None else None

    def of_part(
        self, first: int, stack: NDArray[np.number], mask: NDArray[np.bool_], start: int
    ) -> Estimate:
        """The same for some frames of the scan, whose twins are found in other frames.

        Parameters
        ----------
        first
            Frame of the scan with which the part begins that is to be filled.
        stack, mask
            ``(frame, row, col)`` counts and what is missing of the frames that may hold twins.
        start
            Frame of the scan with which these begin.
        """
        return replace(self, part=Part(first, stack, mask, start))

    def around(
        self, stack: NDArray[np.floating], mask: NDArray[np.bool_], box: Box
    ) -> Surroundings:
        """The surroundings of a band.

        Parameters
        ----------
        stack, mask
            The whole stack; what it holds in missing voxels doesn't matter.
        box
            The band's.
        """
        first, second, third = box
        if (part := self.part) is None:
            twin = twin_of(stack, mask, box, self.symmetry)
        else:
            missing = mask[box]
            first = slice(first.start + part.first, first.stop + part.first)
            twin = twin_of(
                part.stack,
                part.hiding(mask),
                (first, second, third),
                self.symmetry,
                missing=missing,
                start=part.start,
            )
        corner = (first.start, second.start, third.start)
        return Surroundings(self.texture, self.symmetry, twin, corner)

    def reported(self, mask: NDArray[np.bool_]) -> dict[str, Any]:
        """Fields of a `Report` on the symmetry."""
        return {
            "centre": self.symmetry.centre,
            "symmetry": self.symmetry.correlation,
            "twin_share": self._twin_share(mask),
        }

    def _twin_share(self, mask: NDArray[np.bool_]) -> float:
        if (part := self.part) is None:
            return twin_share(mask, self.symmetry)
        return twin_share(mask, self.symmetry, first=part.first, mask=part.mask, start=part.start)


def estimate(
    stack: NDArray[np.floating], mask: NDArray[np.bool_], *, twin: bool = True
) -> Estimate:
    """Estimate texture and symmetry from the measured voxels around the Bragg peak.

    Parameters
    ----------
    stack
        ``(frame, row, col)`` counts, 0 in missing voxels.
    mask
        bool, the same shape, True = missing.
    twin
        Whether to look for a symmetry.
    """
    sample = sample_of(stack, mask)
    texture = texture_of(sample)
    find = symmetry_of if twin else without_symmetry
    return Estimate(texture, find(sample, texture.wavelengths))
