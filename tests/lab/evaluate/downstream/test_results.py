"""The study's results on disk."""

from __future__ import annotations

import pytest

from bcdi_inpaint.lab.evaluate.downstream.results import StudyStore, firsts

ERRORS = {"complex_l2": 0.1, "modulus_rmse": 0.1, "phase_std": 0.1, "strain_rmse": 0.1}
OF_PATCHING = {"scene": "9 px", "object": "1", "fill": "patching", "weights": "old"}
START = {
    "kind": "Reconstruction",
    "engine": "bench",
    **OF_PATCHING,
    "start": 0,
    "merit": 1.0,
    **ERRORS,
}
PATCHING = [
    {"kind": "GapFacts", **OF_PATCHING, "share": 0.01, "doubt": 0.2, "residual": 0.3},
    START,
    {**START, "start": 1},
]
FREE = [{**START, "fill": "free", "weights": "", "start": start} for start in (0, 1)]
INVERSE = {
    "kind": "Inverse",
    "object": "1",
    "fill": "linear",
    "weights": "",
    "peak_counts": 1e4,
    "distance": 6,
    "phase_std_gap": 0.3,
    "phase_std_fill": 0.1,
}
WRITTEN = """\
{"kind": "Inverse", "object": "0", "fill": "linear", "weights": "", "peak_counts": 4492400.0, \
"distance": 6, "phase_std_gap": 0.30028, "phase_std_fill": 0.053742}
{"kind": "Reconstruction", "engine": "cohere", "scene": "9 px", "object": "40000", "fill": "zero", \
"weights": "", "start": 0, "merit": 0.0015469, "complex_l2": 0.1223, "modulus_rmse": 0.091685, \
"phase_std": 0.070544, "strain_rmse": 0.073006}
"""


def _everything(_entry: dict) -> bool:
    return True


def test_results_of_other_weights_are_dropped(tmp_path):
    path = tmp_path / "ledger.jsonl"
    StudyStore(path, 2, _everything).add(*PATCHING, *FREE)
    kept = StudyStore(path, 2, lambda entry: entry["weights"] != "old")
    assert kept.entries == FREE
    assert len(path.read_text().splitlines()) == 2


def test_a_result_that_was_cut_off_by_a_kill_is_made_again(tmp_path):
    path = tmp_path / "ledger.jsonl"
    store = StudyStore(path, 2, _everything)
    store.add(*FREE, INVERSE)
    before = path.stat().st_size
    store.add(*PATCHING)
    written = path.read_text()
    facts, start = written.index("\n", before) + 1, written.rindex("\n", 0, -1) + 1
    for size in (before + 1, facts, facts + 1, start, start + 1, len(written) - 1):
        path.write_text(written[:size])
        gone_on = StudyStore(path, 2, _everything)
        assert gone_on.entries == [*FREE, INVERSE]
        gone_on.add(*PATCHING)
        assert path.read_text() == written


def test_lines_of_earlier_runs_are_read(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text(WRITTEN)
    store = StudyStore(path, 1, _everything)
    assert store.keys() == {
        ("true phases", "cross", "0", "linear"),
        ("cohere", "9 px", "40000", "zero"),
    }
    (inverse,) = store.of("Inverse").to_dict("records")
    assert inverse["phase_std_gap"] / inverse["phase_std_fill"] == pytest.approx(5.587, abs=1e-3)
    assert path.read_text() == WRITTEN


def test_the_start_of_the_best_merit_ranks_first(tmp_path):
    store = StudyStore(tmp_path / "ledger.jsonl", 1, _everything)
    merits = {("free", 0): 2.0, ("free", 1): 1.0, ("zero", 0): 0.5, ("zero", 1): 3.0}
    store.add(*({**START, "fill": f, "start": s, "merit": m} for (f, s), m in merits.items()))
    best = firsts(store.of("Reconstruction")).set_index("fill")["start"]
    assert best.to_dict() == {"free": 1, "zero": 0}
