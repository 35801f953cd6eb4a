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
    """Make one stack of several frames a point.

    Parameters
    ----------
    array
        ``(point, frame of the point, row, col)``.
    flags
        bool of the same shape, where it holds no counts.
    rule
        "sum" or "mean" of a point's frames, or each one "separate". Needed only if there are
        several. A pixel that holds no count in one of the frames holds none in their sum or mean.

    Returns
    -------
    array
        ``(frame, row, col)`` counts; integers stay integers but for the mean.
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
