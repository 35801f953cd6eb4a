"""How far to trust a fill: the same method is tried on artificial gaps beside the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .bands import bands, held_in
from .mirroring import mirrored
from .result import SelfCheck
from .verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from .bands import Box
    from .friedel.symmetry import Symmetry

    Floats = NDArray[np.floating]
    Bools = NDArray[np.bool_]

MARGIN = 16
"""Voxels of surroundings of artificial gaps on both sides: fewer than in a fill, so that the check is not too
optimistic."""

WINDOW = 40
"""Voxels along a gap that are judged, around the brightest part: a check costs less than the fill."""

ENDS = 6
"""Voxels by which an artificial gap that was cut from a longer one extends beyond the judged part."""

GAPS = 2
"""Number of real gaps, the largest ones, that get an artificial copy."""

SPACING = 8
"""Measured voxels between a gap and its copy."""

TWIN_SHARE = 0.25
"""By how much the share of a copy that has a twin may differ from the real gap's, if there is a choice."""

CORRELATED = 27.0
"""Voxels that share one independent error, for the noise of a correlation: a 3x3x3 speckle."""


@dataclass(frozen=True, slots=True, eq=False)
class ArtificialGap:
    """An artificial gap: measured voxels that are hidden and filled, to compare.

    Attributes
    ----------
    box
        Of the stack.
    hidden
        bool, the box's shape: what is hidden.
    judged
        bool: of that, the voxels that are measured and compared.
    original
        Of the stack: the part of the real gap that it is a copy of.
    """

    box: Box
    hidden: Bools
    judged: Bools
    original: Box


def self_check(
    stack: Floats,
    gaps: Sequence[ArtificialGap],
    fills: Mapping[str, Sequence[Floats]],
    method: str,
    *,
    replaceable: bool,
) -> SelfCheck:
    """Compare what artificial gaps were filled with to what was measured.

    Parameters
    ----------
    stack
        ``(frame, row, col)`` counts, 0 in missing voxels.
    gaps
        At least one.
    fills
        Method name -> expected counts of each gap's box; `method`, ``"kriging"`` and ``"linear"`` among
        them.
    method
        The one to be checked.
    replaceable
        Whether kriging may replace it.

    Returns
    -------
    SelfCheck
        Doubtful until the fill is there (`filling.verdict`), or with kriging used instead.
    """
    counts = np.concatenate([stack[gap.box][gap.judged] for gap in gaps]).clip(min=0)
    rates = {
        name: np.concatenate([fill[gap.judged] for fill, gap in zip(boxes, gaps, strict=True)])
        for name, boxes in fills.items()
    }
    pcc = {name: _pcc(rate, counts) for name, rate in rates.items()}
    ratio = {name: _ratio(rate, counts) for name, rate in rates.items()}
    noisy = np.random.default_rng(0).poisson(np.minimum(rates[method], 1e9))
    ceiling = _pcc(rates[method], noisy)
    # Fisher's z: its standard deviation depends on the number of independent voxels alone.
    noise = 1 / np.sqrt(max(counts.size / CORRELATED - 3, 1))
    lead = np.arctanh(min(pcc["kriging"], 0.9999)) - np.arctanh(min(pcc[method], 0.9999))
    off = _off(ratio[method]) - _off(ratio["kriging"])
    loses = lead > 2 * noise or (lead > 0 and off > np.log(2))
    return SelfCheck(
        voxels=counts.size,
        pcc=pcc[method],
        pcc_kriging=pcc["kriging"],
        pcc_linear=pcc["linear"],
        pcc_ceiling=ceiling,
        counts_ratio=ratio[method],
        counts_ratio_kriging=ratio["kriging"],
        counts_ratio_linear=ratio["linear"],
        verdict=(Verdict.KRIGING_INSTEAD if loses and replaceable else Verdict.DOUBTFUL).value,
    )


def _off(ratio: float) -> float:
    return float(abs(np.log(max(ratio, 1e-9)))) if np.isfinite(ratio) else 0.0


