"""Which columns of a run are the rocking motor and the monitor of the beam."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from .start_stop import RunStart, field, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .streams import Document, Stream

NO_MOTORS = frozenset({"seq_num", "time"})
DEGREES = {"deg", "degree", "degrees", "°"}
DEGREES_PER_UNIT = {
    "rad": 180 / np.pi,
    "radian": 180 / np.pi,
    "radians": 180 / np.pi,
    "mrad": 0.18 / np.pi,
}

MONITORS = re.compile(r"(?:.*[-_.])?(?:monitor|mon|i0|ic0|ion_?chamber)", re.IGNORECASE)
"""Names of columns that are one: these words alone, or at the end."""


def rocking_motor(start: Document, stream: Stream) -> str | None:
    """The column of ``stream`` that holds the rocking motor's readback, None if there is none.

    The start document says it in ``hints["dimensions"]`` or ``motors``. If it doesn't, the motor is the only
    column that rises or falls all the time, the beam's monitor aside; among several, the only one in degrees. If
    several remain, none is taken: counters and the ring current are monotonic, too.
    """
    for named in _named(start):
        if named in stream.columns:
            return named
    no_motors = {*NO_MOTORS, monitor_of(start, stream)}
    moving = [
        key
        for key, column in stream.columns.items()
        if key not in no_motors and not key.endswith("setpoint") and _is_monotonic(column)
    ]
    angles = [key for key in moving if text(field(stream.data_keys.get(key), "units")) in DEGREES]
    for candidates in (angles, moving):
        if len(candidates) == 1:
            return candidates[0]
    return None


def in_degrees(angles: NDArray[np.number], units: object) -> NDArray[np.float64]:
    """Motor readings as float64 degrees; without units, or in others than rad, as they are."""
    return np.asarray(angles, dtype=np.float64) * DEGREES_PER_UNIT.get(text(units), 1.0)


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


def _named(start: Document) -> Iterator[str]:
    run = RunStart.of(start)
    for fields in run.dimensions:
        yield from (name for name in fields if name not in NO_MOTORS)
    for motor in run.motors:
        yield from (motor, f"{motor}_readback", f"{motor}-readback", f"{motor}_user_readback")


def _is_monotonic(column: NDArray[np.number]) -> bool:
    if column.dtype.kind not in "iuf":
        return False
    steps = np.diff(column[np.isfinite(column)].astype(np.float64))
    return len(steps) > 0 and bool((steps > 0).all() or (steps < 0).all())
