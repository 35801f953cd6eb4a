"""Filling a scan in portions, each of which sees some frames before and after its own."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bcdi_inpaint.filling import Inpainted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bcdi_inpaint.filling import SelfCheck


class Window(NamedTuple):
    """Points ``[start, stop)`` of a portion, and ``[first, last)`` that it is filled from."""

    start: int
    stop: int
    first: int
    last: int


def windows(total: int | None, portion: int, margin: int) -> Iterator[Window]:
    """The windows of a scan of `total` points; without end if that is None.

    Windows that lie wholly before the end are the same for any total.
    """
    starts = count(0, portion) if total is None else range(0, total, portion)
    for start in starts:
        stop, last = start + portion, start + portion + margin
        if total is not None:
            stop, last = min(stop, total), min(last, total)
        yield Window(start, stop, max(0, start - margin), last)


def cut(filled: Inpainted, start: int, stop: int) -> Inpainted:
    """Some frames of a filled window, in memory of their own."""
    mask = filled.mask[start:stop].copy()
    return Inpainted(
        filled.intensity[start:stop].copy(),
        filled.sigma[start:stop].copy(),
        mask,
        replace(
            filled.report,
            voxels_missing=int(np.count_nonzero(mask)),
            gap_share=float(mask.mean()),
        ),
    )


def join(parts: Sequence[Inpainted], check: SelfCheck | None) -> Inpainted:
    """One filled stack from its portions, in their order, with the self-check of one of them."""
    mask = np.concatenate([part.mask for part in parts])
    reports = [part.report for part in parts]
    notes = dict.fromkeys(note for report in reports for note in report.notes)
    return Inpainted(
        np.concatenate([part.intensity for part in parts]),
        np.concatenate([part.sigma for part in parts]),
        mask,
        replace(
            reports[0],
            voxels_missing=int(np.count_nonzero(mask)),
            gap_share=float(mask.mean()),
            seconds=sum(report.seconds for report in reports),
            notes=(*notes, f"filled in {len(parts)} portions while it was measured"),
            self_check=check,
        ),
    )
