"""The arguments of `inpaint`, checked: what can't be used is refused by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LARGEST_MISSING_SHARE = 0.9
"""A mask that marks more than this as missing almost certainly has the opposite polarity."""

LARGEST_COUNT = 2**53
"""float64 holds every whole number up to this; no detector counts so far."""


def read_device(device: str, method: str, *, learned: bool) -> tuple[str, list[str]]:
    """The device a method runs on, and notes about it."""
    if not isinstance(device, str) or not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise ValueError(f"device={device!r}: takes 'auto', 'cpu', 'cuda' or 'cuda:N'")
    if not learned:
        cuda = device.startswith("cuda")
        return "cpu", [f"{method} runs on the CPU only"] if cuda else []
    import torch

    if device == "auto":
        return ("cuda" if torch.cuda.is_available() else "cpu"), []
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"device={device!r}: torch sees no CUDA device; 'auto' takes what there is"
        )
    return device, []


def read_stack(stack: ArrayLike) -> NDArray[np.number]:
    """The stack as an array ``(frame, row, col)`` of its own dtype."""
    if np.ma.isMaskedArray(stack):
        raise ValueError(
            "stack is a masked array, whose own mask would be lost: give stack.data, and its mask "
            "merged into the argument mask"
        )
    array = np.asarray(stack)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise ValueError(
            f"stack has dtype {array.dtype}: takes real numbers (counts) of at most 64 bits"
        )
    if array.ndim != 3:
        hint = "; a single image is stack[numpy.newaxis]" if array.ndim == 2 else ""
        raise ValueError(
            f"stack is {array.ndim}-D with shape {array.shape}: takes (frame, row, col){hint}"
        )
    if array.size == 0:
        raise ValueError(f"stack is empty: it has shape {array.shape}")
    return array


def read_mask(mask: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask as ``(frame, row, col)``: read-only, independent of the caller's array."""
    given = np.asarray(mask)
    if given.shape not in (shape, shape[1:]):
        hint = "; rows and cols look swapped" if given.shape == shape[:0:-1] else ""
        raise ValueError(
            f"mask has shape {given.shape}: takes {shape[1:]} or {shape} for this stack{hint}"
        )
    if given.dtype.kind not in "biuf" or not np.isin(given, (0, 1)).all():
        raise ValueError(
            f"mask has dtype {given.dtype} with values other than 0 and 1: takes bool, True = missing "
            "(bcdi_inpaint.geometry.read_mask reads bit fields and flags)"
        )
    missing = given.astype(bool)
    share = float(missing.mean())
    if share == 1:
        raise ValueError("mask marks every voxel as missing: there is nothing to fill from")
    if share > LARGEST_MISSING_SHARE:
        raise ValueError(
            f"mask marks {share:.1%} of the voxels as missing; True means missing: "
            "if it means measured here, give ~mask"
        )
    missing.flags.writeable = False
    return np.broadcast_to(missing, shape)


def measured_counts(
    counts: NDArray[np.number], mask: NDArray[np.bool_], notes: list[str]
) -> NDArray[np.floating]:
    """A float copy of `counts` with exactly the measured values, and 0 in missing voxels.

    Frame by frame, so that the result is the only array of the stack's size.
    """
    integer = counts.dtype.kind in "iu"
    flag = np.iinfo(counts.dtype.name).max if integer else np.inf
    dtype: type[np.floating] = np.float32
    negative = flagged = 0
    for frame, gap in zip(counts, mask, strict=True):
        values = frame[~gap]
        if not np.isfinite(values).all():
            bad = int(np.count_nonzero(~np.isfinite(values)))
            raise ValueError(
                f"stack holds NaN or inf in measured voxels ({bad} in the first such frame): add them "
                "to the mask, e.g. mask | bcdi_inpaint.geometry.flagged(stack)"
            )
        negative += int(np.count_nonzero(values < 0))
        flagged += int(np.count_nonzero(values == flag)) if integer else 0
        peak = values.max(initial=0).item()
        if peak > LARGEST_COUNT:
            raise ValueError(
                f"stack holds {peak} in a measured voxel, which no count is: add such flags to the mask, "
                "e.g. mask | bcdi_inpaint.geometry.flagged(stack)"
            )
        if dtype is np.float32 and (
            peak > 2**24 or (not integer and (values.astype(np.float32) != values).any())
        ):
            dtype = np.float64
    if negative and integer:
        raise ValueError(
            f"stack holds negative counts in {negative} measured voxels; in {counts.dtype} data these "
            "are flags: add them to the mask, e.g. mask | bcdi_inpaint.geometry.flagged(stack)"
        )
    if negative:
        notes.append(
            f"{negative} measured voxels are negative: they stay, and count as 0 for the fill"
        )
    if flagged:
        notes.append(
            f"{flagged} measured voxels hold {flag}, the largest {counts.dtype}: if they are flagged "
            "or saturated, add them to the mask"
        )
    intensity = np.zeros(counts.shape, dtype)
    np.copyto(intensity, counts, where=~mask, casting="unsafe")
    return intensity


def empty_frames(mask: NDArray[np.bool_]) -> list[str]:
    """Notes on frames that are entirely missing."""
    empty = np.flatnonzero(mask.all(axis=(1, 2)))
    if not empty.size:
        return []
    return [f"{empty.size} frames are entirely missing: they are filled from their neighbours"]
