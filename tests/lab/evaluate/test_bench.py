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
from bcdi_inpaint.lab.evaluate import Request, cases, evaluate, evaluation, request, requested
from bcdi_inpaint.lab.evaluate import measuring as bench
from bcdi_inpaint.lab.evaluate.patterns import simulated
from bcdi_inpaint.lab.evaluate.records import SCORES, Results
from bcdi_inpaint.lab.evaluate.request import weights_by_name
from bcdi_inpaint.lab.evaluate.store import Store
from bcdi_inpaint.lab.evaluate.tables import make_tables
from bcdi_inpaint.lab.evaluate.weights import patches_seen
from bcdi_inpaint.lab.evaluate.writing import Provenance
from bcdi_inpaint.progress import no_progress

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (40, 96, 96)
SMALL = Request(
    methods=("nearest", "linear"),
    patterns={"plain": 2},
    shape=SHAPE,
    widths=(6, 9, 38),
    patches=3,
)


def _run(wanted: Request) -> Results:
    store = Store()
    bench.run(wanted, no_progress, store)
    return Results.of(store.entries)


@pytest.fixture(scope="module")
def results():
    return _run(SMALL)


@pytest.mark.slow
def test_every_method_fills_every_gap(results):
    volumes = results.records[results.records["scope"] == "volume"]
    gaps = [(kind, width) for kind in ("vertical", "cross") for width in (6, 9, 38)]
    assert len(volumes) == 2 * 2 * len(gaps)
    assert set(zip(volumes["kind"], volumes["width"], strict=True)) == set(gaps)
    assert len(results.real_space) == 2 * 2
    assert results.refusals.empty


def test_a_run_is_a_function_of_its_seeds(results):
    again = _run(replace(SMALL, widths=(9,), patterns={"plain": 1})).records
    wanted = results.records.query("width == 9 and seed == 10000")
    assert len(again) > 4
    by = ["kind", "method", "scope", "index"]
    figures = [c for c in SCORES if "seconds" not in c and c not in by]
    figures += [c for c in again if c.startswith("by_")]
    for found, expected in zip(
        again.sort_values(by)[figures].to_dict("records"),
        wanted.sort_values(by)[figures].to_dict("records"),
        strict=True,
    ):
        assert repr(found) == repr(expected)


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_where_it_was(results, tmp_path):
    path = tmp_path / "unfinished.jsonl"
    made = Provenance("", "", "", "abc", "", "")
    stored = replace(SMALL, out=tmp_path)

    def unfinished(wanted: Request = stored, commit: str = "abc") -> Store:
        return evaluation._unfinished(wanted, remarks, replace(made, commit=commit))

    def killed(what: str, done: float, total: float = 1.0) -> None:
        if done >= 0.5:
            raise KeyboardInterrupt

    remarks: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        bench.run(stored, killed, unfinished())
    with path.open("a") as file:
        file.write('{"name": "plain 10001", "resul')
    store = unfinished(commit="def")
    assert [entry.get("name") for entry in store.entries] == [None, "plain 10000"]
    assert remarks.pop() == "the run began with commit abc"
    shares = []
    bench.run(stored, lambda _, done, *__: shares.append(done), store)
    assert min(shares) == 0.5

    def without_times(found: Results) -> list[str]:
        return [t.markdown() for t in make_tables(found)[:-1] if "seconds" not in t.title]

    assert without_times(Results.of(store.entries)) == without_times(results)
    names = [entry.get("name") for entry in unfinished().entries]
    assert names == [None, "plain 10000", "plain 10001"]
    with pytest.raises(ValueError, match=r"unfinished\.jsonl is of an unfinished evaluation"):
        unfinished(replace(stored, widths=(6,)))


