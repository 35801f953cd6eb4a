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
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint import geometry

from .facts import DETECTOR_NAMES, VENDOR_NAMES, Facts, scan_metadata
from .masks import find_detector, missing_pixels
from .motor import in_degrees, rocking_motor
from .quantities import bits_of
from .rocking_scan import RockingScan, ScanMetadata
from .start_stop import RunStart, RunStop, field
from .streams import BASELINE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .reading import FramesPerPoint, ReadingOptions
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
    bits = bits_of(Facts.of_detector(run, stream, points.data_key), notes)
    frames, flags, per_point = merge_frames(
        points.array if whole else points.array[kept], reading.frames_per_point, bits=bits
    )
    if bits is None:
        notes += _doubtful_counts(frames, flags)
    if angles is not None:
        angles = np.repeat(angles, per_point)
    shape = (frames.shape[1], frames.shape[2])
    known = scan_metadata(run, stream, points.data_key, motor, shape, reading)
    expected = known.frames_expected
    if expected is not None:
        known = replace(known, frames_expected=expected * per_point)
    own = _own_mask(points, reading, frames.shape, notes)
    detector, note = _detector(
        Facts.of(run, stream, points.data_key), shape, reading, known, own=own is not None
    )
    if detector is not None:
        size = known.pixel_size or (detector.pixel_size, detector.pixel_size)
        known = replace(known, detector=detector.key, pixel_size=size)
    mask = missing_pixels(
        flags,
        detector=detector,
        roi=known.roi,
        binning=known.binning,
        mask=None if reading.mask is False else reading.mask,
        own=own,
    )
    notes = [*points.notes, *notes, *known.notes, *filter(None, [note]), *_ending(run, len(kept))]
    return RockingScan(frames, mask, angles, replace(known, notes=tuple(notes)))


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


def _own_mask(
    points: PointFrames, reading: ReadingOptions, stack: tuple[int, ...], notes: list[str]
) -> NDArray[np.bool_] | None:
    """The detector's own mask, if it is asked for and fits."""
    own = None if reading.mask is False else points.mask
    if own is not None and own.shape not in (stack, stack[1:]):
        notes.append(f"the file's own mask is {own.shape}, frames are {stack[1:]}: it isn't used")
        return None
    return own


def pair(
    n_points: int,
    seq_nums: NDArray[np.int64] | None,
    event_seq_nums: NDArray[np.number] | None,
    angles: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.intp], list[str]]:
    """Find out which frames belong to which rows of the Events' table.

    Parameters
    ----------
    n_points
        How many points have frames.
    seq_nums
        ``(point,)``, where it is known.
    event_seq_nums
        ``(row,)``; None without Events.
    angles
        ``(row,)``; only their number matters, and only without Events.

    Returns
    -------
    points, rows, notes
        Indices of equal length, by ``seq_num``; and what had to be left out.
    """
    if event_seq_nums is None:
        n_paired = n_points if angles is None else min(n_points, len(angles))
        in_order = np.arange(n_paired)
        return in_order, in_order, _left_out(n_points - n_paired, 0)
    row_of = {int(number): row for row, number in enumerate(event_seq_nums)}
    numbers: NDArray[np.number]
    if seq_nums is not None:
        numbers = seq_nums
    elif n_points == len(row_of):
        numbers = np.array(sorted(row_of))
    else:
        numbers = event_seq_nums[:n_points]
    point_of = {int(number): point for point, number in enumerate(numbers)}
    both = sorted(row_of.keys() & point_of.keys())
    notes = []
    if repeated := max(len(event_seq_nums) - len(row_of), len(numbers) - len(point_of)):
        notes.append(f"of {count(repeated, 'repeated point')} the last reading counts")
    surplus = len(point_of) - len(both) + n_points - len(numbers)
    notes += _left_out(surplus, len(row_of) - len(both))
    return (
        np.array([point_of[number] for number in both], dtype=np.intp),
        np.array([row_of[number] for number in both], dtype=np.intp),
        notes,
    )


def merge_frames(
    array: NDArray[np.number], rule: FramesPerPoint | None, *, bits: int | None = None
) -> tuple[NDArray[np.number], NDArray[np.bool_], int]:
    """Make one stack of several frames a point.

    Parameters
    ----------
    array
        ``(point, frame of the point, row, col)``.
    rule
        "sum" or "mean" of a point's frames, or each one "separate". Needed only if there are
        several. A pixel that holds no count in one of the frames holds none in their sum or mean.
    bits
        Of a pixel in the detector's images, as `bcdi_inpaint.geometry.flagged` takes them.

    Returns
    -------
    frames, flags, per_point
        ``(frame, row, col)`` counts (integers stay integers but for the mean); bool of the same
        shape, where they are no counts; how many frames of the stack each point has.
    """
    n_points, per_point, *shape = array.shape
    flags = geometry.flagged(array, bits=bits)
    if per_point == 1 or rule == "separate":
        return array.reshape(-1, *shape), flags.reshape(-1, *shape), per_point
    if rule is None:
        raise ValueError(
            f"there are {per_point} frames at each of {n_points} points; pass frames_per_point="
            "'sum', 'mean' or 'separate'"
        )
    counts = np.where(flags, np.zeros((), array.dtype), array)
    merged = counts.sum(axis=1) if rule == "sum" else counts.mean(axis=1, dtype=np.float64)
    return merged, np.logical_or.reduce(flags, axis=1), 1


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


def _left_out(frames: int, events: int) -> list[str]:
    notes = []
    if frames:
        notes.append(f"{count(frames, 'point')} without an Event left out")
    if events:
        notes.append(f"{count(events, 'point')} without a frame left out")
    return notes


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
