"""Fill every case by every method and measure the fills; `records` says what is written down of each."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from bcdi_inpaint.lab.reference.network import WIDTHS
from bcdi_inpaint.lab.simulate.recipes import seeded
from bcdi_inpaint.progress import part

from . import cases, metrics
from .patterns import measured, simulated
from .real_space import real_space_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bcdi_inpaint.filling import Inpainted
    from bcdi_inpaint.lab.simulate import Recipe
    from bcdi_inpaint.progress import Progress

    from .cases import Box, Gap, PatternSet
    from .patterns import Bools, Counts, MeasuredScan, Pattern
    from .request import Request
    from .store import Store

    Found = dict[str, list[dict[str, Any]]]
    """Rows of the records, of the errors in real space, and of refusals."""
    Unit = Callable[[Progress], Found]


def run(
    request: Request, progress: Progress, store: Store, scan: MeasuredScan | None = None
) -> None:
    """Fill and measure simulated patterns, or artificial gaps in a scan (`cases.measured_gaps`).

    What is finished goes to the store, for `records.Results`; what it holds isn't measured again.
    """
    units = dict(_of_simulation(request) if scan is None else _of_scan(request, scan))
    finished = {entry["name"] for entry in store.entries if "name" in entry}
    for index, (name, measure) in enumerate(units.items()):
        if name not in finished:
            of_unit = part(progress, index, len(units), f"{name}, ")
            store.add({"name": name, "results": measure(of_unit)})
    progress("done", 1.0)


def able(request: Request) -> tuple[Request, list[str]]:
    """The request with the methods that can fill any gap, and what is to be said of the others.

    Called before a run, it loads what the methods load, so that the first case isn't charged with it.

    Raises
    ------
    ValueError
        If a method can't that was asked for, by its name or with weights.
    """
    methods, remarks = [], []
    for name in request.methods or request.usual:
        reason = _refusal(request, name)
        if reason and (name in request.methods or "model" in request.options.get(name, {})):
            raise ValueError(reason)
        if reason:
            remarks.append(f"{name} is left out: {reason}")
        else:
            methods.append(name)
    return replace(request, methods=tuple(methods)), remarks


def _refusal(request: Request, name: str) -> str:
    """Why a method can fill no gap at all; empty if it can."""
    stack = np.random.default_rng(0).poisson(3, (40, 40, 40))
    reasons = []
    for width in WIDTHS:
        start = 20 - width // 2
        mask = cases.Gap("vertical", width, 0, None, (start, start + width)).mask((40, 40))
        try:
            request.inpaint(stack, mask, name)
        except ValueError as error:
            reasons.append(str(error))
    return reasons[0] if len(reasons) == len(WIDTHS) else ""


def _of_simulation(request: Request) -> Iterator[tuple[str, Unit]]:
    for which, number in request.patterns.items():
        for index, recipe in enumerate(cases.recipes(which, number, request.shape)):
            yield f"{which} {recipe.seed}", partial(_of_recipe, request, which, index, recipe)


def _of_recipe(
    request: Request, which: PatternSet, index: int, recipe: Recipe, progress: Progress
) -> Found:
    progress(f"{recipe.family}, {recipe.strain}", 0.0)
    pattern = simulated(recipe)
    about = {
        "pattern": which,
        "seed": recipe.seed,
        "family": recipe.family,
        "strain": recipe.strain,
        "peak_counts": recipe.peak_counts,
        "oversampling": recipe.oversampling,
        "unseen": cases.held_out(recipe),
    }
    distance = cases.DISTANCES[which][index % len(cases.DISTANCES[which])]
    gaps = list(itertools.product(request.kinds, request.widths))
    found: Found = {"records": [], "real_space": [], "refusals": []}
    for at, (kind, width) in enumerate(gaps):
        # The same place whichever other gaps are asked for.
        rng = seeded(pattern.seed, width, get_args(cases.Kind).index(kind))
        gap = cases.place_gap(kind, width, distance, pattern.peak[1:], pattern.plane, rng)
        of_gap = part(progress, at, len(gaps))
        for name, rows in _fill_and_measure(request, pattern, gap, about, of_gap).items():
            found[name] += rows
    return found


def _of_scan(request: Request, scan: MeasuredScan) -> Iterator[tuple[str, Unit]]:
    pattern = measured(scan, request.shape)
    about = {
        "seed": 0,
        "family": scan.name,
        "strain": "",
        "peak_counts": float(pattern.counts[pattern.peak]),
        "oversampling": None,
        "unseen": True,
    }
    for which, width in itertools.product(get_args(cases.MeasuredSet), request.widths):
        for gap in cases.measured_gaps(which, width, pattern.peak[1:], pattern.plane):
            if (gap.mask(pattern.plane) & pattern.judged).any():
                yield (
                    f"{which} {width} px {gap.rows or gap.cols} {gap.kind}",
                    partial(_fill_and_measure, request, pattern, gap, {"pattern": which, **about}),
                )


def _fill_and_measure(
    request: Request, pattern: Pattern, gap: Gap, about: dict[str, Any], progress: Progress
) -> Found:
    case = {**about, "kind": gap.kind, "width": gap.width, "distance": gap.distance}
    found: Found = {"records": [], "real_space": [], "refusals": []}
    mask = gap.mask(pattern.plane) | pattern.missing
    missing = np.broadcast_to(mask, pattern.counts.shape)
    whole = gap.mask(pattern.plane) & pattern.judged
    boxes = [box for box in _patches(request, pattern, gap) if whole[box].any()]
    # What is hidden is hidden: no method is given the counts under the gap.
    stack = np.where(missing, 0, pattern.counts)
    for at, method in enumerate(request.methods):
        progress(f"{gap.width} px {gap.kind}: {method}", at / len(request.methods))
        started = time.process_time()
        try:
            filled = request.inpaint(stack, mask, method)
        except ValueError as refusal:
            found["refusals"].append({"method": method, "words": str(refusal)})
            continue
        times = {
            "seconds": filled.report.seconds,
            "cpu_seconds": time.process_time() - started,
        }
        own = {"case": case, "method": method}
        measures = [("volume", 0, _measure_gap(filled, pattern, whole))]
        measures += [
            ("patch", index, _measure_patch(filled, pattern, whole, box))
            for index, box in enumerate(boxes)
        ]
        found["records"] += [
            {**own, "scope": scope, "index": index, "measures": figures, **times}
            for scope, index, figures in measures
        ]
        if gap.kind == "cross" and gap.width == cases.REAL_SPACE_WIDTH and pattern.rate is not None:
            assert pattern.phase is not None
            errors = real_space_errors(filled.intensity, pattern.rate, pattern.phase, missing)
            found["real_space"].append({**own, "errors": errors})
    return found


def _patches(request: Request, pattern: Pattern, gap: Gap) -> list[Box]:
    frames, rows, cols = pattern.counts.shape
    rng = seeded(pattern.seed, gap.width)
    return cases.patches(gap, (frames, rows, cols), pattern.peak, request.patches, rng)


def _measure_gap(filled: Inpainted, pattern: Pattern, where: Bools) -> dict[str, Any]:
    """All figures of the voxels of a whole gap, ``where`` bool (frame, row, col)."""
    fill, sigma, counts = filled.intensity[where], filled.sigma[where], pattern.counts[where]
    rate = None if pattern.rate is None else pattern.rate[where]
    truth, coverage = (
        (counts, metrics.coverage_of_counts) if rate is None else (rate, metrics.coverage)
    )
    cover_68, cover_95 = coverage(fill, sigma, truth)
    sums = {"by_fill": metrics.band_sums(fill, truth, by="fill")}
    if rate is not None:
        sums["by_rate"] = metrics.band_sums(fill, rate, by="rate")
    return {**_correlations(fill, counts, rate), "cover_68": cover_68, "cover_95": cover_95, **sums}


def _measure_patch(filled: Inpainted, pattern: Pattern, whole: Bools, box: Box) -> dict[str, Any]:
    where = whole[box]
    rate = None if pattern.rate is None else pattern.rate[box][where]
    return _correlations(filled.intensity[box][where], pattern.counts[box][where], rate)


def _correlations(fill: Counts, counts: Counts, rate: Counts | None) -> dict[str, Any]:
    truth = counts if rate is None else rate
    if rate is None:
        ceiling = metrics.pcc_ceiling_of_counts(counts)
    else:
        ceiling = metrics.pcc_ceiling(rate, counts)
    return {
        "voxels": int(counts.size),
        "mean": float(truth.mean(dtype=float)),
        "pcc_counts": metrics.pcc(fill, counts),
        "pcc_rate": np.nan if rate is None else metrics.pcc(fill, rate),
        "ceiling": ceiling,
        "r_amp": metrics.amplitude_residual(fill, truth),
    }
