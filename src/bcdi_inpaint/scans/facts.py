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
``roi``             roi; cam_min_y, cam_size_size_y, cam_min_x, cam_size_size_x, or those  pixels
                    of ophyd-async: driver_min_y, driver_size_y, ...
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

import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from .columns import in_degrees
from .quantities import (
    BEAM_COL,
    BEAM_ROW,
    COL_SIZE,
    DISTANCE,
    ENERGY,
    ROW_SIZE,
    binning_of,
    number_of,
    pair_of,
    roi_of,
)
from .rocking_scan import ScanMetadata
from .start_stop import (
    SAMPLE_NAMES,
    RunStart,
    RunStop,
    field,
    items,
    number,
    plain_scalar,
    text,
)
from .streams import BASELINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from event_model.documents import Configuration

    from .reading import ReadingOptions
    from .streams import Document, RunRecord, Stream

SAMPLE_CIRCLES = frozenset(
    {"eta", "theta", "th", "omega", "chi", "phi", "mu", "kappa", "keta", "kphi"}
)
DETECTOR_CIRCLES = frozenset({"delta", "del", "gamma", "nu", "tth", "twotheta"})

DETECTOR_NAMES = ("detector_model", "detector", "cam_model", "driver_model", "model", "description")
VENDOR_NAMES = ("detector_vendor", "vendor", "cam_manufacturer", "driver_manufacturer")

_HANDLED = frozenset(
    {"uid", "time", "scan_id", "plan_name", "num_points", *SAMPLE_NAMES, *ENERGY.names, *DISTANCE.names,
     *ROW_SIZE.names, *COL_SIZE.names, *BEAM_ROW.names, *BEAM_COL.names}
)  # fmt: skip


class Reading(NamedTuple):
    """An entry: a value of any type, its unit if there is one, and its full name."""

    value: Any
    unit: str
    name: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Named values that a run holds besides its frames, the most reliable ones first.

    After the start document come groups by data key: the detector's configuration, other devices', the baseline.
    """

    start: Document
    devices: tuple[Mapping[str, Reading], ...]

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
        """Only the start document and the detector's configuration, which don't change during the run."""
        own = _own_devices(stream, data_key)
        return cls(run.start, tuple(_configured(device) for device in own.values()))

    def find(self, names: Sequence[str]) -> Reading | None:
        """The entry under the first of ``names`` that exists."""
        for name in names:
            if name in self.start:
                return Reading(self.start[name], "", name)
        for group in self.devices:
            for name in names:
                if name in group:
                    return group[name]
                for key, reading in group.items():
                    if _is_called(key, name):
                        return reading
        return None

    def text(self, names: Sequence[str]) -> str:
        """A text; empty if there is none."""
        found = self.find(names)
        value = found.value if found else ""
        return value.strip() if isinstance(value, str) else ""


def scan_metadata(
    run: RunRecord,
    stream: Stream,
    data_key: str,
    motor: str | None,
    frame_shape: tuple[int, int],
    reading: ReadingOptions,
) -> ScanMetadata:
    """The metadata that the documents contain, of the frames under this data key; `reading` goes before them.

    The rocking motor is not one of the circles that stood still.
    """
    facts = Facts.of(run, stream, data_key)
    start, notes = RunStart.of(run.start), list[str]()
    binning = reading.binning or binning_of(facts, notes)
    return ScanMetadata(
        raw_uid=start.uid,
        raw_path=run.path,
        scan_id=start.scan_id,
        sample=start.sample,
        plan_name=start.plan_name,
        time=start.time,
        data_key=data_key,
        motor=motor or "",
        energy=reading.energy or number_of(facts, ENERGY, notes),
        distance=reading.distance or number_of(facts, DISTANCE, notes),
        pixel_size=pair_of(facts, ROW_SIZE, COL_SIZE, notes),
        direct_beam=pair_of(facts, BEAM_ROW, BEAM_COL, notes),
        sample_angles=_circles(run, stream, SAMPLE_CIRCLES, "sample_angles", motor),
        detector_angles=_circles(run, stream, DETECTOR_CIRCLES, "detector_angles", motor),
        roi=reading.roi or roi_of(facts, frame_shape, binning, notes),
        binning=binning,
        access_tags=run.access_tags,
        frames_expected=start.num_points,
        exit_status=RunStop.of(run.stop).exit_status,
        notes=tuple(notes),
        extra={
            key: scalar
            for key, value in run.start.items()
            if key not in _HANDLED and (scalar := plain_scalar(value)) is not None
        },
    )


def _own_devices(stream: Stream, data_key: str) -> dict[str, Configuration]:
    """Configuration of the devices that a data key belongs to, the innermost first."""
    own = [name for name in stream.configuration if data_key.startswith(name)]
    return {name: stream.configuration[name] for name in sorted(own, key=len, reverse=True)}


def _configured(device: Configuration) -> dict[str, Reading]:
    keys = device.get("data_keys", {})
    return {
        key: Reading(value, text(field(keys.get(key), "units")), key)
        for key, value in device.get("data", {}).items()
    }


def _first_readings(baseline: Stream | None) -> dict[str, Reading]:
    if baseline is None:
        return {}
    return {
        key: Reading(column[0], text(field(baseline.data_keys.get(key), "units")), key)
        for key, column in baseline.columns.items()
        if len(column)
    }


def _is_called(key: str, name: str) -> bool:
    """Whether ``name`` stands at the end of a device's data key, behind the device's own name."""
    return "_" in name and re.sub(r"[-.]", "_", key).endswith(f"_{name}")


def _circles(
    run: RunRecord, stream: Stream, circles: frozenset[str], said: str, motor: str | None
) -> dict[str, float]:
    baseline = run.streams.get(BASELINE)
    columns = ChainMap(dict(stream.columns), dict(baseline.columns) if baseline is not None else {})
    data_keys = ChainMap(dict(stream.data_keys), dict(baseline.data_keys) if baseline else {})
    angles = {
        key: float(in_degrees(column[:1], field(data_keys.get(key), "units"))[0])
        for key, column in columns.items()
        if key != motor
        and _last_word(key) in circles
        and len(column)
        and column.dtype.kind in "iuf"
    }
    return angles | dict(_angles(run.start.get(said)))


def _angles(said: object) -> Iterator[tuple[str, float]]:
    """Angles by circle, as far as they are numbers."""
    for name in items(list(said)) if isinstance(said, Mapping) else ():
        angle = number(field(said, text(name)))
        if text(name) and angle is not None:
            yield text(name), angle


def _last_word(key: str) -> str:
    *_, word = re.split(r"[-_.]", key.casefold())
    return word
