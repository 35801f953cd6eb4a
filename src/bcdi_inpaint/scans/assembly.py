"""From what a run recorded to a ``RockingScan``, for finished and live runs alike.

The rules, each of which leaves a note in the scan's metadata when it had to be applied:

* A point counts if it has both a frame and an Event; frames are paired with Events by ``seq_num``
  where documents say it, by their order where only Tiled does. Those without a partner are left out: a
  last exposure whose Event never came after an abort, an Event whose frame is missing. A run
  without Events (a fly scan) has all its frames.
* Of points that were repeated under the same ``seq_num`` (after a pause) the last one counts.
* Points are in the order of ``seq_num``, whatever order they arrived in.
* Angles are None where no motor was recorded, and NaN where it had no reading.
* Which values are flags follows from the frames' dtype as they were recorded, and from the bits of
  the detector's images where the run says them (``bit_depth_image``); never from other voxels.
* The mask that the frames' file holds of the detector's pixels counts beside the known gaps.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bcdi_inpaint import geometry

from .columns import in_degrees, monitor_of, monitor_readings, rocking_motor
from .counts import doubts_of_counts
from .facts import DETECTOR_NAMES, VENDOR_NAMES, Facts, scan_metadata
from .masks import find_detector, missing_pixels
from .pixel_documents import documented_pixels
from .points import count, merge_frames, merge_marks, pair
from .quantities import bits_of
from .rocking_scan import RockingScan, ScanMetadata
from .start_stop import RunStart, RunStop, field
from .streams import BASELINE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pixel_facts import PixelFacts
    from .reading import ReadingOptions
    from .streams import PointFrames, RunRecord, Stream

FLAG_OF_16_BITS = 2**16 - 1


def assemble(run: RunRecord, points: PointFrames, reading: ReadingOptions) -> RockingScan:
    """Make a rocking scan of a run's points.

    Raises
    ------
    ValueError
        If no point is left, the detector is not known, or an option is missing or doesn't fit.
    """
    stream = run.streams[points.stream]
    motor, angles, source = _angles(run, points, reading.motor)
    kept, rows, notes = pair(
        len(points.array), points.seq_nums, source.columns.get("seq_num"), angles
    )
    if not len(kept):
        raise ValueError(f"run {RunStart.of(run.start).uid} has no point with a frame and an Event")
    if angles is not None:
        motor, angles = _readings(motor, angles[rows], notes)
    whole = np.array_equal(kept, np.arange(len(points.array)))
    counted = _counted(run, points, points.array if whole else points.array[kept], reading, notes)
    per_point = len(counted.frames) // len(kept)
    if angles is not None:
        angles = np.repeat(angles, per_point)
    shape = (counted.frames.shape[1], counted.frames.shape[2])
    known = scan_metadata(run, stream, points.data_key, motor, shape, reading)
    expected = known.frames_expected
    if expected is not None:
        known = replace(known, frames_expected=expected * per_point)
    own = _own_mask(counted, reading, known, notes)
    detector, note = _detector(
        Facts.of(run, stream, points.data_key), shape, reading, known, own=own is not None
    )
    if detector is not None:
        size = known.pixel_size or (detector.pixel_size, detector.pixel_size)
        known = replace(known, detector=detector.key, pixel_size=size)
    missing = missing_pixels(
        counted.flags,
        detector=detector,
        roi=known.roi,
        binning=known.binning,
        mask=None if reading.mask is False else reading.mask,
        own=own,
        saturated=counted.saturated,
    )
    reasons = {} if own is None else counted.pixels.reasons
    masked = {**missing.pixels, **{f"file_{why}": pixels for why, pixels in reasons.items()}}
    notes = [*points.notes, *notes, *known.notes, *filter(None, [note]), *_ending(run, len(kept))]
    monitor = monitor_of(run.start, source)
    readings = monitor_readings(source, monitor, rows, per_point)
    known = replace(
        known,
        masked=masked,
        notes=tuple(notes),
        monitor="" if readings is None else monitor,
        counts_per_unit=reading.counts_per_unit,
    )
    return RockingScan(counted.frames, missing.mask, angles, known, readings)


def _readings(
    motor: str | None, angles: NDArray[np.float64], notes: list[str]
) -> tuple[str | None, NDArray[np.float64] | None]:
    """The motor and its angles, or neither if it has no reading at all."""
    missing = np.isnan(angles)
    if missing.all():
        notes.append("the rocking motor has no reading at all")
        return None, None
    if missing.any():
        notes.append(f"the rocking motor has no reading at {count(int(missing.sum()), 'point')}")
    return motor, angles


class _Counted(NamedTuple):
    """The stack, where it holds no counts, where the detector could count no further, and what it says of its pixels."""

    frames: NDArray[np.number]
    flags: NDArray[np.bool_]
    saturated: NDArray[np.bool_] | None
    pixels: PixelFacts


def _counted(
    run: RunRecord,
    points: PointFrames,
    array: NDArray[np.number],
    reading: ReadingOptions,
    notes: list[str],
) -> _Counted:
    """One stack of the frames ``(point, frame of the point, row, col)``, and which of its values are counts."""
    facts = Facts.of_detector(run, run.streams[points.stream], points.data_key)
    bits = bits_of(facts, notes)
    pixels = points.pixels.or_else(documented_pixels(facts))
    flags = geometry.flagged(array, bits=bits)
    saturated = None
    if pixels.saturation is not None:
        saturated = (array >= pixels.saturation) & ~flags
        voxels = int(np.count_nonzero(saturated))
        if voxels and not reading.fill_saturated:
            notes.append(
                f"{count(voxels, 'voxel')} saturated, at {pixels.saturation:g} counts or more, and taken for measured; "
                "fill_saturated has them filled"
            )
    rule = reading.frames_per_point
    frames = merge_frames(array, flags, rule)
    flags = merge_marks(flags, rule)
    if bits is None:
        notes += _doubtful_counts(frames, flags)
    if reading.counts_per_unit is not None:
        frames = frames * reading.counts_per_unit
    elif rule != "mean":
        notes += doubts_of_counts(frames, flags)
    if saturated is not None:
        saturated = merge_marks(saturated, rule) if reading.fill_saturated else None
    return _Counted(frames, flags, saturated, pixels)


def _own_mask(
    counted: _Counted, reading: ReadingOptions, known: ScanMetadata, notes: list[str]
) -> NDArray[np.bool_] | None:
    """What the detector itself says is missing, if that is asked for and fits."""
    pixels, stack = counted.pixels, counted.frames.shape
    notes += pixels.notes
    if pixels.mask is None or reading.mask is False or not reading.own_mask:
        return None
    own = _recorded(pixels.mask, stack, known)
    if own is None:
        notes.append(
            f"the file's own mask is {pixels.mask.shape}, frames are {stack[1:]}: it isn't used"
        )
    return own


def _recorded(
    mask: NDArray[np.bool_], stack: tuple[int, ...], known: ScanMetadata
) -> NDArray[np.bool_] | None:
    """The detector's own mask as the frames are, which may be cut and binned; None if it doesn't fit."""
    if mask.shape in (stack, stack[1:]):
        return mask
    with suppress(ValueError):
        cut = geometry.as_recorded(mask, roi=known.roi, binning=known.binning)
        if cut.shape == stack[1:]:
            return cut
    return None


def _doubtful_counts(frames: NDArray[np.number], flags: NDArray[np.bool_]) -> list[str]:
    """Say so if the brightest counts are what 16-bit images have for flags."""
    if frames.dtype.itemsize <= 2 or np.max(frames, initial=0, where=~flags) != FLAG_OF_16_BITS:
        return []
    note = (
        f"the brightest voxels hold {FLAG_OF_16_BITS}, which are counts in {frames.dtype} frames; if the "
        "detector's images have 16 bits, bit_depth_image = 16 in the start document makes them flags"
    )
    return [note]


def _angles(
    run: RunRecord, points: PointFrames, named: str | None
) -> tuple[str | None, NDArray[np.float64] | None, Stream]:
    """The motor's name and readings, and the stream whose Events the frames belong to."""
    home = run.streams[points.stream]
    others = [
        stream
        for name, stream in run.streams.items()
        if name not in (points.stream, BASELINE)
        and any(len(column) == len(points.array) for column in stream.columns.values())
    ]
    for stream in (home, *others):
        motor = named if named in stream.columns else None
        if named is None:
            motor = rocking_motor(run.start, stream)
        if motor is not None:
            units = field(stream.data_keys.get(motor), "units")
            return motor, in_degrees(stream.columns[motor], units), stream
    if named is not None:
        listed = ", ".join(sorted(home.columns)) or "none"
        raise ValueError(f"there is no column {named!r} for the motor; there are: {listed}")
    return None, None, home


