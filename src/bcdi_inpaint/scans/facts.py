"""A scan's metadata from the start document, the devices' configuration and the baseline.

A quantity is looked for under a few names, the same everywhere, of which the first is NeXus's:

==================  =====================================================================  ======
field               names                                                                  unit
==================  =====================================================================  ======
``energy``          incident_energy, photon_energy, mono_energy, dcm_energy, energy        eV
``distance``        distance, detector_distance, det_distance                              m
``pixel_size``      y_pixel_size and x_pixel_size (row, col), or pixel_size for both       m
``direct_beam``     beam_center_y and beam_center_x (row, col)                             pixels
``binning``         binning; cam_bin_y and cam_bin_x                                       pixels
``roi``             roi; cam_min_y, cam_size_size_y, cam_min_x, cam_size_size_x            pixels
``detector``        detector_model, detector, cam_model, driver_model, model, description
its maker           detector_vendor, vendor, cam_manufacturer, driver_manufacturer
its images          bit_depth_image (start document and the detector itself only)              bits
``sample``          sample_name, sample (a name, or a mapping with one; start document only)
==================  =====================================================================  ======

They are looked for as they are in the start document, and in a device's data also behind the
device's name (``det_cam_photon_energy``; single words like ``energy`` only as they are, since
``det_cam_threshold_energy`` is something else). The start document goes before the detector's
configuration, that before other devices', and all before the baseline. Numbers are in the unit
that their data key names, or else in the one above; one that isn't plausible then isn't taken, and
a note says so. The camera's own region is a ``roi`` only if it fits the frames.

Circles that did not move come from ``sample_angles`` and ``detector_angles`` in the start document,
and from the baseline and the scan's own columns if the last word of their name is one of
`SAMPLE_CIRCLES` or `DETECTOR_CIRCLES` (``diff_delta``).
"""

from __future__ import annotations

import math
import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bcdi_inpaint import geometry

from .motor import in_degrees
from .reading import DISTANCES, ENERGIES
from .start_stop import (
    SAMPLE_NAMES,
    RunStart,
    RunStop,
    field,
    items,
    number,
    plain_scalar,
    text,
    whole_number,
)
from .streams import BASELINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .reading import ReadingOptions
    from .rocking_scan import Span
    from .streams import Document, RunRecord, Stream

SAMPLE_CIRCLES = frozenset(
    {"eta", "theta", "th", "omega", "chi", "phi", "mu", "kappa", "keta", "kphi"}
)
DETECTOR_CIRCLES = frozenset({"delta", "gamma", "nu", "tth", "twotheta"})

DETECTOR_NAMES = ("detector_model", "detector", "cam_model", "driver_model", "model", "description")
VENDOR_NAMES = ("detector_vendor", "vendor", "cam_manufacturer", "driver_manufacturer")
BIT_DEPTH_NAMES = ("bit_depth_image",)

