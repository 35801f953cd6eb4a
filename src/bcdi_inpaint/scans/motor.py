"""Which column of a run is the rocking motor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .monitor import monitor_of
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