def _detector(
    facts: Facts, shape: tuple[int, int], reading: ReadingOptions, known: ScanMetadata, *, own: bool
) -> tuple[geometry.Detector | None, str]:
    """The detector, if gaps are to come from one; and a note on how it was found.

    It may stay unknown if the frames have a mask of their `own`.
    """
    if reading.detector is not None:
        return geometry.detector(reading.detector), ""
    if reading.mask is not None:
        return None, ""
    everything = ((0, shape[0]), (0, shape[1]))
    try:
        found, note = find_detector(
            shape,
            named=facts.text(DETECTOR_NAMES),
            vendor=facts.text(VENDOR_NAMES),
            pixel_size=known.pixel_size,
            whole=known.roi in (None, everything) and known.binning == (1, 1),
        )
    except ValueError:
        if not own:
            raise
        return None, "the detector isn't known: its gaps are those of the file's own mask"
    if own and not _fits(found, shape, known):
        return None, f"frames are no whole ones of {found.key}: the file's own mask has its gaps"
    return found, note


def _fits(detector: geometry.Detector, shape: tuple[int, int], known: ScanMetadata) -> bool:
    """Whether frames of this shape are what a detector gives with the known region and binning."""
    rows, cols = known.roi or tuple((0, length) for length in detector.shape)
    row_bin, col_bin = known.binning
    return shape == ((rows[1] - rows[0]) // row_bin, (cols[1] - cols[0]) // col_bin)


def _ending(run: RunRecord, n_points: int) -> list[str]:
    if not run.stop:
        return ["the run had not ended"]
    expected = RunStart.of(run.start).num_points
    stop = RunStop.of(run.stop)
    status = stop.exit_status or "success"
    if status == "success" and expected in (None, n_points):
        return []
    of_expected = "" if expected is None else f" of {expected}"
    because = f" ({stop.reason})" if stop.reason else ""
    return [f"the run ended with {status!r}{because} and {n_points}{of_expected} points"]
