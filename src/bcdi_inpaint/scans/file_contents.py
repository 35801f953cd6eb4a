"""What a file holds of a scan, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .pixel_facts import PixelFacts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NamedValues = Mapping[str, tuple[Any, str]]
"""Name, as `bcdi_inpaint.scans.facts` looks for it -> value and unit."""


@dataclass(frozen=True, slots=True, eq=False)
class FileContents:
    """Frames ``(frame, row, col)`` or ``(point, frame, row, col)``, and what stands beside them.

    Columns are ``(point,)`` numbers with their unit, the beam's monitor among them; `motor` is the one with the rocking
    angles, empty if the file doesn't say. `start` is what a start document would say, `named_values` what the detector and
    the beamline would. `counts_per_unit` is what the recorded values have been multiplied by already, such that the
    frames are counts; None if the file doesn't say so.
    """

    frames: NDArray[np.number]
    columns: Mapping[str, tuple[NDArray[np.number], str]] = field(default_factory=dict)
    motor: str = ""
    start: Mapping[str, Any] = field(default_factory=dict)
    named_values: NamedValues = field(default_factory=dict)
    pixels: PixelFacts = field(default_factory=PixelFacts)
    counts_per_unit: float | None = None
    notes: tuple[str, ...] = ()
