"""One mask from several, with the share of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class MissingPixels:
    """A merged mask and what it is made of.

    Attributes
    ----------
    mask
        bool, ``(row, col)`` if it is the same for all frames, else ``(frame, row, col)``.
    shares
        Source -> share of all pixels that it marks. A pixel that several sources mark counts for
        each of them.
    pixels
        Source -> how many pixels it marks in at least one frame.
    """

    mask: NDArray[np.bool_]
    shares: Mapping[str, float]
    pixels: Mapping[str, int]

    def __str__(self) -> str:
        sources = ", ".join(f"{name} {share:.3%}" for name, share in self.shares.items())
        return f"{self.mask.mean():.3%} missing ({sources})"


def merge(**sources: NDArray[np.bool_] | None) -> MissingPixels:
    """Merge masks: what any of them marks is missing.

    >>> merge(geometry=detector("maxipix_2x2").mask(), user=None)  # doctest: +SKIP

    Parameters
    ----------
    **sources
        Name -> bool mask, ``(row, col)`` or ``(frame, row, col)``; None is skipped.

    Raises
    ------
    ValueError
        If no mask is given or their shapes don't fit together.
    TypeError
        If a mask isn't bool.
    """
    masks = {name: mask for name, mask in sources.items() if mask is not None}
    if not masks:
        raise ValueError("nothing to merge: all masks are None")
    for name, mask in masks.items():
        if mask.dtype != np.bool_:
            raise TypeError(f"mask {name!r} must be bool (True = missing); got {mask.dtype}")
    shapes = {name: mask.shape for name, mask in masks.items()}
    full = max(shapes.values(), key=len)
    if len(full) not in (2, 3) or any(shape not in (full, full[-2:]) for shape in shapes.values()):
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            f"masks must be (row, col) or (frame, row, col) of one stack; got {listed}"
        )
    merged = np.zeros(full, dtype=np.bool_)
    for mask in masks.values():
        merged |= mask
    if merged.ndim == 3 and (merged == merged[0]).all():
        merged = merged[0].copy()
    in_a_frame = {
        name: mask if mask.ndim == 2 else mask.any(axis=0) for name, mask in masks.items()
    }
    return MissingPixels(
        merged,
        {name: float(mask.mean()) for name, mask in masks.items()},
        {name: int(np.count_nonzero(mask)) for name, mask in in_a_frame.items()},
    )