def test_nothing_under_the_gap_is_shown_to_a_method(monkeypatch):
    seen = []

    def spy(stack, mask, *arguments, **options):
        seen.append(stack[:, mask])
        return real(stack, mask, *arguments, **options)

    real = request.inpaint  # type: ignore[attr-defined]
    monkeypatch.setattr(request, "inpaint", spy)
    _run(replace(SMALL, methods=("nearest",), patterns={"plain": 1}, widths=(6, 9)))
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
    perfect = bench._measure_gap(_as_fill(pattern.rate, missing), pattern, missing)
    assert perfect["pcc_counts"] == perfect["ceiling"] < 1
    assert perfect["pcc_rate"] == pytest.approx(1)
    assert perfect["r_amp"] == 0
    assert perfect["cover_68"] == perfect["cover_95"] == 1
    for sums in (perfect["by_fill"], perfect["by_rate"]):
        np.testing.assert_allclose(sums["filled"], sums["true"])
    hidden = np.where(missing, 0, pattern.counts)
    nearest, kriging = (
        bench._measure_gap(SMALL.inpaint(hidden, mask, method), pattern, missing)
        for method in ("nearest", "kriging")
    )
    assert nearest["pcc_counts"] < kriging["pcc_counts"] < perfect["ceiling"]
    assert 0 < kriging["r_amp"] < nearest["r_amp"]


def test_real_space_errors_of_the_bench(results):
    found = results.real_space
    assert set(found["width"]) == {9}
    assert (found["phase_std_gap"] > 0).all()
    assert (found["phase_std_gap"] / found["phase_std_fill"] > 0.3).all()


def test_a_method_that_cannot_fill_a_gap_is_told_apart_from_one_that_fills_it_badly():
    wide = replace(
        SMALL,
        methods=("nearest", "reference"),
        patterns={"plain": 1},
        kinds=("vertical",),
        widths=(38,),
    )
    found = _run(wide)
    assert set(found.records["method"]) == {"nearest"}
    ((method, words),) = found.refusals.itertuples(index=False)
    assert method == "reference"
    assert "38 px" in words


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


