from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from rich.console import Console

from bcdi_inpaint.filling import METHODS, Inpainted, Report
from bcdi_inpaint.filling.patching.network import PatchingNetwork
from bcdi_inpaint.filling.patching.weights import save_model
from bcdi_inpaint.lab.evaluate import Request, cases, config, evaluate
from bcdi_inpaint.lab.evaluate import measuring as bench
from bcdi_inpaint.lab.evaluate.config import Config
from bcdi_inpaint.lab.evaluate.journal import Journal
from bcdi_inpaint.lab.evaluate.networks import learned
from bcdi_inpaint.lab.evaluate.patterns import simulated
from bcdi_inpaint.lab.evaluate.request import weights_by_name
from bcdi_inpaint.lab.evaluate.tables import make_tables

if TYPE_CHECKING:
    from bcdi_inpaint.lab.evaluate.records import Results

SHAPE = (40, 96, 96)
SMALL = Config(
    methods=("nearest", "linear"),
    patterns={"plain": 2},
    shape=SHAPE,
    narrow=(6, 9),
    wide=(38,),
    portions=3,
)


def _quiet(_what: str, _share: float) -> None:
    pass


def _figures(results: Results) -> list[tuple]:
    return [(r.case, r.method, r.scope, r.index, repr(r.measures)) for r in results.records]


@pytest.fixture(scope="module")
def results():
    return bench.run(SMALL, _quiet)


def test_every_method_fills_every_gap(results):
    volumes = [r for r in results.records if r.scope == "volume"]
    gaps = [(kind, width) for kind in ("vertical", "cross") for width in (6, 9, 38)]
    assert len(volumes) == 2 * 2 * len(gaps)
    assert {(r.case.kind, r.case.width) for r in volumes} == set(gaps)
    assert len(results.real_space) == 2 * 2
    assert not results.refusals


def test_a_run_is_a_function_of_its_seeds(results):
    again = bench.run(replace(SMALL, narrow=(9,), wide=(), patterns={"plain": 1}), _quiet)
    wanted = {figure[:4]: figure[4] for figure in _figures(results)}
    assert len(again.records) > 4
    for *key, measures in _figures(again):
        assert wanted[tuple(key)] == measures


def test_a_run_that_was_killed_goes_on_where_it_was(results, tmp_path):
    path = tmp_path / "out" / "unfinished.jsonl"

    def killed(what: str, share: float) -> None:
        if share >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(SMALL, killed, Journal(path, "this run", "abc"))
    with path.open("a") as file:
        file.write('{"name": "plain 10001", "resul')
    journal = Journal(path, "this run", "def")
    assert (list(journal), journal.begun) == (["plain 10000"], "abc")
    shares = []
    resumed = bench.run(SMALL, lambda _, share: shares.append(share), journal)
    assert min(shares) == 0.5

    def without_times(found: Results) -> list[str]:
        return [t.markdown() for t in make_tables(found) if "seconds" not in t.title]

    assert without_times(resumed) == without_times(results)
    assert list(Journal(path, "this run", "")) == ["plain 10000", "plain 10001"]
    with pytest.raises(ValueError, match=r"unfinished\.jsonl is of an unfinished evaluation"):
        Journal(path, "another run", "")


def test_nothing_under_the_gap_is_shown_to_a_method(monkeypatch):
    seen = []

    def spy(stack, mask, *arguments, **options):
        seen.append(stack[:, mask])
        return real(stack, mask, *arguments, **options)

    real = config.inpaint
    monkeypatch.setattr(config, "inpaint", spy)
    bench.run(replace(SMALL, methods=("nearest",), patterns={"plain": 1}, wide=()), _quiet)
    assert len(seen) == 4
    assert not any(hidden.any() for hidden in seen)


@pytest.fixture(scope="module")
def pattern():
    (recipe,) = cases.recipes("plain", 1, SHAPE)
    return simulated(replace(recipe, peak_counts=1e6))


def _as_fill(intensity: np.ndarray, mask: np.ndarray) -> Inpainted:
    report = Report("perfect", int(mask.sum()), float(mask.mean()), 0.0)
    return Inpainted(intensity, np.zeros(intensity.shape, np.float32), mask, report)


