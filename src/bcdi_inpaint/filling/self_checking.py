"""How far to trust a fill: the same method on artificial gaps, laid beside the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .bands import Band, bands
from .result import SelfCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Bools = NDArray[np.bool_]
    Box = tuple[slice, slice, slice]
    Predict = Callable[[Box, NDArray[np.float32], NDArray[np.bool_]], NDArray[np.float32]]

MARGIN = 16
"""Voxels of surroundings that the artificial gaps get: less than a fill has, so it flatters nobody."""

WINDOW = 40
"""Voxels along a gap that are tried, around the brightest part: a check costs less than the fill."""

GAPS = 2
"""Real gaps, the largest ones, that get an artificial copy."""

SPACING = 8
"""Measured voxels between a gap and its copy."""

CORRELATED = 27.0
"""Voxels that share one independent error, for the noise of a correlation: a 3x3x3 speckle."""

TRUSTED, DOUBTFUL, KRIGING_INSTEAD = "trusted", "doubtful", "kriging used instead"
"""Verdicts; the last is on a learned method that loses to kriging by more than the noise."""

CLOSE_TO_CEILING = 0.1
FAIR_COUNTS = (0.8, 1.25)
"""A fill is trusted if its PCC is this close to the ceiling and its counts within these ratios."""


def self_check(
    stack: Floats,
    mask: Bools,
    predictors: Callable[[Bools], dict[str, Predict]],
    method: str,
    *,
    replaceable: bool,
) -> SelfCheck | None:
    """Lay copies of the largest gaps over measured voxels, fill them, compare.

    Parameters
    ----------
    stack
        ``(frame, row, col)`` counts, 0 in missing voxels.
    mask
        bool, the same shape, True = missing.
    predictors
        Given what is hidden, real and artificial gaps, it makes a dictionary: method name -> function
        ``(box, its counts, its mask) -> expected counts``; `method`, ``"kriging"`` and ``"linear"``
        among them.
    method
        The one to be checked.
    replaceable
        Whether kriging may take its place.

    Returns
    -------
    SelfCheck or None
        None if no copy fits on measured voxels.
    """
    gaps = list(_artificial_gaps(stack, mask))
    if not gaps:
        return None
    hidden = mask.copy()
    for box, gap in gaps:
        hidden[box] |= gap
    predict = predictors(hidden)
    truth: list[Floats] = []
    filled: dict[str, list[Floats]] = {name: [] for name in predict}
    for box, gap in gaps:
        unknown = mask[box] | gap
        known = np.where(unknown, 0, stack[box]).clip(min=0).astype(np.float32)
        truth.append(stack[box][gap])
        for name, fill in predict.items():
            filled[name].append(fill(box, known.copy(), unknown.copy())[gap])
    counts = np.concatenate(truth).clip(min=0)
    fills = {name: np.concatenate(parts) for name, parts in filled.items()}
    pcc = {name: _pcc(rate, counts) for name, rate in fills.items()}
    ratio = {name: _ratio(rate, counts) for name, rate in fills.items()}
    noisy = np.random.default_rng(0).poisson(np.minimum(fills[method], 1e9))
    ceiling = _pcc(fills[method], noisy)
    # Fisher's z: its standard deviation depends on the number of independent voxels alone.
    noise = 1 / np.sqrt(max(counts.size / CORRELATED - 3, 1))
    lead = np.arctanh(min(pcc["kriging"], 0.9999)) - np.arctanh(min(pcc[method], 0.9999))
    loses = bool(lead > 2 * noise)
    return SelfCheck(
        voxels=counts.size,
        pcc=pcc[method],
        pcc_kriging=pcc["kriging"],
        pcc_linear=pcc["linear"],
        pcc_ceiling=ceiling,
        counts_ratio=ratio[method],
        counts_ratio_kriging=ratio["kriging"],
        counts_ratio_linear=ratio["linear"],
        verdict=_verdict(loses and replaceable, pcc[method] - ceiling, ratio[method]),
    )


def _verdict(replaced: bool, below_ceiling: float, ratio: float) -> str:
    if replaced:
        return KRIGING_INSTEAD
    fair = FAIR_COUNTS[0] <= ratio <= FAIR_COUNTS[1]
    return TRUSTED if below_ceiling >= -CLOSE_TO_CEILING and fair else DOUBTFUL


def _artificial_gaps(stack: Floats, mask: Bools) -> Iterator[tuple[Box, Bools]]:
    """Boxes of the stack and the artificial gap in each."""
    largest = sorted(bands(mask, MARGIN), key=lambda band: -int(band.own.sum()))[:GAPS]
    for band in largest:
        core = _core(band)
        lengths = [s.stop - s.start for s in core]
        # Across a gap is where it is thinnest; one in time (whole frames) is copied in time.
        across = int(np.argmin(lengths))
        core = _brightest_window(stack, core, across)
        steps = (lengths[across] + SPACING, -lengths[across] - SPACING)
        placed = [_shift(core, across, step) for step in steps]
        fitting = [
            (box, mask[core] & ~mask[box])
            for box in placed
            if box[across].start >= 0 and box[across].stop <= mask.shape[across]
        ]
        # At least half of a copy must be measured.
        wanted = np.count_nonzero(mask[core])
        good = [(box, gap) for box, gap in fitting if 2 * np.count_nonzero(gap) >= wanted]
        if good:
            yield _with_margin(*max(good, key=lambda g: float(stack[g[0]][g[1]].sum())), mask)


def _with_margin(placed: Box, gap: Bools, mask: Bools) -> tuple[Box, Bools]:
    first, second, third = (
        slice(max(s.start - MARGIN, 0), min(s.stop + MARGIN, n))
        for s, n in zip(placed, mask.shape, strict=True)
    )
    box = (first, second, third)
    whole = np.zeros(mask[box].shape, bool)
    whole[
        tuple(slice(p.start - b.start, p.stop - b.start) for p, b in zip(placed, box, strict=True))
    ] = gap
    return box, whole


def _core(band: Band) -> Box:
    """The box around what a band owns, in the stack's indices."""
    core = []
    for axis, whole in enumerate(band.slices):
        others = tuple(a for a in range(3) if a != axis)
        own = np.flatnonzero(band.own.any(axis=others))
        core.append(slice(whole.start + int(own[0]), whole.start + int(own[-1]) + 1))
    first, second, third = core
    return (first, second, third)


