"""Whether frames hold counts of photons, or counts that somebody has scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE = 2**20
"""Values that are looked at, in whole frames from all over a scan; at least one frame."""
FEW = 1000
"""Pairs of neighbours with light that are too few to judge noise by."""
LEAST_NOISE = 0.5
"""Variance over counts that photons can't fall below; structure adds to it, smoothing and scaling down take from it."""


def doubts_of_counts(frames: NDArray[np.number], flags: NDArray[np.bool_]) -> list[str]:
    """A note if values that are not flagged are no counts: no whole numbers, or less noise than photons have.

    Neighbours along a row that have the same rate differ by ``E[(a - b)**2] = a + b`` for counts (Poisson); the
    pattern's structure only adds to that.
    """
    step = max(1, frames.size // SAMPLE)
    values = frames[::step].astype(np.float64)
    measured = ~flags[::step]
    tell = "sigma and self-check take them for counts; counts_per_unit says how many counts 1 is"
    if frames.dtype.kind == "f" and (values[measured] % 1 != 0).any():
        smallest = np.min(values, initial=np.inf, where=measured & (values > 0))
        note = f"frames hold no whole numbers, as after a normalisation: {tell}"
        return [f"{note} (if the smallest value is a single count, {1 / smallest:.3g})"]
    left, right = values[..., :-1], values[..., 1:]
    pairs = measured[..., :-1] & measured[..., 1:] & (left + right > 0)
    if np.count_nonzero(pairs) < FEW:
        return []
    noise = ((left - right)[pairs] ** 2).sum() / (left + right)[pairs].sum()
    if 0 < noise < LEAST_NOISE:  # frames without any noise were not measured
        return [f"neighbouring pixels differ by {noise:.2g} of what counts of photons do: {tell}"]
    return []
