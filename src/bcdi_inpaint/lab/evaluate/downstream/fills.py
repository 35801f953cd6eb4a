"""The ways to treat a gap that are compared: what fills it, and how much its values are believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bcdi_inpaint.export.pynx import SIGMAS, SOFT_BAND
from bcdi_inpaint.filling import Inpainted, Report

from .retrieval import Bounds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..patterns import Bools, Counts
    from ..request import Request
    from .scenes import View

Use = Literal["none", "zero", "free", "hard", "soft", "band"]


@dataclass(frozen=True, slots=True)
class Fill:
    """A way to treat a gap: the method that fills it (empty where nothing does), and how much its values are believed.

    Soft is PyNX's own band around them, band is the one of the fill's own sigma. The options of the method come beside
    the request's.
    """

    name: str
    method: str
    use: Use
    options: Mapping[str, Any] = field(default_factory=dict)

    def of(self, view: View, request: Request) -> Inpainted:
        """A pattern treated this way; what is under its gap is hidden from the method.

        Raises
        ------
        ValueError
            If the method can't fill this gap.
        """
        hidden = np.where(view.mask, 0, view.counts)
        if self.method:
            return self.fill(hidden, view.mask, request)
        counts = view.counts if self.use == "none" else hidden
        report = Report(self.use, int(view.mask.sum()), 0.0, 0.0)
        return Inpainted(counts, np.zeros_like(counts), view.mask, report)

    def fill(self, hidden: Counts, mask: Bools, request: Request) -> Inpainted:
        """A gap filled by the method, whatever is made of it."""
        return request.inpaint(hidden, mask, self.method, **self.options)

    def bounds(self, filled: Inpainted) -> Bounds:
        """Bounds of the amplitudes in a retrieval."""
        counts, mask = filled.intensity, filled.mask
        low = high = counts
        if self.use == "free":
            return Bounds.of(counts, counts).freed(mask)
        if self.use == "soft":
            low, high = (np.where(mask, factor * counts, counts) for factor in SOFT_BAND)
        elif self.use == "band":
            low, high = counts - SIGMAS * filled.sigma, counts + SIGMAS * filled.sigma
        return Bounds.of(low, high)


FILLS = {
    fill.name: fill
    for fill in (
        Fill("no gap", "", "none"),
        Fill("zero", "", "zero"),
        Fill("free", "", "free"),
        Fill("linear", "linear", "hard"),
        Fill("kriging", "kriging", "hard"),
        Fill("patching", "patching", "hard"),
        Fill("patching, soft", "patching", "soft"),
        Fill("patching, band", "patching", "band"),
        Fill("no twin, hard", "patching", "hard", {"twin": False}),
        Fill("no twin, band", "patching", "band", {"twin": False}),
        Fill("reference", "reference", "hard"),
    )
}
"""By their names, in the tables' order."""
