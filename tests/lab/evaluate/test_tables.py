from __future__ import annotations

import numpy as np
import pytest

from bcdi_inpaint.lab.evaluate import metrics, tables
from bcdi_inpaint.lab.evaluate.markdown import Table
from bcdi_inpaint.lab.evaluate.records import Case, Measures, Record, Results


def _case(seed: int = 0, width: int = 6, kind: str = "vertical", pattern: str = "plain") -> Case:
    return Case(pattern, seed, "cube", "none", 1e4, (4.0, 4.0, 3.0), False, kind, width, 10)


def _record(
    case: Case, method: str, pcc: float, *, mean: float = 5.0, scope: str = "volume", index: int = 0
) -> Record:
    sums = metrics.band_sums([2.0, 20.0], [1.5, 20.0])
    measures = Measures(100, mean, pcc, pcc, 0.95, 0.3, 0.68, 0.95, sums, sums)
    return Record(case, method, scope, index, measures, 1.0, 0.5)


def _row(table: Table, name: str) -> tuple:
    return dict(table.rows)[name]


def test_each_pattern_counts_once_however_many_portions_it_gave():
    records = [_record(_case(0), "linear", 0.8, scope="portion", index=i) for i in range(9)]
    records.append(_record(_case(1), "linear", 0.6, scope="portion"))
    table = tables._by_width(records, "", "", lambda m: m.pcc_counts, ceiling=True)
    assert _row(table, "linear") == (pytest.approx(0.7),)
    assert _row(table, tables.CEILING) == (pytest.approx(0.95),)


def test_crosses_have_columns_of_their_own_after_the_single_gaps():
    records = [
        _record(_case(width=w, kind=k), "linear", 0.8)
        for k in ("cross", "vertical")
        for w in (12, 3, 38)
    ]
    assert tables._columns(records) == ("3 px", "12 px", "38 px", "3+ px", "12+ px", "38+ px")


def test_portions_without_any_photon_are_left_out():
    records = [_record(_case(0), "linear", value) for value in (0.5, np.nan)]
    assert tables._mean(records, lambda m: m.pcc_counts) == 0.5
    assert tables._mean(records[1:], lambda m: m.pcc_counts) is None


def test_paper_bins_weigh_intensities_not_portions():
    """Nine dim portions and one bright: a plain mean would be nearly that of the dim ones."""
    records = [
        _record(_case(), "linear", 0.5, mean=1.0, scope="portion", index=i) for i in range(9)
    ]
    records.append(_record(_case(), "linear", 0.9, mean=np.e**19, scope="portion", index=9))
    found = tables._paper_mean(records, lambda m: m.pcc_counts)
    # Bins at log counts 0, 1, ... 19, each one wide on both sides: two at either end hold portions.
    assert found == pytest.approx(0.7)


def test_what_a_method_did_not_fill_is_said():
    records = [_record(_case(seed), "linear", 0.8) for seed in range(3)]
    records.append(_record(_case(0), "reference", 0.9))
    table = tables._by_width(records, "", "", lambda m: m.pcc_counts)
    assert "reference 6 px: 1 of 3 gaps" in table.note


def test_wins_are_counted_gap_by_gap():
    records = [_record(_case(seed), "kriging", 0.8) for seed in range(3)]
    records += [_record(_case(seed), "patching", 0.79 + 0.01 * seed) for seed in range(3)]
    assert _row(tables._better_than_kriging(records), "patching") == ("1 of 3",)


def test_counts_ratio_and_its_error_by_hand():
    sums = {
        _case(seed): metrics.BandSums(np.ones(6), np.full(6, filled), np.full(6, 10.0))
        for seed, filled in enumerate((9.0, 11.0, 10.0))
    }
    # Pooled 30 / 30; leaving one out gives 1.05, .95, 1.00: sqrt(2 * var) = sqrt(2 * .005 / 3).
    assert tables._ratios(sums)[0] == "1.00 ± 0.06"


def test_missing_figures_are_dashes_in_print_and_null_in_json():
    table = Table("t", "n", ("a", "b", "c"), (("row", (None, np.nan, 0.12345)),))
    assert table.texts() == [["row", "–", "–", "0.123"]]
    assert table.plain()["rows"] == {"row": [None, None, 0.12345]}
    assert "| row | – | – | 0.123 |" in table.markdown()


def test_sets_are_told_apart():
    records = [_record(_case(pattern=pattern), "linear", 0.8) for pattern in ("plain", "bright")]
    titles = [t.title for t in tables.make_tables(Results(records, [], {}))]
    assert any(title.startswith("Plain patterns:") for title in titles)
    assert any(title.startswith("Bright patterns") for title in titles)
    assert not any(title.startswith("Held-out") for title in titles)
