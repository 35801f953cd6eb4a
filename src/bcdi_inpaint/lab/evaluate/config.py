"""What the bench fills, and with what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bcdi_inpaint.filling import METHODS as SHIPPED
from bcdi_inpaint.filling import inpaint

from .cases import NARROW, WIDE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bcdi_inpaint.filling import Inpainted

    from .cases import Kind, PatternSet

    Counts = NDArray[np.number]
    Bools = NDArray[np.bool_]

METHODS = (*SHIPPED, "reference")
"""What is compared: the package's methods, and the published network."""


def method_of(name: str) -> str:
    """The method behind a row's name: ``"patching (mine)"`` is patching with weights of its own."""
    return name.partition(" (")[0]


@dataclass(frozen=True, slots=True)
class Config:
    """What is evaluated.

    Attributes
    ----------
    methods
        Rows of the tables in their order: a name of `METHODS`, with a label behind it where one method
        is compared with itself, see `method_of`.
    patterns
        How many of each set; 0 leaves a set out.
    shape
        Voxels (frame, row, col) of a simulated pattern.
    narrow, wide
        Gap widths in pixels.
    kinds
        Of gaps.
    portions
        Cut from each filled volume.
    device
        For methods with a network.
    options
        Entry of `methods` -> options, as for ``inpaint``.
    """

    methods: tuple[str, ...]
    patterns: dict[PatternSet, int]
    shape: tuple[int, int, int] = (128, 128, 128)
    narrow: tuple[int, ...] = NARROW
    wide: tuple[int, ...] = WIDE
    kinds: tuple[Kind, ...] = ("vertical", "cross")
    portions: int = 12
    device: str = "auto"
    options: dict[str, dict[str, Any]] = field(default_factory=dict)

    def inpaint(self, stack: Counts, mask: Bools, name: str) -> Inpainted:
        """Fill by the public function, self-check off: it fills other gaps than those that are judged."""
        options = self.options.get(name, {})
        return inpaint(stack, mask, method_of(name), self.device, self_check=False, **options)
