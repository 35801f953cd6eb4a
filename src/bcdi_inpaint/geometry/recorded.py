"""From the full frame to the frames as they were recorded: flipped, cut and binned."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Span = tuple[int, int]
"""A half-open, 0-based interval ``(start, stop)``."""


def as_recorded(
    mask: NDArray[np.bool_],
    *,
    flip: tuple[bool, bool] = (False, False),
    roi: tuple[Span, Span] | None = None,
    binning: tuple[int, int] = (1, 1),
) -> NDArray[np.bool_]:
    """Carry a full-frame mask over to frames that were flipped, cut and binned.

    The order is: native orientation, then `flip`, then `roi`, then `binning`.

    Parameters
    ----------
    mask
        bool, ``(..., rows, cols)``, the full unbinned frame in the detector's native orientation.
    flip
        Whether rows and whether columns are reversed.
    roi
        ``((row0, row1), (col0, col1))``, half-open, in unbinned pixels of the flipped frame.
    binning
        Pixels that make one recorded pixel, along rows and columns. A recorded pixel is missing if
        any of its pixels is. What doesn't fill a whole recorded pixel at the end is dropped.

    Returns
    -------
    bool array
        A new array, ``(..., recorded rows, recorded cols)``.

    Raises
    ------
    ValueError
        If the roi is empty or reaches beyond the frame, or the binning is below 1 or larger than
        the roi.
    TypeError
        If the mask is not bool, or roi or binning hold anything but integers.
    """
    if mask.dtype != np.bool_:
        raise TypeError(f"mask must be bool (True = missing); got {mask.dtype}")
    if mask.ndim < 2:
        raise ValueError(f"mask must be (rows, cols) or (frame, rows, cols); got {mask.shape}")
    rows, cols = _spans(roi, mask.shape[-2:])
    row_bin, col_bin = _binning(binning, rows, cols)
    flipped = mask[..., :: -1 if flip[0] else 1, :: -1 if flip[1] else 1]
    n_rows, n_cols = (rows[1] - rows[0]) // row_bin, (cols[1] - cols[0]) // col_bin
    cut = flipped[
        ...,
        rows[0] : rows[0] + n_rows * row_bin,
        cols[0] : cols[0] + n_cols * col_bin,
    ]
    groups = cut.reshape(*mask.shape[:-2], n_rows, row_bin, n_cols, col_bin)
    return np.asarray(groups.any(axis=(-3, -1)))


def _spans(roi: tuple[Span, Span] | None, shape: Sequence[int]) -> tuple[Span, Span]:
    if roi is None:
        return (0, shape[0]), (0, shape[1])
    try:
        (row0, row1), (col0, col1) = (tuple(map(operator.index, span)) for span in roi)
    except (TypeError, ValueError):
        raise TypeError(
            f"roi must be ((row0, row1), (col0, col1)) with integers; got {roi!r}"
        ) from None
    for axis, start, stop, length in (
        ("rows", row0, row1, shape[0]),
        ("columns", col0, col1, shape[1]),
    ):
        if not 0 <= start < stop <= length:
            raise ValueError(
                f"roi {axis} {start}:{stop} must be a non-empty part of the full, unbinned frame, "
                f"which has {length} {axis}"
            )
    return (row0, row1), (col0, col1)


def _binning(binning: tuple[int, int], rows: Span, cols: Span) -> tuple[int, int]:
    try:
        row_bin, col_bin = map(operator.index, binning)
    except (TypeError, ValueError):
        raise TypeError(f"binning must be (rows, cols) with integers; got {binning!r}") from None
    for axis, size, (start, stop) in (("rows", row_bin, rows), ("columns", col_bin, cols)):
        if not 1 <= size <= stop - start:
            raise ValueError(
                f"binning of {axis} must be 1 to {stop - start} for this frame; got {size}"
            )
    return row_bin, col_bin
