"""Which column of a run is the monitor of the beam, and its readings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from .start_stop import field, text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .streams import Document, Stream

MONITORS = re.compile(r"(?:.*[-_.])?(?:monitor|mon|i0|ic0|ion_?chamber)", re.IGNORECASE)
"""Names of columns that are one: these words alone, or at the end."""


def monitor_of(start: Document, stream: Stream) -> str:
    """The monitor's column: what the start document names (``monitor``), else the only one called so; or empty."""
    named = text(field(start, "monitor"))
    if named in stream.columns:
        return named
    found = [key for key in stream.columns if MONITORS.fullmatch(key)]
    return found[0] if len(found) == 1 else ""


def monitor_readings(
    stream: Stream, monitor: str, rows: NDArray[np.intp], per_point: int
) -> NDArray[np.float64] | None:
    """Its readings ``(frame,)``, as recorded; None without a monitor, or if it has too few."""
    column = stream.columns.get(monitor)
    if column is None or len(column) <= rows.max(initial=-1):
        return None
    return np.repeat(np.asarray(column[rows], np.float64), per_point)
