"""Whether a fill can be trusted, from its self-check and from its uncertainty as a share of the scan's
counts."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from .result import SelfCheck


class Verdict(StrEnum):
    """How far a fill can be trusted."""

    TRUSTED = "trusted"
    DOUBTFUL = "doubtful"
    KRIGING_INSTEAD = "kriging used instead"
    """A network was worse than kriging by more than the noise, or by less while its counts were off by twice
    as much."""


CLOSE_TO_CEILING = 0.1
"""On artificial gaps a trusted fill's PCC is this close to the noise ceiling."""

DOUBT_OF_FILL, DOUBT_OF_ALL = 0.6, 0.07
"""A trusted fill's sum of sigma is at most this share of what was filled, and of all counts of the scan.
Of fills within both, 9 of 10 have their counts within 15 % and their PCC within .05 of the ceiling; of
others 3 of 10: `docs/wrong-fill.md`."""


class Sums(NamedTuple):
    """Of a filled stack: counts that were filled in, all counts, their sigma, and the brightest voxel."""

    filled: float
    total: float
    doubt: float
    brightest: float


def add_up(
    parts: Iterable[tuple[NDArray[np.number], NDArray[np.floating], NDArray[np.bool_]]],
) -> Sums:
    """Add up intensity, sigma and mask (True = was missing), given frame by frame or block by block."""
    filled = total = doubt = brightest = 0.0
    for counts, spread, missing in parts:
        positive = counts.clip(min=0)
        filled += float(counts[missing].sum(dtype=float))
        total += float(positive.sum(dtype=float))
        doubt += float(spread[missing].sum(dtype=float))
        brightest = max(brightest, float(positive.max()))
    return Sums(filled, total, doubt, brightest)


def judged(
    check: SelfCheck,
    intensity: NDArray[np.floating],
    sigma: NDArray[np.float32],
    mask: NDArray[np.bool_],
) -> SelfCheck:
    """A self-check with the verdict on the fill.

    Parameters
    ----------
    check
        Its verdict stays if it says that kriging was used instead.
    intensity, sigma, mask
        ``(frame, row, col)``: the filled stack, its uncertainty, True = was missing.
    """
    sums = add_up(zip(intensity, sigma, mask, strict=True))
    of_fill = sums.doubt / sums.filled if sums.filled > 0 else 0.0
    of_all = sums.doubt / sums.total if sums.total > 0 else 0.0
    if check.verdict == Verdict.KRIGING_INSTEAD:
        verdict = Verdict.KRIGING_INSTEAD
        reason = f"on artificial gaps PCC {check.pcc:.3f} (kriging {check.pcc_kriging:.3f})"
    else:
        reason = _objection(check, of_fill, of_all)
        verdict = Verdict.DOUBTFUL if reason else Verdict.TRUSTED
    reason = reason or f"sigma is {of_fill:.0%} of what was filled, {of_all:.1%} of all counts"
    return replace(
        check, verdict=verdict.value, reason=reason, doubt_of_fill=of_fill, doubt_of_all=of_all
    )


def _objection(check: SelfCheck, of_fill: float, of_all: float) -> str:
    """Why a fill is doubtful, in one phrase; empty if it isn't."""
    if of_all > DOUBT_OF_ALL:
        return f"{of_all:.0%} of all counts are in doubt: the gap holds much of the Bragg peak"
    if of_fill > DOUBT_OF_FILL:
        return f"sigma is {of_fill:.0%} of what was filled: its surroundings hardly determine it"
    below = check.pcc_ceiling - check.pcc
    if not below <= CLOSE_TO_CEILING:
        return f"on artificial gaps the PCC of {check.pcc:.3f} is {below:.3f} below the ceiling"
    return ""
