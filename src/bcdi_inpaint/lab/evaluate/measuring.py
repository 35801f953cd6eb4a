"""Fill every case by every method and measure the fills."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, get_args

import numpy as np

from bcdi_inpaint.lab.reference.network import WIDTHS
from bcdi_inpaint.progress import part

from . import metrics
from .cases import (
    DISTANCES,
    REAL_SPACE_WIDTH,
    Gap,
    Kind,
    MeasuredSet,
    held_out,
    measured_gaps,
    place_gap,
    portions,
    recipes,
)
from .patterns import measured, simulated
from .records import Case, Measures, RealSpace, Record, Refusal, Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence

    from numpy.typing import NDArray

    from bcdi_inpaint.filling import Inpainted
    from bcdi_inpaint.lab.simulate import Recipe
    from bcdi_inpaint.progress import Progress

    from .cases import Box, PatternSet
    from .config import Config
    from .patterns import MeasuredScan, Pattern

    Counts = NDArray[np.number]
    Bools = NDArray[np.bool_]


def run(
    config: Config, progress: Progress, finished: MutableMapping[str, Results] | None = None
) -> Results:
    """Fill and measure simulated patterns.

    Parameters
    ----------
    config
        What.
    progress
        Told which pattern, gap and method is at work.
    finished
        Results of patterns that are not measured again; those that are measured are added.
    """
    return _gather(
        {
            f"{which} {recipe.seed}": partial(_of_recipe, config, which, index, recipe)
            for which, number in config.patterns.items()
            for index, recipe in enumerate(recipes(which, number, config.shape))
        },
        progress,
        {} if finished is None else finished,
    )


def _gather(
    units: Mapping[str, Callable[[Progress], Results]],
    progress: Progress,
    finished: MutableMapping[str, Results],
) -> Results:
    results = Results()
    for done, (name, measure) in enumerate(units.items()):
        if name not in finished:
            finished[name] = measure(part(progress, done, len(units), f"{name}, "))
        results.add(finished[name])
    progress("done", 1.0)
    return results


def _of_recipe(
    config: Config, which: PatternSet, index: int, recipe: Recipe, progress: Progress
) -> Results:
    results = Results()
    progress(f"{recipe.family}, {recipe.strain}", 0.0)
    pattern = simulated(recipe)
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
        results.add(_fill_and_measure(config, pattern, gap, case, part(progress, at, len(gaps))))
    return results


def run_measured(
    config: Config,
    scan: MeasuredScan,
    progress: Progress,
    finished: MutableMapping[str, Results] | None = None,
) -> Results:
    """Fill and measure artificial gaps in a measured scan without gaps, see `measured_gaps`.

    Parameters
    ----------
    config
        `patterns` and `kinds` are not used; `shape` is cut out around the peak.
    scan
        What.
    progress
        Told which pattern, gap and method is at work.
    finished
        As for `run`, by gaps.
    """
    pattern = measured(scan, config.shape)
    units = {}
    for which in get_args(MeasuredSet):
        for width in (*config.narrow, *config.wide):
            for gap in measured_gaps(which, width, pattern.peak[1:], pattern.plane):
                case = Case(
                    which,
                    0,
                    scan.name,
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
    return _gather(units, progress, {} if finished is None else finished)


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


def _gaps(config: Config, pattern: Pattern, distances: Sequence[int], index: int) -> Iterator[Gap]:
    """Gaps over one simulated pattern: the same places whichever other widths are asked for."""
    wanted = itertools.product(config.kinds, (*config.narrow, *config.wide))
    for kind, width in wanted:
        rng = np.random.default_rng(
            np.random.SeedSequence(pattern.seed, spawn_key=(width, get_args(Kind).index(kind)))
        )
        distance = distances[index % len(distances)]
        yield place_gap(kind, width, distance, pattern.peak[1:], pattern.plane, rng)


def _fill_and_measure(
    config: Config, pattern: Pattern, gap: Gap, case: Case, progress: Progress
) -> Results:
    results = Results()
    shape = pattern.counts.shape
    mask = gap.mask(pattern.plane)
    missing = np.broadcast_to(mask, shape)
    whole = missing & pattern.judged
    rng = np.random.default_rng(np.random.SeedSequence(pattern.seed, spawn_key=(gap.width,)))
    boxes = portions(gap, (shape[0], shape[1], shape[2]), pattern.peak, config.portions, rng)
    boxes = [box for box in boxes if whole[box].any()]
    # What is hidden is hidden: no method is given the counts under the gap.
    stack = np.where(missing, 0, pattern.counts)
    for at, method in enumerate(config.methods):
        progress(f"{gap.width} px {gap.kind}: {method}", at / len(config.methods))
        started = time.process_time()
        try:
            filled = config.inpaint(stack, mask, method)
        except ValueError as refusal:
            results.refusals.append(Refusal(method, str(refusal)))
            continue
        record = partial(
            Record,
            case,
            method,
            seconds=filled.report.seconds,
            cpu_seconds=time.process_time() - started,
        )
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


def _measure(filled: Inpainted, pattern: Pattern, where: Bools) -> Measures:
    """All figures of the voxels of a whole gap."""
    fill, sigma, counts = filled.intensity[where], filled.sigma[where], pattern.counts[where]
    rate = None if pattern.rate is None else pattern.rate[where]
    truth, coverage = (
        (counts, metrics.coverage_of_counts) if rate is None else (rate, metrics.coverage)
    )
    cover_68, cover_95 = coverage(fill, sigma, truth)
    return replace(
        _correlations(fill, counts, rate),
        cover_68=cover_68,
        cover_95=cover_95,
        by_fill=metrics.band_sums(fill, truth, by="fill"),
        by_rate=None if rate is None else metrics.band_sums(fill, rate, by="rate"),
    )


def _measure_portion(filled: Inpainted, pattern: Pattern, whole: Bools, box: Box) -> Measures:
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
