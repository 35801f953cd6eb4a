"""The study's results on disk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bcdi_inpaint.lab.evaluate.downstream.results import (
    GapFacts,
    Inverse,
    Ledger,
    Line,
    Reconstruction,
)

START = Reconstruction("bench", "9 px", "1", "patching", "old", 0, 1.0, 0.1, 0.1, 0.1, 0.1)
PATCHING = [
    GapFacts("9 px", "1", "patching", "old", 0.01, 0.2, 0.3),
    START,
    replace(START, start=1),
]
FREE = [replace(START, fill="free", weights="", start=start) for start in (0, 1)]
INVERSE = Inverse("1", "linear", "", 1e4, 6, 0.3, 0.1)
WRITTEN = """\
{"kind": "Inverse", "object": "0", "fill": "linear", "weights": "", "peak_counts": 4492400.0, \
"distance": 6, "phase_std_gap": 0.30028, "phase_std_fill": 0.053742}
{"kind": "Reconstruction", "engine": "cohere", "scene": "9 px", "object": "40000", "fill": "zero", \
"weights": "", "start": 0, "merit": 0.0015469, "complex_l2": 0.1223, "modulus_rmse": 0.091685, \
"phase_std": 0.070544, "strain_rmse": 0.073006}
"""


def _everything(_line: Line) -> bool:
    return True


def test_results_of_other_weights_are_dropped(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(path, 2, _everything).add(*PATCHING, *FREE)
    kept = Ledger(path, 2, lambda line: line.weights != "old")
    assert kept.lines == FREE
    assert len(path.read_text().splitlines()) == 2


def test_a_result_that_was_cut_off_by_a_kill_is_made_again(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path, 2, _everything)
    ledger.add(*FREE, INVERSE)
    before = path.stat().st_size
    ledger.add(*PATCHING)
    written = path.read_text()
    facts, start = written.index("\n", before) + 1, written.rindex("\n", 0, -1) + 1
    for size in (before + 1, facts, facts + 1, start, start + 1, len(written) - 1):
        path.write_text(written[:size])
        gone_on = Ledger(path, 2, _everything)
        assert gone_on.lines == [*FREE, INVERSE]
        gone_on.add(*PATCHING)
        assert path.read_text() == written


def test_lines_of_earlier_runs_are_read(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text(WRITTEN)
    ledger = Ledger(path, 1, _everything)
    assert [line.key for line in ledger.of(Reconstruction)] == [("cohere", "9 px", "40000", "zero")]
    assert [line.ratio for line in ledger.of(Inverse)] == [pytest.approx(5.587, abs=1e-3)]
    assert path.read_text() == WRITTEN
