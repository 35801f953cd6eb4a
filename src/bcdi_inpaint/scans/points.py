"""Which frames belong to which Events, and one stack of several frames at each point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .reading import FramesPerPoint


def pair(
    n_points: int,
    seq_nums: NDArray[np.int64] | None,
    event_seq_nums: NDArray[np.number] | None,
    angles: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.intp], list[str]]:
    """Find out which frames belong to which rows of the Events' table.

    Parameters
    ----------
    n_points, seq_nums
        How many points have frames; theirs, ``(point,)``, where they are known.
    event_seq_nums, angles
        ``(row,)``, the first None without Events: then the number of angles matters.

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
    array: NDArray[np.number], flags: NDArray[np.bool_], rule: FramesPerPoint | None
) -> NDArray[np.number]:
    """Make one stack ``(frame, row, col)`` of counts ``(point, frame of the point, row, col)``.

    The rule, "sum" or "mean" of a point's frames or each one "separate", is needed only if there are several.
    Integers stay integers but for the mean; what is flagged counts as 0.
    """
    n_points, per_point, *shape = array.shape
    if per_point == 1 or rule == "separate":
        return array.reshape(-1, *shape)
    if rule is None:
        raise ValueError(
            f"there are {per_point} frames at each of {n_points} points; pass frames_per_point="
            "'sum', 'mean' or 'separate'"
        )
    counts = np.where(flags, np.zeros((), array.dtype), array)
    merged: NDArray[np.number] = (
        counts.sum(axis=1) if rule == "sum" else counts.mean(axis=1, dtype=np.float64)
    )
    return merged


def merge_marks(marks: NDArray[np.bool_], rule: FramesPerPoint | None) -> NDArray[np.bool_]:
    """What is marked in the stack of `merge_frames` where it is in a point's frames."""
    if marks.shape[1] == 1 or rule == "separate":
        return marks.reshape(-1, *marks.shape[2:])
    return np.asarray(marks.any(axis=1))


def _left_out(frames: int, events: int) -> list[str]:
    notes = []
    if frames:
        notes.append(f"{count(frames, 'point')} without an Event left out")
    if events:
        notes.append(f"{count(events, 'point')} without a frame left out")
    return notes


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
