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

import numpy as np

from bcdi_inpaint import geometry

from .motor import in_degrees
from .streams import BASELINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .rocking_scan import Span
    from .streams import Document, RunRecord, Stream

SAMPLE_CIRCLES = frozenset(
    {"eta", "theta", "th", "omega", "chi", "phi", "mu", "kappa", "keta", "kphi"}
)
DETECTOR_CIRCLES = frozenset({"delta", "gamma", "nu", "tth", "twotheta"})

SAMPLE_NAMES = ("sample_name", "sample")
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
    ("incident_energy", "photon_energy", "mono_energy", "dcm_energy", "energy"), "eV", (1e3, 2e5)
)
_DISTANCE = _Quantity(("distance", "detector_distance", "det_distance"), "m", (1e-2, 1e2))
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
    """
    facts = Facts.of(run, stream, data_key)
    start, notes = run.start, list[str]()
    binning = _binning(facts)
    return {
        "raw_uid": start.get("uid", ""),
        "raw_path": run.path,
        "scan_id": start.get("scan_id"),
        "sample": _sample(start),
        "plan_name": start.get("plan_name", ""),
        "time": start.get("time"),
        "data_key": data_key,
        "motor": motor or "",
        "energy": _number(facts, _ENERGY, notes),
        "distance": _number(facts, _DISTANCE, notes),
        "pixel_size": _pair(facts, _ROW_SIZE, _COL_SIZE, notes),
        "direct_beam": _pair(facts, _BEAM_ROW, _BEAM_COL, notes),
        "sample_angles": _circles(run, stream, SAMPLE_CIRCLES, "sample_angles", motor),
        "detector_angles": _circles(run, stream, DETECTOR_CIRCLES, "detector_angles", motor),
        "roi": _roi(facts, frame_shape, binning),
        "binning": binning,
        "access_tags": run.access_tags,
        "frames_expected": start.get("num_points"),
        "exit_status": run.stop.get("exit_status", ""),
        "notes": tuple(notes),
        "extra": {
            key: value
            for key, value in start.items()
            if key not in _HANDLED and isinstance(value, (str, int, float, bool))
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
        key: (value, keys.get(key, {}).get("units") or "")
        for key, value in device.get("data", {}).items()
    }


def _first_readings(baseline: Stream | None) -> dict[str, tuple[Any, str]]:
    if baseline is None:
        return {}
    return {
        key: (column[0], baseline.data_keys.get(key, {}).get("units") or "")
        for key, column in baseline.columns.items()
        if len(column)
    }


def _is_called(key: str, name: str) -> bool:
    """Whether ``name`` stands at the end of a device's data key, behind the device's own name."""
    return "_" in name and re.sub(r"[-.]", "_", key).endswith(f"_{name}")


def _number(facts: Facts, quantity: _Quantity, notes: list[str]) -> float | None:
    found = facts.find(quantity.names)
    if found is None:
        return None
    value, unit, key = found
    lowest, highest = quantity.plausible
    try:
        number = float(value) * _UNITS[unit.strip().casefold()]
    except (TypeError, ValueError, KeyError):
        number = math.nan
    if lowest <= number <= highest:
        return number
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
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == len(names) else None


def _binning(facts: Facts) -> tuple[int, int]:
    if np.shape(said := facts.start.get("binning", ())) == (2,):
        rows, cols = said
        return rows, cols
    rows, cols = _integers(facts, "cam_bin_y", "cam_bin_x") or (1, 1)
    return max(rows, 1), max(cols, 1)


def _roi(
    facts: Facts, frame_shape: tuple[int, int], binning: tuple[int, int]
) -> tuple[Span, Span] | None:
    if np.shape(said := facts.start.get("roi", ())) == (2, 2):
        (row0, row1), (col0, col1) = said
        return (row0, row1), (col0, col1)
    if camera := _integers(facts, "cam_min_y", "cam_size_size_y", "cam_min_x", "cam_size_size_x"):
        row0, rows, col0, cols = camera
        if (rows // binning[0], cols // binning[1]) == frame_shape:
            return (row0, row0 + rows), (col0, col0 + cols)
    return None


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
    return angles | {name: float(angle) for name, angle in run.start.get(said, {}).items()}


def _last_word(key: str) -> str:
    *_, word = re.split(r"[-_.]", key.casefold())
    return word


def _sample(start: Document) -> str:
    for name in SAMPLE_NAMES:
        said = start.get(name)
        if isinstance(said, Mapping):
            said = said.get("name")
        if isinstance(said, str) and said:
            return said
    return ""
