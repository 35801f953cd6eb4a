"""One stack of several frames at each point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .reading import FramesPerPoint


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
