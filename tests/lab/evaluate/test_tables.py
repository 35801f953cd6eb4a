from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from bcdi_inpaint.lab.evaluate import metrics
from bcdi_inpaint.lab.evaluate.markdown import CEILING, Table
from bcdi_inpaint.lab.evaluate.records import Results
from bcdi_inpaint.lab.evaluate.tables import make_tables

if TYPE_CHECKING:
    from collections.abc import Sequence


def _case(seed: int = 0, width: int = 6, kind: str = "vertical", pattern: str = "plain") -> dict:
    return {
        "pattern": pattern,
        "seed": seed,
        "family": "cube",
        "strain": "none",
        "peak_counts": 1e4,
        "oversampling": [4.0, 4.0, 3.0],
        "unseen": False,
        "kind": kind,
        "width": width,
        "distance": 10,
    }


def _record(
    case: dict[str, Any],
    method: str,
    pcc: float,
    *,
    mean: float = 5.0,
    scope: str = "volume",
    index: int = 0,
    sums: dict[str, list[float]] | None = None,
) -> dict[str, Any]:
    sums = sums or metrics.band_sums([2.0, 20.0], [1.5, 20.0])
    figures: dict[str, Any] = {
        "voxels": 100,
        "mean": mean,
        "pcc_counts": pcc,
        "pcc_rate": pcc,
        "ceiling": 0.95,
    }
    figures |= {"r_amp": 0.3, "cover_68": 0.68, "cover_95": 0.95, "by_fill": sums, "by_rate": sums}
    times = {"seconds": 1.0, "cpu_seconds": 0.5}
    return {
        "case": case,
        "method": method,
        "scope": scope,
        "index": index,
        "measures": figures,
        **times,
    }


def _patch(pcc: float, index: int, seed: int = 0, mean: float = 5.0) -> dict[str, Any]:
    return _record(_case(seed), "linear", pcc, mean=mean, scope="patch", index=index)


def _tables(records: Sequence[dict[str, Any]]) -> list[Table]:
    found = {"records": list(records), "real_space": [], "refusals": []}
    return make_tables(Results.of([{"name": "all", "results": found}]))


def _table(records: Sequence[dict[str, Any]], title: str) -> Table:
    (found,) = (table for table in _tables(records) if title in table.title)
    return found


def test_gaps_on_both_sides_of_a_measured_peak_are_two_gaps():
    case = _case(pattern="measured")
    entries = [
        {
            "name": f"measured 6 px {side}",
            "results": {
                "records": [_record(case, "kriging", 0.8), _record(case, "linear", linear)],
                "real_space": [],
                "refusals": [],
            },
        }
        for side, linear in (("left", 0.7), ("right", 0.9))
    ]
    (table,) = (t for t in make_tables(Results.of(entries)) if "than kriging" in t.title)
    assert table.frame.loc["linear"].tolist() == ["1 of 2"]


def test_each_pattern_counts_once_however_many_patches_it_gave():
    records = [_record(_case(), "linear", 0.8), *(_patch(0.8, i) for i in range(9))]
    records.append(_patch(0.6, 0, seed=1))
    table = _table(records, "patches with 3 counts")
    assert table.frame.loc["linear", "6 px"] == pytest.approx(0.7)
    assert table.frame.loc[CEILING, "6 px"] == pytest.approx(0.95)


def test_crosses_have_columns_of_their_own_after_the_single_gaps():
    records = [
        _record(_case(width=w, kind=k), "linear", 0.8)
        for k in ("cross", "vertical")
        for w in (12, 3, 38)
    ]
    columns = ["3 px", "12 px", "38 px", "3+ px", "12+ px", "38+ px"]
    assert list(_table(records, "PCC against the counts").frame.columns) == columns


def test_patches_without_any_photon_are_left_out():
    whole = _record(_case(), "linear", 0.8)
    table = _table([whole, _patch(0.5, 0), _patch(np.nan, 1)], "patches with 3 counts")
    assert table.frame.loc["linear", "6 px"] == 0.5
    table = _table([whole, _patch(np.nan, 1)], "patches with 3 counts")
    assert table.plain()["rows"]["linear"] == [None]


def test_paper_bins_weigh_intensities_not_patches():
    """Nine dim patches and one bright: a plain mean would be nearly that of the dim ones."""
    records = [_record(_case(), "linear", 0.8), *(_patch(0.5, i, mean=1.0) for i in range(9))]
    records.append(_patch(0.9, 9, mean=float(np.exp(19))))
    # Bins at log counts 0, 1, ... 19, each one wide on both sides: two at either end hold patches.
    found = _table(records, "Table 1").frame
    assert found.loc["linear", "6 px"] == pytest.approx(0.7)
    assert found.loc[CEILING, "6 px"] == pytest.approx(0.95)


def test_what_a_method_did_not_fill_is_said():
    records = [_record(_case(seed), "linear", 0.8) for seed in range(3)]
    records.append(_record(_case(0), "reference", 0.9))
    assert "reference 6 px: 1 of 3 gaps" in _table(records, "R_amp").note
    assert list(_table(records, "Summary").frame["gaps"]) == ["3", "1", "3"]


def test_wins_are_counted_gap_by_gap():
    records = [_record(_case(seed), "kriging", 0.8) for seed in range(3)]
    records += [_record(_case(seed), "patching", 0.79 + 0.01 * seed) for seed in range(3)]
    table = _table(records, "higher PCC than kriging's")
    assert table.texts() == [["patching", "1 of 3"]]


def test_counts_ratio_and_its_error_by_hand():
    records = [
        _record(
            _case(seed),
            "linear",
            0.8,
            sums={"voxels": [1.0] * 6, "filled": [filled] * 6, "true": [10.0] * 6},
        )
        for seed, filled in enumerate((9.0, 11.0, 10.0))
    ]
    # Pooled 30 / 30; leaving one out gives 1.05, .95, 1.00: sqrt(2 * var) = sqrt(2 * .005 / 3).
    table = _table(records, "bands of the fill")
    assert table.texts() == [["up to 12 px: linear", *["1.00 ± 0.06"] * 6]]


def test_the_summary_is_over_all_sets_and_its_counts_are_a_median():
    records = [
        _record(_case(seed, pattern=which), "linear", pcc, sums={"voxels": [1.0] * 6, "filled": [f] * 6, "true": [4.0] * 6})
        for which, seed, pcc, f in (("plain", 0, 0.8, 4.0), ("bright", 1, 0.6, 8.0), ("bright", 2, 0.7, 5.0))
    ]  # fmt: skip
    table = _tables(records)[-1]
    assert table.texts() == [
        ["linear", "3", "0.700", "0.250", "1.25", "1.00"],
        [CEILING, "3", "0.950", "0.000", "–", "–"],
    ]


def test_missing_figures_are_dashes_in_print_and_null_in_json():
    frame = pd.DataFrame([[None, np.nan, 0.12345]], ["row"], ["a", "b", "c"], dtype=object)
    table = Table("t", "n", frame)
    assert table.texts() == [["row", "–", "–", "0.123"]]
    assert table.plain()["rows"] == {"row": [None, None, 0.12345]}
    assert "| row | – | – | 0.123 |" in table.markdown()


def test_sets_are_told_apart():
    records = [_record(_case(pattern=pattern), "linear", 0.8) for pattern in ("plain", "bright")]
    titles = [t.title for t in _tables(records)]
    assert any(title.startswith("Plain patterns:") for title in titles)
    assert any(title.startswith("Bright patterns") for title in titles)
    assert not any(title.startswith("Held-out") for title in titles)
