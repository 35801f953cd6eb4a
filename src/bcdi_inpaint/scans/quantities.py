"""Quantities that a run holds beside its frames, as numbers in this package's units.

A number is in the unit that its data key names, or else in the quantity's own; one that isn't plausible
then isn't taken, and a note says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bcdi_inpaint import geometry
from bcdi_inpaint.constants import JOULE_PER_EV

from .reading import DISTANCES, ENERGIES
from .start_stop import items, whole_number

if TYPE_CHECKING:
    from bcdi_inpaint.geometry import Span

    from .facts import Facts

BIT_DEPTH_NAMES = ("bit_depth_image",)

_UNITS = {
    "ev": 1.0, "kev": 1e3, "j": 1 / JOULE_PER_EV,
    "m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "micron": 1e-6,
    "px": 1.0, "pixel": 1.0, "pixels": 1.0, "": 1.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quantity:
    names: tuple[str, ...]
    unit: str
    plausible: tuple[float, float]


ENERGY = Quantity(
    ("incident_energy", "photon_energy", "mono_energy", "dcm_energy", "energy"), "eV", ENERGIES
)
DISTANCE = Quantity(("distance", "detector_distance", "det_distance"), "m", DISTANCES)
ROW_SIZE = Quantity(("y_pixel_size", "pixel_size"), "m", (1e-6, 1e-2))
COL_SIZE = Quantity(("x_pixel_size", "pixel_size"), "m", (1e-6, 1e-2))
BEAM_ROW = Quantity(("beam_center_y",), "pixels", (-1e5, 1e5))
BEAM_COL = Quantity(("beam_center_x",), "pixels", (-1e5, 1e5))


def bits_of(facts: Facts, notes: list[str]) -> int | None:
    """Bits of a pixel in the detector's own images; None if they are not recorded."""
    found = facts.find(BIT_DEPTH_NAMES)
    if found is None:
        return None
    value, _, key = found
    try:
        bits = int(value)
    except (TypeError, ValueError, OverflowError):
        bits = 0
    if 1 <= bits <= geometry.MOST_BITS:
        return bits
    notes.append(f"{key} = {value!r} is not taken: no plausible number of bits")
    return None


def number_of(facts: Facts, quantity: Quantity, notes: list[str]) -> float | None:
    said = facts.find(quantity.names)
    if said is None:
        return None
    value, unit, key = said
    lowest, highest = quantity.plausible
    try:
        found = float(value) * _UNITS[unit.strip().casefold()]
    except (TypeError, ValueError, KeyError, OverflowError):
        found = math.nan
    if lowest <= found <= highest:
        return found
    notes.append(
        f"{key} = {value!r} {unit}".rstrip() + f" is not taken: no plausible {quantity.unit}"
    )
    return None


def pair_of(
    facts: Facts, rows: Quantity, cols: Quantity, notes: list[str]
) -> tuple[float, float] | None:
    row, col = number_of(facts, rows, notes), number_of(facts, cols, notes)
    return None if row is None or col is None else (row, col)


REGION_NAMES = (
    ("cam_min_y", "cam_size_size_y", "cam_min_x", "cam_size_size_x"),  # ophyd
    ("driver_min_y", "driver_size_y", "driver_min_x", "driver_size_x"),  # ophyd-async
)
"""First row, rows, first column and columns of the full frame that a camera records."""


def _integers(facts: Facts, *names: str) -> tuple[int, ...] | None:
    """Whole numbers under these names, all or none."""
    found = [facts.find([name]) for name in names]
    try:
        numbers = tuple(int(item[0]) for item in found if item is not None)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if len(numbers) == len(names) else None


def binning_of(facts: Facts, notes: list[str]) -> tuple[int, int]:
    said = facts.start.get("binning")
    if said is not None:
        binned = tuple(whole_number(part) for part in items(said))
        if len(binned) == 2 and binned[0] and binned[1] and min(binned[0], binned[1]) > 0:
            return binned[0], binned[1]
        notes.append("binning in the start document is not taken: no two whole numbers above 0")
    rows, cols = _integers(facts, "cam_bin_y", "cam_bin_x") or (1, 1)
    return max(rows, 1), max(cols, 1)


def roi_of(
    facts: Facts, frame_shape: tuple[int, int], binning: tuple[int, int], notes: list[str]
) -> tuple[Span, Span] | None:
    said = facts.start.get("roi")
    if said is not None:
        spans = [_span(part) for part in items(said)]
        if len(spans) == 2 and spans[0] and spans[1]:
            return spans[0], spans[1]
        notes.append("roi in the start document is not taken: no two pairs of whole numbers")
    for names in REGION_NAMES:
        if camera := _integers(facts, *names):
            row0, rows, col0, cols = camera
            if (rows // binning[0], cols // binning[1]) == frame_shape:
                return (row0, row0 + rows), (col0, col0 + cols)
    return None


def _span(said: object) -> Span | None:
    ends = tuple(whole_number(end) for end in items(said))
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        return None
    return ends[0], ends[1]
