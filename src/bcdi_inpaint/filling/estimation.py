"""What a scan tells about each of its bands: texture, symmetry, the band's Friedel twin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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
    """What kriging and the network are told besides a band's own voxels.

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


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What is found out once of a whole scan.

    Attributes
    ----------
    texture, symmetry
        See `Texture` and `Symmetry`.
    """

    texture: Texture
    symmetry: Symmetry

    def around(
        self, stack: NDArray[np.floating], mask: NDArray[np.bool_], box: Box
    ) -> Surroundings:
        """What a band is told.

        Parameters
        ----------
        stack, mask
            The whole stack; what it holds in missing voxels doesn't matter.
        box
            The band's.
        """
        first, second, third = box
        return Surroundings(
            self.texture,
            self.symmetry,
            twin_of(stack, mask, box, self.symmetry),
            (first.start, second.start, third.start),
        )

    def reported(self, mask: NDArray[np.bool_]) -> dict[str, Any]:
        """Fields of a `Report` on the symmetry."""
        return {
            "centre": self.symmetry.centre,
            "symmetry": self.symmetry.correlation,
            "twin_share": twin_share(mask, self.symmetry),
        }


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