_UNITS = {
    "ev": 1.0, "kev": 1e3,
    "m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "micron": 1e-6,
    "px": 1.0, "pixel": 1.0, "pixels": 1.0, "": 1.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Quantity:
    names: tuple[str, ...]
    unit: str
    plausible: tuple[float, float]


_ENERGY = _Quantity(
    ("incident_energy", "photon_energy", "mono_energy", "dcm_energy", "energy"), "eV", ENERGIES
)
_DISTANCE = _Quantity(("distance", "detector_distance", "det_distance"), "m", DISTANCES)
_ROW_SIZE = _Quantity(("y_pixel_size", "pixel_size"), "m", (1e-6, 1e-2))
_COL_SIZE = _Quantity(("x_pixel_size", "pixel_size"), "m", (1e-6, 1e-2))
_BEAM_ROW = _Quantity(("beam_center_y",), "pixels", (-1e5, 1e5))
_BEAM_COL = _Quantity(("beam_center_x",), "pixels", (-1e5, 1e5))

_HANDLED = frozenset(
    {"uid", "time", "scan_id", "plan_name", "num_points", *SAMPLE_NAMES, *_ENERGY.names, *_DISTANCE.names,
     *_ROW_SIZE.names, *_COL_SIZE.names, *_BEAM_ROW.names, *_BEAM_COL.names}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """Named values that a run holds beside its frames, the most telling ones first.

    Attributes
    ----------
    start
        The start document.
    devices
        Groups of data key -> (value, unit): the detector's configuration, other devices', the
        baseline.
    """

    start: Document
    devices: tuple[Mapping[str, tuple[Any, str]], ...]

    @classmethod
    def of(cls, run: RunRecord, stream: Stream, data_key: str) -> Facts:
        """Collect them for the detector with this data key."""
        own = _own_devices(stream, data_key)
        others = [device for name, device in stream.configuration.items() if name not in own]
        return cls(
            run.start,
            (
                *(_configured(device) for device in (*own.values(), *others)),
                _first_readings(run.streams.get(BASELINE)),
            ),
        )

    @classmethod
    def of_detector(cls, run: RunRecord, stream: Stream, data_key: str) -> Facts:
        """Only what the start document and the detector itself say: the same from its first frame on."""
        own = _own_devices(stream, data_key)
        return cls(run.start, tuple(_configured(device) for device in own.values()))

    def find(self, names: Sequence[str]) -> tuple[Any, str, str] | None:
        """Value, unit and full name of the first of ``names`` that is there."""
        for name in names:
            if name in self.start:
                return self.start[name], "", name
        for group in self.devices:
            for name in names:
                if name in group:
                    return *group[name], name
                for key, (value, unit) in group.items():
                    if _is_called(key, name):
                        return value, unit, key
        return None

    def text(self, names: Sequence[str]) -> str:
        """A name in words; empty if there is none."""
        found = self.find(names)
        value = found[0] if found else ""
        return value.strip() if isinstance(value, str) else ""


def scan_metadata(
    run: RunRecord,
    stream: Stream,
    data_key: str,
    motor: str | None,
    frame_shape: tuple[int, int],
    reading: ReadingOptions,
) -> dict[str, Any]:
    """Fields of a ``ScanMetadata`` that the documents know, by name.

    Parameters
    ----------
    run
        The run.
    stream, data_key
        Where its frames are.
    motor
        The rocking motor; not one of the circles that stood still.
    frame_shape
        (rows, cols) of a recorded frame.
    reading
        What it says goes before what the documents say.
    """
    facts = Facts.of(run, stream, data_key)
    start, notes = RunStart.of(run.start), list[str]()
    binning = reading.binning or _binning(facts, notes)
    return {
        "raw_uid": start.uid,
        "raw_path": run.path,
        "scan_id": start.scan_id,
        "sample": start.sample,
        "plan_name": start.plan_name,
        "time": start.time,
        "data_key": data_key,
        "motor": motor or "",
        "energy": reading.energy or _number(facts, _ENERGY, notes),
        "distance": reading.distance or _number(facts, _DISTANCE, notes),
        "pixel_size": _pair(facts, _ROW_SIZE, _COL_SIZE, notes),
        "direct_beam": _pair(facts, _BEAM_ROW, _BEAM_COL, notes),
        "sample_angles": _circles(run, stream, SAMPLE_CIRCLES, "sample_angles", motor),
        "detector_angles": _circles(run, stream, DETECTOR_CIRCLES, "detector_angles", motor),
        "roi": reading.roi or _roi(facts, frame_shape, binning, notes),
        "binning": binning,
        "access_tags": run.access_tags,
        "frames_expected": start.num_points,
        "exit_status": RunStop.of(run.stop).exit_status,
        "notes": tuple(notes),
        "extra": {
            key: scalar
            for key, value in run.start.items()
            if key not in _HANDLED and (scalar := plain_scalar(value)) is not None
        },
    }


def bits_of_images(facts: Facts, notes: list[str]) -> int | None:
    """Bits of a pixel in the detector's own images; None if nobody says."""
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


def _own_devices(stream: Stream, data_key: str) -> dict[str, Document]:
    """Configuration of the devices that a data key belongs to, the innermost first."""
    own = [name for name in stream.configuration if data_key.startswith(name)]
    return {name: stream.configuration[name] for name in sorted(own, key=len, reverse=True)}


def _configured(device: Document) -> dict[str, tuple[Any, str]]:
    keys = device.get("data_keys", {})
    return {
        key: (value, text(field(keys.get(key), "units")))
        for key, value in device.get("data", {}).items()
    }


def _first_readings(baseline: Stream | None) -> dict[str, tuple[Any, str]]:
    if baseline is None:
        return {}
    return {
        key: (column[0], text(field(baseline.data_keys.get(key), "units")))
        for key, column in baseline.columns.items()
        if len(column)
    }


def _is_called(key: str, name: str) -> bool:
    """Whether ``name`` stands at the end of a device's data key, behind the device's own name."""
    return "_" in name and re.sub(r"[-.]", "_", key).endswith(f"_{name}")


def _number(facts: Facts, quantity: _Quantity, notes: list[str]) -> float | None:
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


def _pair(
    facts: Facts, rows: _Quantity, cols: _Quantity, notes: list[str]
) -> tuple[float, float] | None:
    row, col = _number(facts, rows, notes), _number(facts, cols, notes)
    return None if row is None or col is None else (row, col)


def _integers(facts: Facts, *names: str) -> tuple[int, ...] | None:
    """Whole numbers under these names, all or none."""
    found = [facts.find([name]) for name in names]
    try:
        numbers = tuple(int(item[0]) for item in found if item is not None)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if len(numbers) == len(names) else None


def _binning(facts: Facts, notes: list[str]) -> tuple[int, int]:
    said = facts.start.get("binning")
    if said is not None:
        binned = tuple(whole_number(part) for part in items(said))
        if len(binned) == 2 and binned[0] and binned[1] and min(binned[0], binned[1]) > 0:
            return binned[0], binned[1]
        notes.append("binning in the start document is not taken: no two whole numbers above 0")
    rows, cols = _integers(facts, "cam_bin_y", "cam_bin_x") or (1, 1)
    return max(rows, 1), max(cols, 1)


def _roi(
    facts: Facts, frame_shape: tuple[int, int], binning: tuple[int, int], notes: list[str]
) -> tuple[Span, Span] | None:
    said = facts.start.get("roi")
    if said is not None:
        spans = [_span(part) for part in items(said)]
        if len(spans) == 2 and spans[0] and spans[1]:
            return spans[0], spans[1]
        notes.append("roi in the start document is not taken: no two pairs of whole numbers")
    if camera := _integers(facts, "cam_min_y", "cam_size_size_y", "cam_min_x", "cam_size_size_x"):
        row0, rows, col0, cols = camera
        if (rows // binning[0], cols // binning[1]) == frame_shape:
            return (row0, row0 + rows), (col0, col0 + cols)
    return None


def _span(said: Any) -> Span | None:
    ends = tuple(whole_number(end) for end in items(said))
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        return None
    return ends[0], ends[1]


def _circles(
    run: RunRecord, stream: Stream, circles: frozenset[str], said: str, motor: str | None
) -> dict[str, float]:
    baseline = run.streams.get(BASELINE)
    columns = ChainMap(dict(stream.columns), dict(baseline.columns) if baseline is not None else {})
    data_keys = ChainMap(dict(stream.data_keys), dict(baseline.data_keys) if baseline else {})
    angles = {
        key: float(in_degrees(column[:1], data_keys.get(key, {}).get("units"))[0])
        for key, column in columns.items()
        if key != motor
        and _last_word(key) in circles
        and len(column)
        and column.dtype.kind in "iuf"
    }
    return angles | dict(_angles(run.start.get(said)))


def _angles(said: Any) -> Iterator[tuple[str, float]]:
    """Angles by circle, as far as they are numbers."""
    for name in items(list(said)) if isinstance(said, Mapping) else ():
        angle = number(field(said, name))
        if text(name) and angle is not None:
            yield text(name), angle


def _last_word(key: str) -> str:
    *_, word = re.split(r"[-_.]", key.casefold())
    return word
