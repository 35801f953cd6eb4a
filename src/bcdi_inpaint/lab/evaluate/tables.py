"""From records to tables. Columns ending in ``+`` are crosses, the others single gaps."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import numpy as np

from .cases import NARROW, MeasuredSet
from .markdown import Table
from .metrics import BAND_EDGES, BAND_NAMES, pooled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .metrics import BandSums
    from .records import Case, Measures, RealSpace, Record, Results

CEILING = "noise ceiling"
"""Name of the row of a perfect predictor."""

BRIGHT_PORTION = 3.0
"""Counts a voxel from which on a portion counts as bright, as in the published anchors."""

PAPER_BINS = 20

OVERSAMPLING_EDGES = (2.5, 3.5, 5.0, 8.0)

SETS = {
    "plain": "Plain patterns",
    "held-out": "Held-out patterns",
    "bright": "Bright patterns, fringes resolved far out, gap 8-15 px from the peak",
    "anchors": "Measured scan, places of the published figures",
    "measured": "Measured scan, many places",
}

MEASURED = get_args(MeasuredSet)

Value = Callable[["Measures"], float]


def make_tables(results: Results) -> list[Table]:
    """All tables that the records allow, set after set."""
    made: list[Table] = []
    for which, name in SETS.items():
        records = [r for r in results.records if r.case.pattern == which]
        real_space = [r for r in results.real_space if r.case.pattern == which]
        if records:
            tables = _tables_of_set(records, real_space)
            unseen = [r for r in records if r.case.unseen and r.scope == "volume"]
            if which == "held-out" and unseen:
                tables.append(_unseen(unseen))
            made += [
                replace(t, title=f"{name}: {t.title}", figure=t.figure and f"{which}-{t.figure}")
                for t in tables
                if t.rows
            ]
    return made


def summary(results: Results) -> Table:
    """What a reader wants to know first: one line for each method, over all gaps of all sets."""
    volumes = [r for r in results.records if r.scope == "volume"]
    rows: list[tuple[str, tuple[float | str | None, ...]]] = []
    for method in _methods(volumes):
        own = [r for r in volumes if r.method == method]
        sums = [r.measures.by_fill for r in own if r.measures.by_fill is not None]
        ratios = [sum(s.filled) / sum(s.true) for s in sums if sum(s.true) > 0]
        seconds = f"{np.median([r.seconds for r in own]):.2f}"
        cells = (_mean(own, lambda m: m.pcc_counts), _mean(own, _below_ceiling))
        rows.append((method, (len(own), *cells, float(np.median(ratios)), seconds)))
    rows.append((CEILING, (None, _ceiling(volumes), 0.0, None, None)))
    return Table(
        "Summary: whole gaps of all sets",
        "PCC against the counts and what is missing to the noise ceiling, means over patterns; filled over "
        "true counts of a gap and seconds of a fill, medians.",
        ("gaps", "PCC", "below ceiling", "counts", "seconds"),
        tuple(rows),
    )


def _tables_of_set(records: list[Record], real_space: list[RealSpace]) -> list[Table]:
    volumes = [r for r in records if r.scope == "volume"]
    portions = [r for r in records if r.scope == "portion"]
    simulated = volumes[0].measures.by_rate is not None
    tables = [_whole_gaps(volumes), _distances(volumes), _better_than_kriging(volumes)]
    if simulated:
        tables.append(
            _by_width(
                volumes,
                "whole gaps, PCC against the noise-free rate",
                "A perfect predictor has 1.",
                lambda m: m.pcc_rate,
            )
        )
    tables.append(
        _by_width(
            volumes,
            "whole gaps, amplitude residual R_amp",
            "Smaller is better."
            + ("" if simulated else " Against the counts, whose noise is part of it."),
            lambda m: m.r_amp,
        )
    )
    tables += _portion_tables(portions)
    tables += _band_tables(volumes)
    tables.append(_coverage(volumes))
    if simulated:
        tables += [_by_oversampling(volumes), _real_space(real_space)]
    tables.append(_times(volumes))
    return tables


def _whole_gaps(volumes: list[Record]) -> Table:
    patterns = len({_pattern(r.case) for r in volumes})
    places = "places" if volumes[0].case.pattern in MEASURED else "patterns"
    return _by_width(
        volumes,
        "whole gaps, PCC against the counts",
        f"Mean over {places} ({patterns}). Nothing can be above the ceiling but by chance.",
        lambda m: m.pcc_counts,
        ceiling=True,
    )


def _distances(volumes: list[Record]) -> Table:
    return _by_width(
        volumes,
        "whole gaps, distance to the noise ceiling",
        "Ceiling minus PCC against the counts; smaller is better.",
        lambda m: m.ceiling - m.pcc_counts,
    )


def _unseen(volumes: list[Record]) -> Table:
    patterns = len({r.case.seed for r in volumes})
    return _by_width(
        volumes,
        "kinds that training never saw, PCC against the counts",
        f"Only patterns ({patterns}) whose shape or strain is kept out of training.",
        lambda m: m.pcc_counts,
        ceiling=True,
    )


def _better_than_kriging(volumes: list[Record]) -> Table:
    kriging = {r.case: r.measures.pcc_counts for r in volumes if r.method == "kriging"}
    columns = _columns(volumes)
    rows = []
    for method in _methods(volumes):
        own = [r for r in volumes if r.method == method and r.case in kriging]
        if method == "kriging" or not own:
            continue
        cells: list[str | None] = []
        for column in columns:
            pairs = [
                r.measures.pcc_counts > kriging[r.case] for r in own if _column(r.case) == column
            ]
            cells.append(f"{sum(pairs)} of {len(pairs)}" if pairs else None)
        rows.append((method, tuple(cells)))
    return Table("whole gaps with a higher PCC than kriging's", "Gap by gap.", columns, tuple(rows))


def _portion_tables(portions: list[Record]) -> list[Table]:
    if not portions:
        return []
    bright = [r for r in portions if r.measures.mean >= BRIGHT_PORTION]
    tables = [
        _by_width(
            bright,
            f"32^3 portions with {BRIGHT_PORTION:g} counts a voxel or more, PCC against the counts",
            "At least 20 px from the peak. Mean over a pattern's portions, then over patterns.",
            lambda m: m.pcc_counts,
            ceiling=True,
        ),
        _by_paper_bins(portions),
        _by_mean(portions),
    ]
    if np.isfinite(portions[0].measures.pcc_rate):
        tables.append(
            _by_width(
                portions,
                "all 32^3 portions, PCC against the noise-free rate",
                "At least 20 px from the peak, the darkest included.",
                lambda m: m.pcc_rate,
            )
        )
    return tables


def _by_width(
    records: list[Record], title: str, note: str, value: Value, *, ceiling: bool = False
) -> Table:
    columns = _columns(records)
    rows = []
    partial = []
    for method in _methods(records):
        cells = []
        for column in columns:
            all_here = [r for r in records if _column(r.case) == column]
            own = [r for r in all_here if r.method == method]
            cells.append(_mean(own, value))
            cases, filled = len({r.case for r in all_here}), len({r.case for r in own})
            if 0 < filled < cases:
                partial.append(f"{method} {column}: {filled} of {cases} gaps")
        rows.append((method, tuple(cells)))
    if ceiling:
        rows.append((CEILING, tuple(_ceiling(_in(records, column)) for column in columns)))
    if partial:
        note = f"{note} Filled only in part: {'; '.join(partial)}."
    return Table(title, note, columns, tuple(rows))


def _by_paper_bins(portions: list[Record]) -> Table:
    columns = _columns(portions)
    rows = [
        (m, tuple(_paper_mean(_in(portions, c, m), lambda r: r.pcc_counts) for c in columns))
        for m in _methods(portions)
    ]
    rows.append(
        (
            CEILING,
            tuple(_paper_mean(_one_method(_in(portions, c)), lambda r: r.ceiling) for c in columns),
        )
    )
    return Table(
        "32^3 portions, the paper's Table 1 re-created, PCC against the counts",
        f"Mean over {PAPER_BINS} bins of the logarithm of a portion's mean count, each reaching to its "
        "neighbours' centres. The paper's .989 / .977 / .955 / .946 are such means over portions of one "
        "pattern, normalised to 1e5 and scaled by its own truth: they lie above the ceiling of "
        "raw counts and can't be compared with these.",
        columns,
        tuple(rows),
    )


def _paper_mean(records: list[Record], value: Value) -> float | None:
    lit = [r for r in records if r.measures.mean > 0 and np.isfinite(value(r.measures))]
    if not lit:
        return None
    logs = np.log([r.measures.mean for r in lit])
    values = np.array([value(r.measures) for r in lit])
    centres, step = np.linspace(logs.min(), logs.max(), PAPER_BINS, retstep=True)
    inside = [np.abs(logs - centre) <= step for centre in centres]
    return float(np.mean([values[i].mean() for i in inside if i.any()]))


def _by_mean(portions: list[Record]) -> Table:
    def band(record: Record) -> str:
        return BAND_NAMES[int(np.digitize(record.measures.mean, BAND_EDGES[1:-1]))]

    rows: list[tuple[str, tuple[float | None, ...]]] = []
    single = [r for r in portions if r.case.kind != "cross"]
    for width in sorted({r.case.width for r in single}):
        here = [r for r in single if r.case.width == width]
        for method in _methods(here):
            cells = [[r for r in here if r.method == method and band(r) == b] for b in BAND_NAMES]
            rows.append(
                (f"{width} px {method}", tuple(_mean(c, lambda m: m.pcc_counts) for c in cells))
            )
        cells = [[r for r in here if band(r) == b] for b in BAND_NAMES]
        rows.append((f"{width} px {CEILING}", tuple(_ceiling(c) for c in cells)))
    return Table(
        "32^3 portions by their mean count (the paper's Fig. 5), PCC against the counts",
        "Single gaps; columns are true counts a voxel in the gap.",
        BAND_NAMES,
        tuple(rows),
        figure="counts",
    )


def _by_oversampling(volumes: list[Record]) -> Table:
    edges = OVERSAMPLING_EDGES
    names = tuple(f"{low:g}-{high:g}" for low, high in itertools.pairwise(edges))
    single = [r for r in volumes if r.case.kind == "vertical"]
    rows: list[tuple[str, tuple[float | None, ...]]] = []
    for width in sorted({r.case.width for r in single}):
        for method in _methods(single):
            own = [r for r in single if r.case.width == width and r.method == method]
            cells = [
                [r for r in own if r.case.oversampling and low <= r.case.oversampling[2] < high]
                for low, high in itertools.pairwise(edges)
            ]
            rows.append((f"{width} px {method}", tuple(_mean(c, _below_ceiling) for c in cells)))
    return Table(
        "distance to the noise ceiling by oversampling across the gap (the paper's Fig. 6)",
        "Whole vertical gaps. Oversampling is the fringes' period in pixels.",
        names,
        tuple(rows),
        figure="oversampling",
    )


def _below_ceiling(measures: Measures) -> float:
    return measures.ceiling - measures.pcc_counts


def _band_tables(volumes: list[Record]) -> list[Table]:
    tables = []
    notes = {
        "fill": "Sorted by what the fill says: where it says 1-3 counts, are there as many? A "
        "calibrated fill has 1 in each band.",
        "rate": "Sorted by the true rate: any fill that is uncertain, the best possible one included, is "
        "too high in dim bands and too low in bright ones (regression to the mean).",
    }
    for by, note in notes.items():
        rows: list[tuple[str, tuple[str | None, ...]]] = []
        for name, chosen in (
            ("up to 12 px", [r for r in volumes if r.case.width <= max(NARROW)]),
            ("wider", [r for r in volumes if r.case.width > max(NARROW)]),
        ):
            for method in _methods(chosen):
                own = [r for r in chosen if r.method == method]
                sums = {
                    r.case: s
                    for r in own
                    if (s := r.measures.by_fill if by == "fill" else r.measures.by_rate)
                }
                if sums:
                    rows.append((f"{name}: {method}", _ratios(sums)))
        tables.append(
            Table(
                f"filled over true counts in bands of the {by}",
                f"{note} Counts of all gaps are added up; +- is the jackknife's error over patterns.",
                BAND_NAMES,
                tuple(rows),
            )
        )
    return tables


def _ratios(sums: dict[Case, BandSums]) -> tuple[str | None, ...]:
    """Pooled ratio in each band and its standard error, by leaving out one pattern at a time."""
    patterns = sorted({_pattern(case) for case in sums})
    ratio = pooled(sums.values()).ratio
    without = np.array(
        [pooled(s for case, s in sums.items() if _pattern(case) != p).ratio for p in patterns]
    )
    error = np.sqrt((len(patterns) - 1) * without.var(axis=0))
    return tuple(
        None if np.isnan(r) else f"{r:.2f}" if np.isnan(e) or e == 0 else f"{r:.2f} ± {e:.2f}"
        for r, e in zip(ratio, error, strict=True)
    )


def _coverage(volumes: list[Record]) -> Table:
    def cell(own: list[Record]) -> str | None:
        means = [_mean(own, lambda m: m.cover_68), _mean(own, lambda m: m.cover_95)]
        return (
            None if None in means else " / ".join(f"{100 * m:.1f}" for m in means if m is not None)
        )

    columns = _columns(volumes)
    rows = [(m, tuple(cell(_in(volumes, c, m)) for c in columns)) for m in _methods(volumes)]
    return Table(
        "voxels in the 68 % / 95 % interval, percent",
        "Calibrated: 68 / 95. Below: too sure of itself; above: too modest.",
        columns,
        tuple(rows),
    )


def _real_space(errors: list[RealSpace]) -> Table:
    rows = []
    for method in dict.fromkeys(e.method for e in errors):
        own = [e.errors for e in errors if e.method == method]
        ratios = [e.phase_ratio for e in own]
        cells: tuple[float | str, ...] = (
            float(np.mean([e.phase_std_gap for e in own])),
            float(np.mean([e.phase_std_fill for e in own])),
            float(np.mean(ratios)),
            f"{min(ratios):.1f}-{max(ratios):.1f}",
            float(np.mean([e.modulus_rmse_gap for e in own])),
            float(np.mean([e.modulus_rmse_fill for e in own])),
            float(np.mean([e.strain_ratio for e in own])),
        )
        rows.append((method, cells))
    patterns = len({e.case.seed for e in errors})
    return Table(
        "inverse transform with the true phases, 9 px cross (the paper's 2.6.1)",
        f"Mean over patterns ({patterns}). Phase error in the particle, rad, with the gap at zero and "
        "filled; their ratio (the paper says 5 for one object) and its range; relative error of the "
        "modulus; how many times smaller the strain error becomes.",
        ("phase, gap", "phase, filled", "ratio", "range", "modulus, gap", "filled", "strain ratio"),
        tuple(rows),
    )


def _times(volumes: list[Record]) -> Table:
    columns = _columns(volumes)

    def cell(own: list[Record]) -> str | None:
        if not own:
            return None
        wall, cpu = (np.median([getattr(r, k) for r in own]) for k in ("seconds", "cpu_seconds"))
        return f"{wall:.2f} / {cpu:.2f}"

    rows = [(m, tuple(cell(_in(volumes, c, m)) for c in columns)) for m in _methods(volumes)]
    return Table(
        "seconds a fill, wall / CPU",
        "Medians, all in this run, the methods in turn on the same gaps.",
        columns,
        tuple(rows),
    )


def _column(case: Case) -> str:
    return f"{case.width}{'+' if case.kind == 'cross' else ''} px"


def _columns(records: Iterable[Record]) -> tuple[str, ...]:
    cases = {(r.case.kind == "cross", r.case.width, _column(r.case)) for r in records}
    return tuple(name for _, _, name in sorted(cases))


def _methods(records: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys(r.method for r in records))


def _in(records: list[Record], column: str, method: str | None = None) -> list[Record]:
    return [r for r in records if _column(r.case) == column and method in (None, r.method)]


def _pattern(case: Case) -> tuple[int, str, int]:
    """What counts as one observation: a simulated pattern, or a place on a measured one."""
    return (case.seed, *((case.kind, case.distance) if case.pattern in MEASURED else ("", 0)))


def _mean(records: Sequence[Record], value: Value) -> float | None:
    """Mean over patterns of the mean over what each pattern gave; None without any figure."""
    groups: dict[tuple[int, str, int], list[float]] = {}
    for record in records:
        figure = value(record.measures)
        if np.isfinite(figure):
            groups.setdefault(_pattern(record.case), []).append(figure)
    return float(np.mean([np.mean(g) for g in groups.values()])) if groups else None


def _ceiling(records: list[Record]) -> float | None:
    return _mean(_one_method(records), lambda m: m.ceiling)


def _one_method(records: list[Record]) -> list[Record]:
    """The records of the method that filled most: those of others are of the same gaps."""
    methods = [r.method for r in records]
    most = max(dict.fromkeys(methods), key=methods.count, default=None)
    return [r for r in records if r.method == most]
