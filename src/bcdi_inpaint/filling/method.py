"""What makes a method of filling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from .estimation import Estimate


class Fill(NamedTuple):
    """Expected counts of a band and their standard deviation.

    Both float32 of the band's shape; what they hold in measured voxels is ignored.
    """

    rate: NDArray[np.float32]
    sigma: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Method:
    """A method of filling; an entry in ``bcdi_inpaint.filling.methods.REGISTRY``.

    Attributes
    ----------
    fill
        ``fill(stack, mask, **options) -> Fill`` over one band: `stack` float32
        ``(frame, row, col)``, not negative, 0 in missing voxels; `mask` bool of the same shape,
        True = missing, with at least one measured voxel. Both are copies made for it.
    margin
        Voxels of surroundings that `fill` needs around a gap; None if it needs the whole stack.
    options
        Names and defaults of what `fill` takes.
    learned
        Whether it is a network of ours: `fill` then takes `device` too, a torch device's name, and
        kriging fills where the self-check finds it better.
    voxels
        Larger bands are cut; as much as `fill` may hold in memory at once.
    estimate
        ``estimate(stack, mask, twin=...)``: what is estimated once, from the whole stack; `fill` then also
        takes `surroundings`, made from it for each band. None if nothing is estimated.
    at_once
        Bands that are filled in parallel on the CPU; more than one only where torch does the work.
    """

    fill: Callable[..., Fill]
    margin: int | None
    options: Mapping[str, Any] = field(default_factory=dict)
    learned: bool = False
    voxels: int = 2**20
    estimate: Callable[..., Estimate] | None = None
    at_once: int = 1
