"""What a run of the bench has measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .cases import Kind  # noqa: TC001 (pydantic looks at annotations)
from .metrics import BandSums, RealSpaceErrors  # noqa: TC001

Scope = Literal["volume", "portion"]


@dataclass(frozen=True, slots=True)
class Case:
    """A pattern and a gap.

    Attributes
    ----------
    pattern
        Which set it is of: `PatternSet` or `MeasuredSet`.
    seed, family, strain, peak_counts, oversampling
        As in the simulation's recipe; of a measured scan its name and its maximum.
    unseen
        Whether training never saw such a shape or strain.
    kind, width, distance
        As in `Gap`.
    """

    pattern: str
    seed: int
    family: str
    strain: str
    peak_counts: float
    oversampling: tuple[float, float, float] | None
    unseen: bool
    kind: Kind
    width: int
    distance: int


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured on the voxels of one gap, or of its part in one portion.

    Without a known rate (a measured scan), counts take its place in `mean`, `r_amp` and `by_fill`, the
    ceiling is estimated from the counts, intervals are predictive ones, and the others are missing.

    Attributes
    ----------
    voxels
        Judged.
    mean
        True counts a voxel.
    pcc_counts, pcc_rate, ceiling
        Against what was counted; against the noise-free rate; what a perfect predictor reaches.
    r_amp
        Amplitude residual.
    cover_68, cover_95
        Shares in the central intervals.
    by_fill, by_rate
        Counts in intensity bands.
    """

    voxels: int
    mean: float
    pcc_counts: float
    pcc_rate: float
    ceiling: float
    r_amp: float
    cover_68: float = np.nan
    cover_95: float = np.nan
    by_fill: BandSums | None = None
    by_rate: BandSums | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the results.

    Attributes
    ----------
    case, method
        What was filled, and how.
    scope, index
        The whole gap, or the portion of that number.
    measures
        The figures.
    seconds, cpu_seconds
        Of the fill, wall time and CPU time.
    """

    case: Case
    method: str
    scope: Scope
    index: int
    measures: Measures
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class RealSpace:
    """Errors of the inverse transform after one method."""

    case: Case
    method: str
    errors: RealSpaceErrors


@dataclass(frozen=True, slots=True)
class Refusal:
    """A method that could not fill one gap, and its words."""

    method: str
    words: str


@dataclass(frozen=True, slots=True)
class Results:
    """What a run has measured; in each list one entry a gap and method, or more.

    Attributes
    ----------
    records, real_space, refusals
        The figures.
    """

    records: list[Record] = field(default_factory=list)
    real_space: list[RealSpace] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def add(self, more: Results) -> None:
        """Append what another run has measured."""
        self.records.extend(more.records)
        self.real_space.extend(more.real_space)
        self.refusals.extend(more.refusals)
