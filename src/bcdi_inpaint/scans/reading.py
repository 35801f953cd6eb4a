"""How a scan is read: options where the scan itself does not say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from .sizes import LARGEST_STACK

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from bcdi_inpaint.geometry import Span

FramesPerPoint = Literal["sum", "mean", "separate"]

ENERGIES = (1e3, 2e5)
"""Plausible photon energies, eV."""
DISTANCES = (1e-2, 1e2)
"""Plausible distances from sample to detector, m."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReadingOptions:
    """How a scan is read; None means: as the scan itself says.

    Made once, from a command line, a configuration or an operator's toggles, and passed whole.

    Attributes
    ----------
    data_key
        Which detector of a run, as in ``run["primary"]``. Needed only if several recorded frames, and
        not just one of them is known.
    detector
        The detector's key in `bcdi_inpaint.geometry`, for its gaps. If None and there is no
        ``mask``, it is taken from the scan's metadata, else from the shape of the frames.
    roi
        ``((row0, row1), (col0, col1))`` of the full, unbinned frame that the frames show.
    binning
        ``(rows, cols)`` of the detector's pixels in one of the frames'.
    mask
        ``(row, col)`` or ``(frame, row, col)`` bool, what is missing: instead of a detector, or in
        addition to one if that is named. False = nothing but values that are no counts, which are
        found in any case.
    frames_per_point
        What to do with several frames at each point: their "sum", their "mean", or keep them
        "separate" (at equal angles).
    motor
        The column of the rocking motor.
    own_mask
        Whether the mask that the frames' HDF5 file holds of the detector's pixels (Dectris, NeXus, ESRF, CXI)
        counts too, unless ``mask`` is False.
    fill_saturated
        Whether voxels at the highest count that the detector can show are missing, where the file or the run
        says which that is.
    counts_per_unit
        How many counts 1 is, of frames that were normalised: they are multiplied by it.
    energy, distance
        Photon energy in eV; sample to detector in m.
    file_roots
        Folders from which a run's files may be read: for the detector's own mask, and for frames that Tiled
        can't serve (a file ahead of the catalogue, which it answers with 422; errors 5xx). Empty = none.
    largest_stack
        Bytes that the frames may take.

    Raises
    ------
    ValueError
        If a value can't be.
    """

    data_key: str | None = None
    detector: str | None = None
    roi: tuple[Span, Span] | None = None
    binning: tuple[int, int] | None = None
    mask: NDArray[np.bool_] | Literal[False] | None = None
    frames_per_point: FramesPerPoint | None = None
    motor: str | None = None
    own_mask: bool = True
    fill_saturated: bool = False
    counts_per_unit: float | None = None
    energy: float | None = None
    distance: float | None = None
    file_roots: tuple[str | Path, ...] = ()
    largest_stack: int = LARGEST_STACK

    def __post_init__(self) -> None:
        if self.frames_per_point not in (None, *get_args(FramesPerPoint)):
            raise ValueError(
                f"frames_per_point must be one of {', '.join(get_args(FramesPerPoint))}; "
                f"got {self.frames_per_point!r}"
            )
        if self.roi is not None and not all(0 <= start < stop for start, stop in self.roi):
            raise ValueError(f"roi must be ((row0, row1), (col0, col1)); {self.roi} is empty")
        if self.binning is not None and min(self.binning) < 1:
            raise ValueError(f"binning must be two whole numbers from 1; got {self.binning}")
        if self.counts_per_unit is not None and not 0 < self.counts_per_unit < math.inf:
            raise ValueError(
                f"counts_per_unit must be a number above 0; got {self.counts_per_unit}"
            )
        _check_range("energy", self.energy, ENERGIES, "eV")
        _check_range("distance", self.distance, DISTANCES, "m")


def _check_range(name: str, value: float | None, plausible: tuple[float, float], unit: str) -> None:
    lowest, highest = plausible
    if value is not None and not lowest <= value <= highest:
        raise ValueError(f"{name} is in {unit}, {lowest:g} to {highest:g}; got {value:g}")


AS_RECORDED = ReadingOptions()
"""All as the scan itself says."""
