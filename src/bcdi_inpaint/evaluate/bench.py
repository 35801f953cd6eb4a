"""Fill every case by every method and measure the fills."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ..filling import Inpainted, inpaint
from ..filling.reference_network import WIDTHS
from . import metrics
from .cases import (
    DISTANCES,
    NARROW,
    WIDE,
    Gap,
    Kind,
    MeasuredSet,
    PatternSet,
    held_out,
    measured_gaps,
    place_gap,
    portions,
    recipes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence

    from numpy.typing import NDArray

    from ..simulate import Recipe
    from .cases import Box

    Counts = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]
    Bools = NDArray[np.bool_]

Scope = Literal["volume", "portion"]
Tell = Callable[[str, float], None]
"""Called with what is being done and the share that is done."""

REAL_SPACE_WIDTH = 9
"""Width of the cross of the paper's 2.6.1."""


@dataclass(frozen=True, slots=True)
class Config:
    """What is evaluated.

    Attributes
    ----------
    methods
        Names of ``bcdi_inpaint.filling.METHODS``, in the tables' order.
    patterns
        How many of each set; 0 leaves a set out.
    shape
        Voxels (frame, row, col) of a simulated pattern.
    narrow, wide
        Gap widths in pixels.
    kinds
        Of gaps.
    portions
        Cut from each filled volume.
    device
        For methods with a network.
    options
        Method -> options, as for ``inpaint``.
    """

    methods: tuple[str, ...]
    patterns: dict[PatternSet, int]
    shape: tuple[int, int, int] = (128, 128, 128)
    narrow: tuple[int, ...] = NARROW
    wide: tuple[int, ...] = WIDE
    kinds: tuple[Kind, ...] = ("vertical", "cross")
    portions: int = 12
    device: str = "auto"
    options: dict[str, dict[str, Any]] | None = None

    def inpaint(self, stack: Counts, mask: Bools, method: str) -> Inpainted:
        """Fill by the public road, self-check off: it fills other gaps than those that are judged."""
        options = (self.options or {}).get(method, {})
        return inpaint(stack, mask, method, self.device, self_check=False, **options)


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
    by_fill: metrics.BandSums | None = None
    by_rate: metrics.BandSums | None = None


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
    errors: metrics.RealSpaceErrors


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


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A volume to lay gaps over, simulated or measured."""

    counts: Counts
    rate: NDArray[np.floating[Any]] | None
    phase: NDArray[np.floating[Any]] | None
    peak: tuple[int, int, int]
    judged: Bools
    seed: int


def run(
    config: Config, tell: Tell, finished: MutableMapping[str, Results] | None = None
) -> Results:
    """Fill and measure simulated patterns.

    Parameters
    ----------
    config
        What.
    tell
        Told of progress.
    finished
        Results of patterns that are not measured again; those that are measured are added.
    """
    return _gather(
        {
            f"{which} {recipe.seed}": partial(_of_recipe, config, which, index, recipe)
            for which, number in config.patterns.items()
            for index, recipe in enumerate(recipes(which, number, config.shape))
        },
        tell,
        {} if finished is None else finished,
    )


def _gather(
    units: Mapping[str, Callable[[Tell], Results]],
    tell: Tell,
    finished: MutableMapping[str, Results],
) -> Results:
    results = Results()
    for done, (name, measure) in enumerate(units.items()):
        if name not in finished:

            def within(what: str, share: float) -> None:
                tell(f"{name}, {what}", (done + share) / len(units))  # noqa: B023

            finished[name] = measure(within)
        results.add(finished[name])
    tell("done", 1.0)
    return results


def _of_recipe(
    config: Config, which: PatternSet, index: int, recipe: Recipe, tell: Tell
) -> Results:
    results = Results()
    tell(f"{recipe.family}, {recipe.strain}", 0.0)
    pattern = _simulated(recipe)
    gaps = list(_gaps(config, pattern, DISTANCES[which], index))
    for at, gap in enumerate(gaps):
        case = Case(
            which,
            recipe.seed,
            recipe.family,
            recipe.strain,
            recipe.peak_counts,
            recipe.oversampling,
            held_out(recipe),
            gap.kind,
            gap.width,
            gap.distance,
        )

        def within(what: str, share: float) -> None:
            tell(what, (at + share) / len(gaps))  # noqa: B023

        results.add(_fill_and_measure(config, pattern, gap, case, within))
    return results


def run_measured(
    config: Config,
    counts: Counts,
    tell: Tell,
    *,
    name: str,
    unjudged: Bools | None = None,
    finished: MutableMapping[str, Results] | None = None,
) -> Results:
    """Fill and measure artificial gaps in a measured scan without gaps, see `measured_gaps`.

    Parameters
    ----------
    config
        `patterns` and `kinds` are not used; `shape` is cut out around the peak.
    counts
        ``(frame, row, col)``.
    tell
        Told of progress.
    name
        Of the scan.
    unjudged
        bool (row, col): faulty pixels and other crystals' peaks. They stay in the scan.
    finished
        As for `run`, by gaps.
    """
    judged = np.ones(counts.shape, bool)
    if unjudged is not None:
        judged &= ~unjudged
    pattern = _around_peak(counts, judged, config.shape)
    plane = (pattern.counts.shape[1], pattern.counts.shape[2])
    units = {}
    for which in get_args(MeasuredSet):
        for width in (*config.narrow, *config.wide):
            for gap in measured_gaps(which, width, pattern.peak[1:], plane):
                case = Case(
                    which,
                    0,
                    name,
                    "",
                    float(pattern.counts[pattern.peak]),
                    None,
                    True,
                    gap.kind,
                    gap.width,
                    gap.distance,
                )
                units[f"{which} {width} px {gap.rows or gap.cols} {gap.kind}"] = partial(
                    _fill_and_measure, config, pattern, gap, case
                )
    return _gather(units, tell, {} if finished is None else finished)


def _around_peak(counts: Counts, judged: Bools, shape: tuple[int, int, int]) -> _Pattern:
    brightest = np.unravel_index(int(np.argmax(np.where(judged, counts, 0))), counts.shape)
    starts = [
        min(max(int(p) - size // 2, 0), max(n - size, 0))
        for p, size, n in zip(brightest, shape, counts.shape, strict=True)
    ]
    cut = tuple(slice(start, start + size) for start, size in zip(starts, shape, strict=True))
    frame, row, col = (int(p) - start for p, start in zip(brightest, starts, strict=True))
    return _Pattern(counts[cut], None, None, (frame, row, col), judged[cut], 0)


def unable(config: Config) -> dict[str, str]:
    """Methods that can fill no gap at all, and why; loads what the others load.

    Called before a run, so that its first case isn't charged with the loading.
    """
    stack = np.random.default_rng(0).poisson(3, (40, 40, 40))
    reasons = {}
    for method in config.methods:
        refusals = []
        for width in WIDTHS:
            try:
                config.inpaint(stack, _columns(width), method)
            except ValueError as error:
                refusals.append(str(error))
        if len(refusals) == len(WIDTHS):
            reasons[method] = refusals[0]
    return reasons


def _columns(width: int) -> Bools:
    return Gap("vertical", width, 0, None, (20 - width // 2, 20 - width // 2 + width)).mask(
        (40, 40)
    )


def _simulated(recipe: Recipe) -> _Pattern:
    from ..simulate import render

    scan = render(recipe, amplitude=True)
    assert scan.amplitude is not None
    where = np.unravel_index(int(scan.rate.argmax()), scan.rate.shape)
    return _Pattern(
        scan.counts,
        scan.rate,
        np.angle(scan.amplitude),
        (int(where[0]), int(where[1]), int(where[2])),
        np.broadcast_to(~scan.bad_pixels, scan.rate.shape),
        recipe.seed,
    )


def _gaps(config: Config, pattern: _Pattern, distances: Sequence[int], index: int) -> Iterator[Gap]:
    """Gaps over one simulated pattern: the same places whichever other widths are asked for."""
    plane = pattern.counts.shape[1:]
    wanted = itertools.product(config.kinds, (*config.narrow, *config.wide))
    for kind, width in wanted:
        rng = np.random.default_rng(
            np.random.SeedSequence(pattern.seed, spawn_key=(width, get_args(Kind).index(kind)))
        )
        distance = distances[index % len(distances)]
        yield place_gap(kind, width, distance, pattern.peak[1:], (plane[0], plane[1]), rng)


def _fill_and_measure(
    config: Config, pattern: _Pattern, gap: Gap, case: Case, tell: Tell
) -> Results:
    results = Results()
    shape = pattern.counts.shape
    mask = gap.mask((shape[1], shape[2]))
    missing = np.broadcast_to(mask, shape)
    whole = missing & pattern.judged
    rng = np.random.default_rng(np.random.SeedSequence(pattern.seed, spawn_key=(gap.width,)))
    boxes = portions(gap, (shape[0], shape[1], shape[2]), pattern.peak, config.portions, rng)
    boxes = [box for box in boxes if whole[box].any()]
    # What is hidden is hidden: no method is given the counts under the gap.
    stack = np.where(missing, 0, pattern.counts)
    for at, method in enumerate(config.methods):
        tell(f"{gap.width} px {gap.kind}: {method}", at / len(config.methods))
        started = time.process_time()
        try:
            filled = config.inpaint(stack, mask, method)
        except ValueError as refusal:
            results.refusals.append(Refusal(method, str(refusal)))
            continue
        cpu = time.process_time() - started
        seconds = filled.report.seconds

        def record(scope: Scope, index: int, measured: Measures) -> Record:
            return Record(case, method, scope, index, measured, seconds, cpu)  # noqa: B023

        results.records.append(record("volume", 0, _measure(filled, pattern, whole)))
        results.records.extend(
            record("portion", index, _measure_portion(filled, pattern, whole, box))
            for index, box in enumerate(boxes)
        )
        if gap.kind == "cross" and gap.width == REAL_SPACE_WIDTH and pattern.rate is not None:
            assert pattern.phase is not None
            errors = metrics.real_space_errors(
                filled.intensity, pattern.rate, pattern.phase, missing
            )
            results.real_space.append(RealSpace(case, method, errors))
    return results


def _measure(filled: Inpainted, pattern: _Pattern, where: Bools) -> Measures:
    """All figures of the voxels of a whole gap."""
    fill, sigma, counts = filled.intensity[where], filled.sigma[where], pattern.counts[where]
    if pattern.rate is None:
        cover_68, cover_95 = metrics.coverage_of_counts(fill, sigma, counts)
        return replace(
            _correlations(fill, counts, None),
            cover_68=cover_68,
            cover_95=cover_95,
            by_fill=metrics.band_sums(fill, counts, by="fill"),
        )
    rate = pattern.rate[where]
    cover_68, cover_95 = metrics.coverage(fill, sigma, rate)
    return replace(
        _correlations(fill, counts, rate),
        cover_68=cover_68,
        cover_95=cover_95,
        by_fill=metrics.band_sums(fill, rate, by="fill"),
        by_rate=metrics.band_sums(fill, rate, by="rate"),
    )


def _measure_portion(filled: Inpainted, pattern: _Pattern, whole: Bools, box: Box) -> Measures:
    where = whole[box]
    rate = None if pattern.rate is None else pattern.rate[box][where]
    return _correlations(filled.intensity[box][where], pattern.counts[box][where], rate)


def _correlations(fill: Counts, counts: Counts, rate: Counts | None) -> Measures:
    truth = counts if rate is None else rate
    return Measures(
        voxels=int(counts.size),
        mean=float(truth.mean(dtype=float)),
        pcc_counts=metrics.pcc(fill, counts),
        pcc_rate=np.nan if rate is None else metrics.pcc(fill, rate),
        ceiling=(
            metrics.pcc_ceiling_of_counts(counts)
            if rate is None
            else metrics.pcc_ceiling(rate, counts)
        ),
        r_amp=metrics.amplitude_residual(fill, truth),
    )
