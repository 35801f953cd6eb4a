"""Windows of a scan: points that are filled together, with some frames before and after them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bcdi_inpaint.filling import Inpainted, Verdict, judged

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bcdi_inpaint.filling import Report, SelfCheck


class Window(NamedTuple):
    """Points ``[start, stop)`` that are filled together, and ``[first, last)`` that they are filled from."""

    start: int
    stop: int
    first: int
    last: int


def next_window(
    done: Collection[Window], points: int, total: int | None, portion: int, margin: int
) -> Window | None:
    """What is to be filled next of the points that are there; None if too few are.

    Twice `portion` points at a time, since windows with a smaller share of margin are better and cheaper; towards
    the end `portion` points, so that little remains to be filled then; all points if filling has fallen behind.
    Windows end at multiples of `portion`, except the last one.

    Parameters
    ----------
    done
        What is filled.
    points
        How many points are there.
    total
        How many there will be; None if that is not known.
    portion, margin
        As in `Settings`.
    """
    start = filled_points(done)
    if points == total:
        stop = points
    else:
        stop = (points - margin) // portion * portion
        ends = total is not None and total - start <= 2 * portion + margin
        if stop - start < (portion if ends else 2 * portion):
            return None
    stop = min([stop, *(window.start for window in done if window.start > start)])
    if stop <= start:
        return None
    return Window(start, stop, max(0, start - margin), min(stop + margin, points))


def filled_points(done: Collection[Window]) -> int:
    """Number of consecutive points that are filled, from the first one on."""
    stops = {window.start: window.stop for window in done}
    point = 0
    while point in stops:
        point = stops[point]
    return point


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
    """One filled stack from its windows, in their order; `check` is the self-check that counts."""
    mask = np.concatenate([part.mask for part in parts])
    reports = [part.report for part in parts]
    notes = dict.fromkeys(
        note
        for report in reports
        if report.self_check in (None, check)
        for note in report.notes
        if report.self_check is None or note != report.self_check.note
    )
    joined = Inpainted(
        np.concatenate([part.intensity for part in parts]),
        np.concatenate([part.sigma for part in parts]),
        mask,
        replace(
            reports[0],
            voxels_missing=int(np.count_nonzero(mask)),
            gap_share=float(mask.mean()),
            seconds=sum(report.seconds for report in reports),
            twin_share=_mean_share(reports),
            notes=(*notes, f"filled in {len(parts)} windows while it was measured"),
        ),
    )
    return with_check(joined, check)


def with_check(filled: Inpainted, check: SelfCheck | None) -> Inpainted:
    """A fill of the whole scan with the self-check of one window, and a new verdict."""
    report = replace(filled.report, self_check=check)
    if check is not None:
        check = judged(check, filled.intensity, filled.sigma, filled.mask)
        reasons = () if check.verdict == Verdict.TRUSTED else (check.note,)
        report = replace(report, self_check=check, notes=(*report.notes, *reasons))
    return replace(filled, report=report)


def _mean_share(reports: Sequence[Report]) -> float:
    """Share of all missing voxels that have a measured twin."""
    voxels = sum(report.voxels_missing for report in reports)
    shares = sum(report.twin_share * report.voxels_missing for report in reports)
    return shares / voxels if voxels else 0.0