@pytest.mark.slow
def test_measured_scan(tmp_path):
    np.savez(tmp_path / "scan.npz", data=_scan())
    out = tmp_path / "tables"
    console = Console(record=True, width=200)
    found = evaluate(
        requested(
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
    volumes = found.results.records.query("scope == 'volume'")
    assert set(volumes["peak_counts"]) == {float(_scan()[20, 55, 60])}
    assert set(volumes["kind"]) == {"vertical", "horizontal"}
    assert set(volumes["pattern"]) == {"anchors", "measured"}
    assert volumes["pcc_rate"].isna().all()
    # The neighbour's columns, 16 px around (15, 20), are not judged; neither is the hot pixel.
    over_alien = volumes.query("width == 12 and distance == 24")
    assert over_alien["voxels"].min() < 40 * 110 * 12
    assert volumes["mean"].max() < 100
    text = (out / "tables.md").read_text()
    assert "`bcdi-inpaint evaluate --data scan.npz`; data scan.npz" in text
    assert "noise ceiling" in text
    with (out / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.results.records)
    assert list(rows[0]) == SCORES
    with (out / "bands.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6 * len(volumes)
    assert {path.name for path in out.glob("*.png")} == {
        "anchors-counts.png",
        "measured-counts.png",
    }
    assert "noise ceiling" in console.export_text()


@pytest.mark.slow
def test_simulated_run_as_the_command_does_it(tmp_path):
    console = Console(record=True, width=200)
    evaluate(
        requested(
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
    # At the end: one line for each method, and where the tables are.
    end = console.export_text().partition("Summary")[2].splitlines()
    rows = [line.split()[1] for line in end if line.startswith("│")]
    assert rows == ["linear", "noise"]
    assert end[-1] == f"all tables: {tmp_path / 'tables.md'}"
    assert len(end) < 16


@pytest.mark.slow
def test_two_weights_are_compared_in_one_run(tmp_path):
    ours = [tmp_path / folder / "mine.safetensors" for folder in ("early", "late")]
    for seed, path in enumerate(ours):
        path.parent.mkdir()
        network = PatchingNetwork((8, 8))  # begins as one that changes nothing
        rng = torch.Generator().manual_seed(seed)
        for weights in network.parameters():
            weights.data += 0.03 * torch.randn(weights.shape, generator=rng)
        save_model(network, path, {"portions": seed})

    def found(*models: Path) -> evaluation.Evaluation:
        wanted = requested(methods=("patching",), quick=True, models=[str(m) for m in models])
        small = replace(wanted, patterns={"plain": 1}, widths=(6,), shape=(40, 64, 64))
        return evaluate(small, Console(quiet=True))

    both, late = found(*ours), found(ours[1])
    names = ["patching (early/mine)", "patching (late/mine)"]
    figures = {name: cells[:-1] for name, *cells in both.tables[-1].texts()}
    assert list(figures) == [*names, "noise ceiling"]
    assert figures[names[0]] != figures[names[1]]
    assert figures[names[1]] == late.tables[-1].texts()[0][1:-1]
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


def test_quick_compares_the_default_method_with_all_that_ship():
    assert requested(quick=True).usual == METHODS


@pytest.mark.slow
def test_gaps_of_the_scan_itself_are_masked_and_not_judged(tmp_path):
    counts = _scan().astype(np.uint32)
    counts[:, 30:34] = counts[3, 80:82, 40] = 2**32 - 1
    np.savez(tmp_path / "scan.npz", data=counts)
    wanted = replace(SMALL, methods=("linear",), widths=(3,), shape=(40, 110, 110))
    wanted = replace(wanted, data=tmp_path / "scan.npz", avoid=((15, 20),))
    found = evaluate(wanted, Console(quiet=True)).results.records.query("scope == 'volume'")
    # Four rows are flagged in all frames, two pixels in one.
    vertical = found.query("kind == 'vertical'")
    assert vertical["voxels"].max() == 40 * 3 * 106
    horizontal = found.query("kind == 'horizontal'")
    assert 0 < horizontal["voxels"].min() < 40 * 110 < horizontal["voxels"].max()
    assert found["mean"].max() < 1e3
    assert np.isfinite(found["r_amp"]).all()


def test_a_scan_that_is_flagged_everywhere_is_refused(tmp_path):
    np.savez(tmp_path / "scan.npz", data=np.full((8, 40, 40), 2**32 - 1, np.uint32))
    with pytest.raises(ValueError, match=r"scan\.npz: every pixel is flagged"):
        evaluate(Request(("linear",), data=tmp_path / "scan.npz"), Console(quiet=True))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"methods": ("bilinear",)}, "'bilinear' is unknown; there are .*kriging"),
        ({"methods": ("linear",), "widths": (64,)}, "takes 1 to 63 px"),
        ({"methods": ("patching",), "models": ["nowhere.safetensors"]}, "nowhere.safetensors"),
        ({"models": ["gone.safetensors", "patching"]}, "gone.safetensors"),
        ({"models": ["patching", "patching"]}, "named twice"),
    ],
)
def test_methods_that_cannot_run_are_refused_before_anything_else(words, says):
    with pytest.raises(ValueError, match=says):
        evaluate(requested(**words), Console(quiet=True))


def test_where_no_method_fills_any_gap_the_reason_is_said():
    wide = Request(("reference",), patterns={"plain": 1}, widths=(38,), shape=SHAPE)
    with pytest.raises(ValueError, match="reference"):
        evaluate(wide, Console(quiet=True))


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
    patching, published = patches_seen(weighed)
    assert patching.startswith("patching (mine, sha256 ")
    assert patching.endswith("1234 patches")
    assert published == "reference, 9 px: the network has seen 77 patches"


def test_a_table_says_the_command_however_it_was_started(monkeypatch):
    for started in ("/usr/bin/bcdi-inpaint", "/site-packages/bcdi_inpaint/__main__.py"):
        monkeypatch.setattr("sys.argv", [started, "evaluate", "--data", "my scan.npz"])
        assert Request().command == "bcdi-inpaint evaluate --data 'my scan.npz'"