def _brightest_window(stack: Floats, core: Box, across: int) -> Box:
    """Cut a long gap to a window around the brightest measured voxels beside it."""
    reach = slice(max(core[across].start - SPACING, 0), core[across].stop + SPACING)
    beside = stack[tuple(reach if a == across else s for a, s in enumerate(core))]
    cut = list(core)
    for axis in range(3):
        length = core[axis].stop - core[axis].start
        if axis == across or length <= WINDOW:
            continue
        others = tuple(a for a in range(3) if a != axis)
        profile = np.log1p(beside.clip(min=0)).sum(axis=others)
        sums = np.convolve(profile, np.ones(WINDOW), mode="valid")
        start = core[axis].start + int(np.argmax(sums))
        cut[axis] = slice(start, start + WINDOW)
    first, second, third = cut
    return (first, second, third)


def _shift(core: Box, axis: int, step: int) -> Box:
    moved = slice(core[axis].start + step, core[axis].stop + step)
    first, second, third = (moved if a == axis else s for a, s in enumerate(core))
    return (first, second, third)


def _pcc(rate: Floats, counts: Floats) -> float:
    """Pearson correlation of log(1 + counts); 0 where one of them doesn't vary."""
    a, b = np.log1p(rate.astype(float)), np.log1p(counts.astype(float))
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else 0.0


def _ratio(rate: Floats, counts: Floats) -> float:
    """Filled over measured counts; NaN where nothing was counted."""
    total = float(counts.sum(dtype=float))
    return float(rate.sum(dtype=float)) / total if total > 0 else float("nan")