def artificial_gaps(stack: Floats, mask: Bools, symmetry: Symmetry | None) -> list[ArtificialGap]:
    """Copies of the largest gaps, laid over measured voxels beside them.

    Of the places where at least half of a copy is measured, those are preferred where as much of it has a
    twin as of the real gap, and of these the brightest one.

    Parameters
    ----------
    stack
        ``(frame, row, col)`` counts, 0 in missing voxels.
    mask
        bool, the same shape, True = missing.
    symmetry
        Of the scan; None if twins don't matter.
    """
    largest = sorted(bands(mask, MARGIN), key=lambda band: -int(band.own.sum()))[:GAPS]
    cores = filter(None, (held_in(band.slices, band.own) for band in largest))
    return [gap for core in cores if (gap := _copy_of(stack, mask, symmetry, core))]


def brightness(gaps: Iterable[ArtificialGap], filled: Floats, mask: Bools) -> float:
    """Counts a voxel in artificial gaps over those in the real gaps that they are copies of.

    Parameters
    ----------
    filled
        ``(frame, row, col)`` counts, filled in missing voxels.
    mask
        bool, the same shape, True = was missing.
    """
    copies = originals = 0.0
    for gap in gaps:
        judged = filled[gap.box][gap.judged]
        own = filled[gap.original][mask[gap.original]]
        copies += float(judged.clip(min=0).sum(dtype=float))
        originals += float(own.mean(dtype=float)) * judged.size
    return copies / originals if originals > 0 else float("nan")


def hidden_by(mask: Bools, gaps: Iterable[ArtificialGap]) -> Bools:
    """Everything that is hidden while artificial gaps are filled."""
    hidden = mask.copy()
    for gap in gaps:
        hidden[gap.box] |= gap.hidden
    return hidden


def _copy_of(
    stack: Floats, mask: Bools, symmetry: Symmetry | None, whole: Box
) -> ArtificialGap | None:
    across = int(np.argmin([s.stop - s.start for s in whole]))
    core = _brightest_window(stack, whole, across)
    width = core[across].stop - core[across].start
    wanted = np.count_nonzero(mask[core])
    good = []
    for step in (width + SPACING, -width - SPACING):
        box = _shift(core, across, step)
        if box[across].start < 0 or box[across].stop > mask.shape[across]:
            continue
        judged = mask[core] & ~mask[box]
        if 2 * np.count_nonzero(judged) >= wanted:
            good.append((box, judged))
    if not good:
        return None
    share = _twin_share(mask, symmetry, core, mask[core])

    def rank(place: tuple[Box, Bools]) -> tuple[bool, float]:
        box, judged = place
        alike = abs(_twin_share(mask, symmetry, box, judged) - share) < TWIN_SHARE
        return alike, float(stack[box][judged].sum())

    placed, judged = max(good, key=rank)
    return _with_surroundings(mask.shape, whole, core, placed, judged, across)


def _twin_share(mask: Bools, symmetry: Symmetry | None, box: Box, gap: Bools) -> float:
    """Share of a gap in a box whose mirror image was measured."""
    if symmetry is None or not symmetry.believed:
        return 0.0
    return float(mirrored(~mask, symmetry.mirror, box)[gap].mean())


def _with_surroundings(
    shape: tuple[int, ...], whole: Box, core: Box, placed: Box, judged: Bools, across: int
) -> ArtificialGap:
    """Add a box to a copy; one that was cut from a longer gap extends to the box's end."""
    box, inside, reach = [], [], []
    for axis in range(3):
        cut = core[axis] != whole[axis]
        margin = ENDS if cut and axis != across else MARGIN
        part = slice(
            max(placed[axis].start - margin, 0), min(placed[axis].stop + margin, shape[axis])
        )
        at = slice(placed[axis].start - part.start, placed[axis].stop - part.start)
        box.append(part)
        inside.append(at)
        reach.append(slice(None) if cut else at)
    sizes = [part.stop - part.start for part in box]
    where, hidden = np.zeros(sizes, bool), np.zeros(sizes, bool)
    where[tuple(inside)] = judged
    hidden[tuple(inside)] = judged
    if judged.all():
        hidden[tuple(reach)] = True
    return ArtificialGap((box[0], box[1], box[2]), hidden, where, core)


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
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale > 0 else 0.0


def _ratio(rate: Floats, counts: Floats) -> float:
    """Filled over measured counts; NaN where nothing was counted."""
    total = float(counts.sum(dtype=float))
    return float(rate.sum(dtype=float)) / total if total > 0 else float("nan")
