"""Windows of a scan: points that are filled together, with some frames before and after them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bcdi_inpaint.filling import Inpainted, OnDemand, Verdict, judged

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from bcdi_inpaint.filling import Report, SelfCheck


class Window(NamedTuple):
    """Points ``[start, stop)`` that are filled together, and ``[first, last)`` that they are filled from."""

    start: int
    stop: int
    first: int
    last: int


def next_window(
    done: Collection[Window], points: int, total: int | None, portion: int, margin: int, most: int
) -> Window | None:
    """What is to be filled next of the points that are there; None if too few are.

    Twice `portion` points at a time, since windows with a smaller share of margin are better and cheaper; towards
    the end `portion` points, so that little remains to be filled then; more if filling has fallen behind.
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
    most
        Points at a time, but always `portion`.
    """
    start = filled_points(done)
    if points == total:
        stop = points
    else:
        stop = (points - margin) // portion * portion
        ends = total is not None and total - start <= 2 * portion + margin
        if stop - start < (portion if ends else 2 * portion):
            return None
    stop = min(stop, start + max(most // portion, 1) * portion)
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


def cut(filled: Inpainted, start: int, stop: int, frames: NDArray[np.number]) -> Inpainted:
    """Frames ``[start, stop)`` of a filled window, of which only what was filled takes memory.

    `frames` are the counts ``(frame, row, col)`` that it was filled from, which stay as they are.
    """
    mask = filled.mask[start:stop]
    if mask.strides[0]:  # else it is one frame's
        mask = mask.copy()
    measured = frames[start:stop]
    counts, spread = (
        [frame[missing] for frame, missing in zip(volume[start:stop], mask, strict=True)]
        for volume in (filled.intensity, filled.sigma)
    )

    def intensity(number: int) -> NDArray[np.floating]:
        frame: NDArray[np.floating] = measured[number].astype(filled_as)
        frame[mask[number]] = counts[number]
        return frame

    def sigma(number: int) -> NDArray[np.float32]:
        frame = np.zeros(mask.shape[1:], np.float32)
        frame[mask[number]] = spread[number]
        return frame

    filled_as = filled.intensity.dtype
    missing = sum(map(len, counts))
    return _of(
        OnDemand(mask.shape, filled_as, intensity),
        OnDemand(mask.shape, np.float32, sigma),
        OnDemand(mask.shape, bool, mask.__getitem__),
        replace(filled.report, voxels_missing=missing, gap_share=missing / mask.size),
    )


def join(parts: Sequence[Inpainted], check: SelfCheck | None) -> Inpainted:
    """One filled stack from its windows, in their order; `check` is the self-check that counts."""
    reports = [part.report for part in parts]
    notes = dict.fromkeys(
        note
        for report in reports
        if report.self_check in (None, check)
        for note in report.notes
        if report.self_check is None or note != report.self_check.note
    )
    intensity = _one_after_the_other([part.intensity for part in parts])
    missing = sum(report.voxels_missing for report in reports)
    joined = _of(
        intensity,
        _one_after_the_other([part.sigma for part in parts]),
        _one_after_the_other([part.mask for part in parts]),
        replace(
            reports[0],
            voxels_missing=missing,
            gap_share=missing / math.prod(intensity.shape),
            seconds=sum(report.seconds for report in reports),
            twin_share=_mean_share(reports),
            notes=(*notes, f"filled in {len(parts)} windows while it was measured"),
        ),
    )
    return with_check(joined, check)


def _of(*parts: Any) -> Inpainted:
    """A fill of what is read like an array."""
    return Inpainted(*parts)


def _one_after_the_other(stacks: Sequence[NDArray[Any]]) -> OnDemand[Any]:
    ends = np.cumsum([len(stack) for stack in stacks])

    def frame(number: int) -> NDArray[Any]:
        which = int(np.searchsorted(ends, number, "right"))
        found: NDArray[Any] = stacks[which][number - int(ends[which])]
        return found

    shape = (int(ends[-1]), *stacks[0].shape[1:])
    return OnDemand(shape, np.result_type(*(stack.dtype for stack in stacks)), frame)


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
