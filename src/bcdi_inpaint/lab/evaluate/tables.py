"""From records to tables. Columns ending in ``+`` are crosses, the others single gaps."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .cases import NARROW
from .markdown import CEILING, Table
from .metrics import BAND_EDGES, BAND_NAMES, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .records import Results

    Cell = Callable[[pd.DataFrame], float | str | None]

BRIGHT_PATCH = 3.0
"""Counts a voxel from which on a patch counts as bright, as in the published anchors."""

PAPER_BINS = 20
OVERSAMPLING_EDGES = (2.5, 3.5, 5.0, 8.0)

SETS = {
    "plain": "Plain patterns",
    "held-out": "Held-out patterns",
    "bright": "Bright patterns, fringes resolved far out, gap 8-15 px from the peak",
    "anchors": "Measured scan, places of the published figures",
    "measured": "Measured scan, many places",
}

BAND_NOTES = {
    "fill": "Sorted by what the fill says: where it says 1-3 counts, are there as many? A calibrated fill "
    "has 1 in each band.",
    "rate": "Sorted by the true rate: any fill that is uncertain, the best possible one included, is too "
    "high in dim bands and too low in bright ones (regression to the mean).",
}


def make_tables(results: Results) -> list[Table]:
    """All tables that the records allow, set after set, and a summary."""
    records = _in_columns(results.records)
    made = []
    for which, name in SETS.items():
        own, errors = (
            frame[frame["pattern"] == which] if len(frame) else frame
            for frame in (records, results.real_space)
        )
        for t in _of_set(own, errors) if len(own) else ():
            if len(t.frame):
                figure = t.figure and f"{which}-{t.figure}"
                made.append(replace(t, title=f"{name}: {t.title}", figure=figure))
    return [*made, _summary(records[records["scope"] == "volume"])]


def _in_columns(records: pd.DataFrame) -> pd.DataFrame:
    """The records, and the columns of the tables that they belong to."""
    cross = records["kind"] == "cross"
    keys = list(zip(cross, records["width"], strict=True))
    names = {(c, width): f"{width}{'+' if c else ''} px" for c, width in sorted(set(keys))}
    over = [f"{low:g}-{high:g}" for low, high in itertools.pairwise(OVERSAMPLING_EDGES)]
    return records.assign(
        below=records["ceiling"] - records["pcc_counts"],
        column=pd.Categorical([names[key] for key in keys], list(names.values())),
        band=pd.cut(records["mean"], BAND_EDGES, right=False, labels=BAND_NAMES),
        over=pd.cut(records["over_col"], OVERSAMPLING_EDGES, right=False, labels=over),
    )


def _of_set(records: pd.DataFrame, errors: pd.DataFrame) -> Iterator[Table]:
    records = records.assign(column=records["column"].cat.remove_unused_categories())
    gaps = records[records["scope"] == "volume"]
    patches = records[records["scope"] == "patch"]
    simulated = bool(records["pcc_rate"].notna().any())
    counted = f"{'patterns' if simulated else 'places'} ({gaps['observation'].nunique()})"
    yield _by_width(
        _with_ceiling(gaps),
        "pcc_counts",
        "whole gaps, PCC against the counts",
        f"Mean over {counted}. Nothing can be above the ceiling but by chance.",
    )
    yield _by_width(
        gaps,
        "below",
        "whole gaps, distance to the noise ceiling",
        "Ceiling minus PCC against the counts; smaller is better.",
    )
    yield _better_than_kriging(gaps)
    if simulated:
        title = "whole gaps, PCC against the noise-free rate"
        yield _by_width(gaps, "pcc_rate", title, "A perfect predictor has 1.")
    noisy = "" if simulated else " Against the counts, whose noise is part of it."
    title = "whole gaps, amplitude residual R_amp"
    yield _by_width(gaps, "r_amp", title, f"Smaller is better.{noisy}")
    if len(patches):
        yield from _of_patches(_with_ceiling(patches))
    if len(patches) and simulated:
        title = "all 32^3 patches, PCC against the noise-free rate"
        note = "At least 20 px from the peak, the darkest included."
        yield _by_width(patches, "pcc_rate", title, note)
    yield from (_counts(gaps, by) for by in BAND_NOTES if f"by_{by}.true" in gaps)
    yield _coverage(gaps)
    if simulated:
        yield Table(
            "distance to the noise ceiling by oversampling across the gap (the paper's Fig. 6)",
            "Whole vertical gaps. Oversampling is the fringes' period in pixels.",
            _each_width(gaps[gaps["kind"] == "vertical"], "below", "over"),
            figure="oversampling",
        )
    if len(errors):
        yield _real_space(errors)
    yield _times(gaps)
    unseen = _with_ceiling(gaps[gaps["unseen"] & (gaps["pattern"] == "held-out")])
    if len(unseen):
        title = "kinds that training never saw, PCC against the counts"
        note = f"Only patterns ({unseen['seed'].nunique()}) whose shape or strain is kept out of training."
        yield _by_width(unseen, "pcc_counts", title, note)


def _of_patches(patches: pd.DataFrame) -> Iterator[Table]:
    yield _by_width(
        patches[patches["mean"] >= BRIGHT_PATCH],
        "pcc_counts",
        f"32^3 patches with {BRIGHT_PATCH:g} counts a voxel or more, PCC against the counts",
        "At least 20 px from the peak. Mean over a pattern's patches, then over patterns.",
    )
    yield Table(
        "32^3 patches, the paper's Table 1 re-created, PCC against the counts",
        f"Mean over {PAPER_BINS} bins of the logarithm of a patch's mean count, each reaching to its "
        "neighbours' centres. The paper's .989 / .977 / .955 / .946 are such means over patches of one "
        "pattern, normalised to 1e5 and scaled by its own truth: they lie above the ceiling of "
        "raw counts and can't be compared with these.",
        _cells(patches, _mean_over_bins),
    )
    yield Table(
        "32^3 patches by their mean count (the paper's Fig. 5), PCC against the counts",
        "Single gaps; columns are true counts a voxel in the gap.",
        _each_width(patches[patches["kind"] != "cross"], "pcc_counts", "band"),
        figure="counts",
    )


def _by_width(records: pd.DataFrame, value: str, title: str, note: str) -> Table:
    gaps = records.groupby("column", observed=True)["gap"].nunique()
    filled = records.groupby(["method", "column"], observed=True, sort=False)["gap"].nunique()
    some = [f"{m} {c}: {n} of {gaps[c]} gaps" for (m, c), n in filled.items() if n < gaps[c]]
    if some:
        note = f"{note} Filled only in part: {'; '.join(some)}."
    return Table(title, note, _cells(records, _mean(value)))


def _cells(records: pd.DataFrame, cell: Cell, by: str = "column") -> pd.DataFrame:
    """What the records of each method and column come to."""
    columns, methods = list(records[by].cat.categories), list(records["method"].unique())
    found = {key: cell(own) for key, own in records.groupby(["method", by], observed=True)}
    rows = [[found.get((method, column)) for column in columns] for method in methods]
    return pd.DataFrame(rows, methods, columns, object)


def _each_width(records: pd.DataFrame, value: str, by: str) -> pd.DataFrame:
    """`_cells` of each width, in rows named ``"<width> px <method>"``."""
    frames = [
        _cells(own, _mean(value), by).rename(index=f"{width} px {{}}".format)
        for width, own in records.groupby("width")
    ]
    return pd.concat(frames) if frames else pd.DataFrame()


def _mean(value: str) -> Cell:
    """Mean over patterns of the mean over what each pattern gave."""

    def mean(records: pd.DataFrame) -> float:
        return float(records.groupby("observation")[value].mean().mean())

    return mean


def _with_ceiling(records: pd.DataFrame) -> pd.DataFrame:
    """The records, and those of a perfect predictor."""
    perfect = records.drop_duplicates(["gap", "scope", "index"])
    perfect = perfect.assign(method=CEILING, pcc_counts=perfect["ceiling"], below=0.0)
    return pd.concat([records, perfect])


def _mean_over_bins(patches: pd.DataFrame) -> float | None:
    lit = patches[(patches["mean"] > 0) & patches["pcc_counts"].notna()]
    if lit.empty:
        return None
    logs, values = np.log(lit["mean"].to_numpy()), lit["pcc_counts"].to_numpy()
    centres, step = np.linspace(logs.min(), logs.max(), PAPER_BINS, retstep=True)
    inside = [np.abs(logs - centre) <= step for centre in centres]
    return float(np.mean([values[i].mean() for i in inside if i.any()]))


def _better_than_kriging(gaps: pd.DataFrame) -> Table:
    kriging = gaps[gaps["method"] == "kriging"].set_index("gap")["pcc_counts"]
    others = gaps[(gaps["method"] != "kriging") & gaps["gap"].isin(kriging.index)]
    others = others.assign(better=others["pcc_counts"] > others["gap"].map(kriging))
    cells = _cells(others, lambda own: f"{own['better'].sum()} of {len(own)}")
    return Table("whole gaps with a higher PCC than kriging's", "Gap by gap.", cells)


def _counts(gaps: pd.DataFrame, by: str) -> Table:
    narrow = gaps["width"] <= max(NARROW)
    rows = {
        f"{name}: {method}": _ratios(own, by)
        for name, chosen in (("up to 12 px", gaps[narrow]), ("wider", gaps[~narrow]))
        for method, own in chosen.groupby("method", sort=False)
    }
    return Table(
        f"filled over true counts in bands of the {by}",
        f"{BAND_NOTES[by]} Counts of all gaps are added up; +- is the jackknife's error over patterns.",
        pd.DataFrame.from_dict(rows, "index", object, list(BAND_NAMES)),
    )


def _ratios(gaps: pd.DataFrame, by: str) -> list[str | None]:
    """Pooled ratio in each band and its standard error, by leaving out one pattern at a time."""
    each = [pd.DataFrame(gaps[f"by_{by}.{k}"].tolist()) for k in ("filled", "true")]
    filled, true = (s.groupby(gaps["observation"].to_numpy()).sum().to_numpy() for s in each)
    number = len(filled)
    without = [ratio(*(np.delete(a, i, 0).sum(0) for a in (filled, true))) for i in range(number)]
    error = np.sqrt((number - 1) * np.var(without, axis=0))
    return [
        None if np.isnan(r) else f"{r:.2f}" if np.isnan(e) or e == 0 else f"{r:.2f} ± {e:.2f}"
        for r, e in zip(ratio(filled.sum(0), true.sum(0)), error, strict=True)
    ]


def _coverage(gaps: pd.DataFrame) -> Table:
    def cell(own: pd.DataFrame) -> str:
        return " / ".join(
            f"{100 * own[c].groupby(own['observation']).mean().mean():.1f}" for c in cover
        )

    cover = ("cover_68", "cover_95")
    note = "Calibrated: 68 / 95. Below: too sure of itself; above: too modest."
    return Table("voxels in the 68 % / 95 % interval, percent", note, _cells(gaps, cell))


def _real_space(errors: pd.DataFrame) -> Table:
    columns = {
        "phase_std_gap": "phase, gap",
        "phase_std_fill": "phase, filled",
        "ratio": "ratio",
        "range": "range",
        "modulus_rmse_gap": "modulus, gap",
        "modulus_rmse_fill": "filled",
        "strain": "strain ratio",
    }
    ratios = errors["phase_std_gap"] / errors["phase_std_fill"]
    strains = errors["strain_rmse_gap"] / errors["strain_rmse_fill"]
    own = errors.assign(ratio=ratios, strain=strains).groupby("method", sort=False)
    mean = own.mean(numeric_only=True)
    mean["range"] = own["ratio"].agg(lambda r: f"{r.min():.1f}-{r.max():.1f}")
    return Table(
        "inverse transform with the true phases, 9 px cross (the paper's 2.6.1)",
        f"Mean over patterns ({errors['seed'].nunique()}). Phase error in the particle, rad, with the gap "
        "at zero and filled; their ratio (the paper says 5 for one object) and its range; relative "
        "error of the modulus; how many times smaller the strain error becomes.",
        mean[[*columns]].rename(columns=columns),
    )


def _times(gaps: pd.DataFrame) -> Table:
    def cell(own: pd.DataFrame) -> str:
        return f"{own['seconds'].median():.2f} / {own['cpu_seconds'].median():.2f}"

    note = "Medians, all in this run, the methods in turn on the same gaps."
    return Table("seconds a fill, wall / CPU", note, _cells(gaps, cell))


def _summary(gaps: pd.DataFrame) -> Table:
    """What a reader wants to know first."""
    rows = {}
    for method, own in _with_ceiling(gaps).groupby("method", sort=False):
        filled, true = (own[f"by_fill.{name}"].map(sum) for name in ("filled", "true"))
        pcc, below = (f"{_mean(value)(own):.3f}" for value in ("pcc_counts", "below"))
        counts, seconds = (filled / true)[true > 0].median(), own["seconds"].median()
        judged = [f"{counts:.2f}", f"{seconds:.2f}"] if method != CEILING else [None, None]
        rows[method] = [str(len(own)), pcc, below, *judged]
    return Table(
        "Summary: whole gaps of all sets",
        "PCC against the counts and what is missing to the noise ceiling, means over patterns; filled over "
        "true counts of a gap and seconds of a fill, medians.",
        pd.DataFrame.from_dict(
            rows, "index", object, ["gaps", "PCC", "below ceiling", "counts", "seconds"]
        ),
    )