def test_a_perfect_predictor_reaches_the_ceiling_and_kriging_stays_between(pattern):
    plane = SHAPE[1:]
    gap = cases.place_gap("vertical", 6, 10, pattern.peak[1:], plane, np.random.default_rng(0))
    mask = gap.mask(plane)
    missing = np.broadcast_to(mask, SHAPE)
    perfect = bench._measure(_as_fill(pattern.rate, missing), pattern, missing)
    assert perfect.pcc_counts == perfect.ceiling < 1
    assert perfect.pcc_rate == pytest.approx(1)
    assert perfect.r_amp == 0
    assert perfect.cover_68 == perfect.cover_95 == 1
    for sums in (perfect.by_fill, perfect.by_rate):
        np.testing.assert_allclose(sums.ratio[np.array(sums.true) > 0], 1)
    hidden = np.where(missing, 0, pattern.counts)
    measured = {
        method: bench._measure(SMALL.inpaint(hidden, mask, method), pattern, missing)
        for method in ("nearest", "kriging")
    }
    assert measured["nearest"].pcc_counts < measured["kriging"].pcc_counts < perfect.ceiling
    assert 0 < measured["kriging"].r_amp < measured["nearest"].r_amp


def test_real_space_errors_of_the_bench(results):
    for found in results.real_space:
        assert found.case.width == 9
        assert found.errors.phase_std_gap > 0
        assert found.errors.phase_ratio > 0.3


def test_a_method_that_cannot_fill_a_gap_is_told_apart_from_one_that_fills_it_badly():
    wide = replace(
        SMALL,
        methods=("nearest", "reference"),
        patterns={"plain": 1},
        kinds=("vertical",),
        narrow=(),
        wide=(38,),
    )
    found = bench.run(wide, _quiet)
    assert {r.method for r in found.records} == {"nearest"}
    (refusal,) = found.refusals
    assert refusal.method == "reference"
    assert "38 px" in refusal.words


def _scan(seed: int = 0) -> np.ndarray:
    """A peak, another crystal's brighter one, and a hot pixel."""
    grid = np.indices((40, 110, 110)).astype(float)

    def peak(centre: tuple[int, int, int], height: float) -> np.ndarray:
        offsets = grid - np.array(centre).reshape(3, 1, 1, 1)
        return height * np.exp(-np.sqrt((offsets**2).sum(axis=0)) / 5)

    rate = peak((20, 55, 60), 3000) + peak((10, 15, 20), 9000) + 0.3
    counts = np.random.default_rng(seed).poisson(rate)
    counts[:, 70, 50] += 200
    return counts.astype(np.int32)


def test_measured_scan(tmp_path):
    np.savez(tmp_path / "scan.npz", data=_scan())
    out = tmp_path / "tables"
    console = Console(record=True, width=200)
    found = evaluate(
        Request(
            methods=("linear",),
            quick=True,
            data=tmp_path / "scan.npz",
            avoid=((15, 20),),
            widths=(12,),
            shape=(40, 110, 110),
            out=out,
            command="bcdi-inpaint evaluate --data scan.npz",
        ),
        console,
    )
    volumes = [r for r in found.results.records if r.scope == "volume"]
    assert {r.case.peak_counts for r in volumes} == {float(_scan()[20, 55, 60])}
    assert {r.case.kind for r in volumes} == {"vertical", "horizontal"}
    assert {r.case.pattern for r in volumes} == {"anchors", "measured"}
    assert all(np.isnan(r.measures.pcc_rate) for r in volumes)
    # The neighbour's columns, 16 px around (15, 20), are not judged; neither is the hot pixel.
    over_alien = [r for r in volumes if r.case.width == 12 and r.case.distance == 24]
    assert min(r.measures.voxels for r in over_alien) < 40 * 110 * 12
    assert max(r.measures.mean for r in volumes) < 100
    text = (out / "tables.md").read_text()
    assert "`bcdi-inpaint evaluate --data scan.npz`; data scan.npz" in text
    assert "noise ceiling" in text
    with (out / "scores.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(found.results.records)
    assert {path.name for path in out.glob("*.png")} == {
        "anchors-counts.png",
        "measured-counts.png",
    }
    assert "noise ceiling" in console.export_text()


def test_simulated_run_as_the_command_does_it(tmp_path):
    console = Console(record=True, width=200)
    evaluate(
        Request(
            methods=("linear",),
            quick=True,
            patterns=1,
            shape=SHAPE,
            out=tmp_path,
            command="bcdi-inpaint evaluate --quick",
        ),
        console,
    )
    written = json.loads((tmp_path / "tables.json").read_text())
    assert written["provenance"]["command"] == "bcdi-inpaint evaluate --quick"
    assert "plain from 10000 on (1 patterns)" in written["provenance"]["seeds"]
    first = written["tables"][0]
    assert first["columns"] == ["3 px", "6 px", "9 px", "12 px", "38 px"]
    assert all(
        linear < ceiling
        for linear, ceiling in zip(
            first["rows"]["linear"], first["rows"]["noise ceiling"], strict=True
        )
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        "tables.md",
        "tables.json",
        "scores.csv",
        "bands.csv",
        "fringes.png",
        "plain-counts.png",
        "plain-oversampling.png",
        "held-out-counts.png",
        "held-out-oversampling.png",
        "bright-counts.png",
        "bright-oversampling.png",
    }


def test_two_weights_are_compared_in_one_run(tmp_path):
    ours = [tmp_path / folder / "mine.safetensors" for folder in ("early", "late")]
    for seed, path in enumerate(ours):
        path.parent.mkdir()
        network = PatchingNetwork((8, 8))  # begins as one that changes nothing
        rng = torch.Generator().manual_seed(seed)
        for weights in network.parameters():
            weights.data += 0.03 * torch.randn(weights.shape, generator=rng)
        save_model(network, path, {"portions": seed})
    small = Request(("patching",), quick=True, widths=(6,), patterns=1, shape=SHAPE)
    both = evaluate(replace(small, models=tuple(map(str, ours))), Console(quiet=True))
    late = evaluate(replace(small, models=(str(ours[1]),)), Console(quiet=True))
    names = ["patching (early/mine)", "patching (late/mine)"]
    *_, summary = both.tables
    figures = {name: cells[:-1] for name, cells in summary.rows}
    assert list(figures) == [*names, "noise ceiling"]
    assert figures[names[0]] != figures[names[1]]
    assert figures[names[1]] == late.tables[-1].rows[0][1][:-1]
    assert [name for name in names if any(name[:-1] in remark for remark in both.remarks)] == names


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (["mine.safetensors"], ["patching"]),
        (["a/x.safetensors", "a/y.safetensors"], ["patching (x)", "patching (y)"]),
        (["a/x.safetensors", "b/x.safetensors"], ["patching (a/x)", "patching (b/x)"]),
        (["a/c/x.safetensors", "b/c/x.safetensors", "patching"],
         ["patching (a/c/x.safetensors)", "patching (b/c/x.safetensors)", "patching (patching)"]),
    ],
)  # fmt: skip
def test_weights_have_names_as_short_as_tells_them_apart(models, names):
    assert list(weights_by_name(models)) == names


def test_the_end_of_a_run_is_one_line_for_each_method_and_where_the_tables_are(tmp_path):
    console = Console(record=True, width=100)
    small = Request(("linear", "nearest"), patterns=1, widths=(6, 38), shape=SHAPE, out=tmp_path)
    evaluate(small, console)
    end = console.export_text().partition("Summary")[2].splitlines()
    rows = [line for line in end if line.startswith("│")]
    assert [row.split()[1] for row in rows] == ["linear", "nearest", "noise"]
    assert end[-1] == f"all tables: {tmp_path / 'tables.md'}"
    assert len(end) < 16


def test_quick_compares_the_default_method_with_all_that_ship():
    assert Request(quick=True).config().methods == METHODS


def test_scans_with_gaps_are_refused(tmp_path):
    counts = _scan().astype(np.uint32)
    counts[:, 30:34] = 2**32 - 1
    np.savez(tmp_path / "scan.npz", data=counts)
    with pytest.raises(ValueError, match=r"scan\.npz has 17600 flagged voxels"):
        evaluate(Request(methods=("linear",), data=tmp_path / "scan.npz"), Console(quiet=True))


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (Request(methods=("bilinear",)), "'bilinear' is unknown; there are .*kriging"),
        (Request(methods=("linear",), widths=(64,)), "takes 1 to 63 px"),
        (Request(methods=("patching",), models=("nowhere.safetensors",)), "nowhere.safetensors"),
        (Request(models=("patching", "gone.safetensors")), "gone.safetensors"),
        (Request(models=("patching", "patching")), "named twice"),
    ],
)
def test_methods_that_cannot_run_are_refused_before_anything_else(request_, says):
    with pytest.raises(ValueError, match=says):
        evaluate(request_, Console(quiet=True))


def test_networks_say_how_much_they_have_seen(tmp_path):
    from safetensors.torch import save_file

    model = tmp_path / "mine.safetensors"
    save_model(PatchingNetwork((8, 8)), model, {"portions": 1234})
    save_file(
        {"weight": torch.zeros(1)}, tmp_path / "reference_9px.safetensors", {"portions": "77"}
    )
    weighed = replace(
        SMALL,
        methods=("patching", "reference"),
        options={"patching": {"model": str(model)}, "reference": {"weights": tmp_path}},
    )
    patching, published = learned(weighed)
    assert patching.startswith("patching (mine, sha256 ")
    assert patching.endswith("1234 patches")
    assert published == "reference, 9 px: the network has seen 77 patches"


def test_a_table_says_the_command_however_it_was_started(monkeypatch):
    for started in ("/usr/bin/bcdi-inpaint", "/site-packages/bcdi_inpaint/__main__.py"):
        monkeypatch.setattr("sys.argv", [started, "evaluate", "--data", "my scan.npz"])
        assert Request().command == "bcdi-inpaint evaluate --data 'my scan.npz'"
