"""The command line: what it prints, and how it fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from bcdi_inpaint import detector, inpaint
from bcdi_inpaint.cli import app, files
from bcdi_inpaint.export.file_formats import FORMATS
from bcdi_inpaint.scans import from_file

ROI = "240:270,244:274"
MASK = detector("maxipix_2x2").mask(roi=((240, 270), (244, 274)))


@pytest.fixture
def stack() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.where(MASK, 0, rng.poisson(20, (10, 30, 30))).astype(np.uint16)


@pytest.fixture
def scan(tmp_path: Path, stack: np.ndarray) -> Path:
    np.savez(tmp_path / "scan.npz", data=stack, theta=np.arange(10.0))
    return tmp_path / "scan.npz"


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def filled_by_hand(stack: np.ndarray) -> np.ndarray:
    return inpaint(stack, MASK, "linear").intensity


FILL = ("--detector", "maxipix_2x2", "--roi", ROI, "--method", "linear")


def test_version_and_help() -> None:
    assert run("--version").output.startswith("bcdi-inpaint ")
    listed = run("--help").output
    for command in ("fill", "demo", "detectors", "info"):
        assert command in listed


def test_fill_writes_what_inpaint_gives(scan: Path, stack: np.ndarray, tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    result = run("fill", scan, target, *FILL)
    assert result.exit_code == 0, result.output
    with np.load(target) as out:
        np.testing.assert_array_equal(out["intensity"], filled_by_hand(stack))
        np.testing.assert_array_equal(out["mask"], np.broadcast_to(MASK, stack.shape))
        np.testing.assert_array_equal(out["theta"], np.arange(10.0))
        assert (out["sigma"][out["mask"]] > 0).all()
        assert '"method": "linear"' in str(out["report"])
    assert "linear" in result.output
    assert f"written to {target}" in result.output


def read_back(path: Path) -> np.ndarray:
    match path.suffix:
        case ".npy":
            return np.load(path)
        case ".tif":
            return tifffile.imread(path)
        case ".cxi":
            with h5py.File(path) as file:
                return file["entry_1/data_1/data"][()]
        case _:
            with h5py.File(path) as file:
                return file["entry/data/intensity"][()]


@pytest.mark.parametrize("extension", ["npy", "tif", "h5", "nxs", "cxi"])
def test_fill_writes_other_formats(extension, scan: Path, stack, tmp_path: Path) -> None:
    target = tmp_path / f"out.{extension}"
    result = run("fill", scan, target, *FILL)
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(read_back(target), filled_by_hand(stack))


@pytest.mark.parametrize("extension", ["npy", "tif", "h5", "cxi"])
def test_fill_reads_other_formats(extension, stack: np.ndarray, tmp_path: Path) -> None:
    source, target = tmp_path / f"in.{extension}", tmp_path / "out.npy"
    if extension == "npy":
        np.save(source, stack)
    elif extension == "tif":
        tifffile.imwrite(source, stack)
    else:
        with h5py.File(source, "w") as file:
            file["entry/data/frames"] = stack
            file["entry/other"] = stack[0]
    result = run("fill", source, target, *FILL)
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(np.load(target), filled_by_hand(stack))


def test_fill_takes_a_mask_file_of_either_polarity(scan: Path, stack, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", MASK)
    np.save(tmp_path / "keep.npy", ~MASK)
    for arguments in (("mask.npy",), ("keep.npy", "--mask-keeps")):
        result = run(
            "fill", scan, tmp_path / "out.npy", "--mask", tmp_path / arguments[0], *arguments[1:],
            "--method", "linear", "--force",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), filled_by_hand(stack))


def test_fill_can_rely_on_flags_alone(stack: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.where(MASK, 65535, stack).astype(np.uint16))
    result = run(
        "fill", tmp_path / "in.npy", tmp_path / "out.npy", "--flags-only", "--method", "linear"
    )
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), filled_by_hand(stack))


def test_fill_hands_options_to_the_method(scan: Path, stack, tmp_path: Path) -> None:
    arguments = [*FILL[:-1], "inverse_distance", "--option", "reach=3", "--option", "exponent=4"]
    assert run("fill", scan, tmp_path / "out.npy", *arguments).exit_code == 0
    expected = inpaint(stack, MASK, "inverse_distance", reach=3, exponent=4).intensity
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)


@pytest.mark.parametrize("option", ["self_check=false", "self_check=False", "twin=0", "device=cpu"])
def test_fill_refuses_what_is_no_option_of_the_method(
    scan: Path, tmp_path: Path, option: str
) -> None:
    out = run("fill", scan, tmp_path / "out.npz", *FILL, "--option", option)
    assert out.exit_code == 2
    assert f"option '{option.partition('=')[0]}' is unknown to method 'linear'" in out.stderr
    assert not (tmp_path / "out.npz").exists()


def test_fill_can_leave_check_and_twin_out(scan: Path, tmp_path: Path) -> None:
    out = run("fill", scan, tmp_path / "out.npz", *FILL, "--no-self-check", "--no-twin")
    assert out.exit_code == 0
    assert "self-check" not in out.stdout


def test_finetune_says_before_any_work_what_weights_must_be_called(
    scan: Path, tmp_path: Path
) -> None:
    out = run("finetune", scan, tmp_path / "weights.pt", "--detector", "maxipix_2x2")
    assert out.exit_code == 2
    assert "must end in .safetensors" in " ".join(out.stderr.replace("│", "").split())


@pytest.mark.slow
def test_finetune_writes_nothing_where_nothing_got_better(scan: Path, tmp_path: Path) -> None:
    weights = tmp_path / "tuned.safetensors"
    out = run("finetune", scan, weights, *FILL[:4], "--seconds", "1")
    if out.exit_code == 0:
        assert weights.is_file()
    else:
        assert out.exit_code == 1, out.output
        assert "no better than before, so nothing is written" in out.stderr
        assert not weights.exists()


@pytest.mark.slow
def test_a_training_leaves_weights_however_short_it_is_and_goes_on_without_its_recipe(
    tmp_path: Path,
) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text("widths = [8, 8]\nworkers = 0\nvalidation_volumes = 2\nmixing = 2\n")
    folder = tmp_path / "training"
    out = run("train", folder, "--recipe", recipe, "--minutes", "0.01", "--device", "cpu")
    assert out.exit_code == 0, out.output
    assert (folder / "patching.safetensors").is_file()
    first = (folder / "curve.csv").read_text()
    again = run("train", folder, "--minutes", "0.01", "--device", "cpu")
    assert again.exit_code == 0, again.output
    assert (folder / "curve.csv").read_text().startswith(first)


def test_fill_replaces_a_file_only_if_told(scan: Path, stack, tmp_path: Path) -> None:
    target = tmp_path / "out.npy"
    target.write_text("precious")
    refused = run("fill", scan, target, *FILL)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert target.read_text() == "precious"
    assert run("fill", scan, target, *FILL, "--force").exit_code == 0
    np.testing.assert_array_equal(np.load(target), filled_by_hand(stack))


BAD = {
    "no such file": (["fill", "nowhere.npz", "out.npy", *FILL], "nowhere.npz"),
    "unreadable file": (["fill", "broken.h5", "out.npy", *FILL], "broken.h5"),
    "unknown extension": (["fill", "scan.npz", "out.mat", *FILL], "must end in .npz"),
    "no folder": (["fill", "scan.npz", "deep/out.npy", *FILL], "no folder deep"),
    "onto itself": (["fill", "scan.npz", "scan.npz", *FILL, "--force"], "raw file itself"),
    "unknown detector": (["fill", "scan.npz", "out.npy", "--detector", "maxipx"], "maxipix"),
    "wrong frame": (["fill", "scan.npz", "out.npy", "--detector", "maxipix_2x2"], "30 x 30"),
    "mask of another shape": (["fill", "scan.npz", "out.npy", "--mask", "small.npy"], "(3, 3)"),
    "nothing left": (["fill", "scan.npz", "out.npy", "--mask", "all.npy"], "nothing to fill from"),
    "unknown dataset": (["fill", "scan.npz", "out.npy", *FILL, "--dataset", "x"], "'x'"),
    "unknown method": (["fill", "scan.npz", "out.npy", *FILL[:-1], "lineer"], "mean linear"),
    "unknown option": (["fill", "scan.npz", "out.npy", *FILL, "--option", "a=1"], "'a'"),
    "unknown key": (["detectors", "pilatsu_1m"], "pilatus_1m"),
    "demo of no file": (["demo", "--scan", "nowhere.npz"], "nowhere.npz"),
    "demo without gaps": (["demo", "--detector", "eiger2_500k"], "no gap"),
    "demo of a large scan": (["demo", "--scan", "large.npz"], "don't fit"),
}


@pytest.mark.filterwarnings("ignore:.*pixels are missing:UserWarning")
@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments, said: str, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.h5").write_bytes(b"not HDF5")
    np.save("small.npy", np.eye(3, dtype=bool))
    np.save("all.npy", np.ones((30, 30), bool))
    np.savez("large.npz", data=np.ones((8, 600, 4), np.int16))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert line.startswith("error: ")
    assert said in line
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fill", "a.npz", "b.npz", "--roi", "1:2"], "ROW0:ROW1,COL0:COL1"),
        (["fill", "a.npz", "b.npz", "--option", "reach"], "NAME=VALUE"),
        (["fill", "a.npz", "b.npz", "--flags-only", "--detector", "x"], "--detector"),
        (["fil"], "fill"),
    ],
)
def test_bad_usage_is_explained(arguments, said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_half_written_file_is_never_left(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(file, _array: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full_disk)
    result = run("fill", scan, tmp_path / "out.npy", *FILL)
    assert result.exit_code == 2
    assert "No space left" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["scan.npz"]


@pytest.mark.slow
def test_a_process_ends_with_the_exit_code_and_debug_shows_the_traceback(tmp_path: Path) -> None:
    for debug in ([], ["--debug"]):
        done = subprocess.run(
            [Path(sys.executable).with_name("bcdi-inpaint"), *debug, "detectors", "nothing_known"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ("Traceback" in done.stderr) == bool(debug)
        assert done.stdout == ""
        if not debug:
            assert done.returncode == 2
            assert done.stderr.count("\n") == 1


def test_detectors_are_listed_and_shown() -> None:
    listed = run("detectors").output
    assert "maxipix_2x2" in listed
    assert "516 x 516" in listed
    shown = run("detectors", "maxipix_2x2").output
    assert "255:261" in shown
    assert "6156 pixels" in shown


def test_info_names_versions_and_methods() -> None:
    shown = run("info").output
    for name in ("tiled", "torch", "kriging", "CPU"):
        assert name in shown


def test_a_recipe_for_the_reference_takes_no_real_scans(scan: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('network = "reference"\nwidth = 6\n')
    result = run("train", tmp_path / "run", "--recipe", recipe, "--real", scan)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.endswith(
        "recipe.toml: the reference network takes neither real scans nor other weights"
    )


def test_evaluate_says_which_weights_are_missing(tmp_path: Path) -> None:
    result = run("evaluate", "--method", "reference", "--reference", tmp_path, "--skip", 15)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f"{tmp_path}/reference_3px.safetensors is not there" in line
    assert "bcdi-inpaint train" in line


def test_evaluate_compares_as_many_weights_as_are_named(tmp_path: Path) -> None:
    models = ("--model", "patching", "--model", tmp_path / "mine.safetensors")
    result = run("evaluate", "--quick", "--method", "patching", *models)
    assert result.exit_code == 2
    assert f"--model '{tmp_path}/mine.safetensors' is not there" in result.stderr
    result = run("evaluate", "--downstream", *models)
    assert result.exit_code == 2
    assert "--downstream takes one --model" in result.stderr


def test_a_tiled_that_is_not_there_is_named(free_port, monkeypatch) -> None:
    where = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("BCDI_INPAINT_TILED__URI", where)
    result = run("catch-up")
    assert result.exit_code == 2
    assert f"Tiled at {where} can't be reached" in result.output


def test_energy_and_distance_are_kept_in_what_is_written(scan: Path, tmp_path: Path) -> None:
    said = ("--energy", "9000", "--distance", "0.85")
    for name in ("out.npz", "out.cxi", "out.nxs"):
        result = run("fill", scan, tmp_path / name, *FILL, *said)
        assert result.exit_code == 0, result.output
        known = from_file(tmp_path / name).metadata
        assert known.energy == pytest.approx(9000)
        assert known.distance == 0.85
        assert known.pixel_size == (55e-6, 55e-6)


def test_a_filled_npz_is_read_back_as_it_was(scan: Path, stack, tmp_path: Path) -> None:
    assert run("fill", scan, tmp_path / "out.npz", *FILL).exit_code == 0
    again = from_file(tmp_path / "out.npz")
    np.testing.assert_array_equal(again.frames, filled_by_hand(stack))
    np.testing.assert_array_equal(again.mask, MASK)
    np.testing.assert_array_equal(again.angles, np.arange(10.0))
    assert again.metadata.roi == ((240, 270), (244, 274))


def test_binned_frames_have_binned_gaps(tmp_path: Path) -> None:
    known = detector("maxipix_2x2")
    stack = np.random.default_rng(0).poisson(9, (8, 258, 258)).astype(np.int32)
    np.save(tmp_path / "in.npy", stack)
    result = run(
        "fill", tmp_path / "in.npy", tmp_path / "out.npz", "--detector", "maxipix_2x2", "--binning", "2",
        "--method", "nearest", "--no-self-check",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["mask"][0], known.mask(binning=(2, 2)))


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("cohere", {"phasing_data/data.tif"}),
        ("cdiutils", {"Sscan_pynx_input_data.npz", "Sscan_pynx_input_mask.npz"}),
        ("pynx", {"Sscan.cxi", "run_pynx.py"}),
    ],
)
def test_other_programs_get_a_folder(kind: str, written: set, scan: Path, tmp_path: Path) -> None:
    target = tmp_path / "experiment"
    result = run("fill", scan, target, *FILL, "--format", kind)
    assert result.exit_code == 0, result.output
    there = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert written <= there
    refused = run("fill", scan, target, *FILL, "--format", kind)
    assert refused.exit_code == 2
    assert "is not empty; --force" in refused.stderr


@pytest.mark.parametrize("gaps", ["hard", "free", "auto"])
def test_what_is_chosen_for_the_gap_is_said_and_done(
    gaps: str, scan: Path, stack, tmp_path: Path
) -> None:
    result = run("fill", scan, tmp_path / "out.cxi", *FILL, "--gaps", gaps)
    assert result.exit_code == 0, result.output
    chosen = gaps if gaps != "auto" else "free"  # linear interpolation of noise is not trusted
    assert f"{chosen}: phase retrieval" in result.stdout
    with h5py.File(tmp_path / "out.cxi") as file:
        masked = file["entry_1/instrument_1/detector_1/mask"][()].astype(bool)
    assert masked.any() == (chosen == "free")


def test_gaps_that_make_no_difference_are_refused(scan: Path, tmp_path: Path) -> None:
    result = run("fill", scan, tmp_path / "out.tif", *FILL, "--gaps", "hard")
    assert result.exit_code == 2
    assert "it is for cxi, pynx, pynx-npz, cdiutils" in result.stderr


@pytest.mark.slow
def test_a_picture_lies_beside_out_or_where_it_is_told(scan: Path, tmp_path: Path) -> None:
    result = run("fill", scan, tmp_path / "out.npy", *FILL, "--plot", "--force")
    assert result.exit_code == 0, result.output
    assert plt.imread(tmp_path / "out.npy.png").shape[2] in (3, 4)
    result = run("fill", scan, tmp_path / "out.npy", *FILL, "--force", f"--plot={tmp_path}/p.svg")
    assert result.exit_code == 0, result.output
    assert "<svg" in (tmp_path / "p.svg").read_text()


def test_without_a_screen_a_picture_is_refused_before_any_work(scan: Path, tmp_path: Path) -> None:
    plt.switch_backend("agg")
    result = run("fill", scan, tmp_path / "out.npy", *FILL, "--show")
    assert result.exit_code == 2
    assert "no screen" in result.stderr
    assert not (tmp_path / "out.npy").exists()


def test_a_doubt_is_said_once_and_no_bar_goes_into_a_pipe(scan: Path, tmp_path: Path) -> None:
    out = run("fill", scan, tmp_path / "out.npy", *FILL).stdout
    assert out.count("doubtful") == 1
    assert out.startswith("stack")


@pytest.mark.parametrize("command", ["fill", "evaluate", "train", "demo", "finetune", "serve"])
def test_help_shows_flags_as_flags(command: str) -> None:
    assert "bool" not in run(command, "--help").output


@pytest.mark.slow
def test_options_by_their_old_names_are_still_taken(tmp_path: Path) -> None:
    for arguments in (["evaluate", "--data"], ["train", tmp_path / "folder", "--real"]):
        for name in (arguments[-1], "--scan"):
            result = run(*arguments[:-1], name, tmp_path / "nowhere.npz")
            assert result.exit_code == 2
            assert "nowhere.npz" in result.stderr


def test_an_error_about_a_detector_names_the_commands_options(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.ones((8, 1043, 981), np.int16))
    result = run("fill", tmp_path / "in.npy", tmp_path / "out.npy")
    assert result.exit_code == 2
    for option in ("--detector", "--mask", "--flags-only"):
        assert option in result.stderr
    assert "=" not in result.stderr


def test_the_help_names_all_formats() -> None:
    assert set(files.FORMATS.replace(" or ", ", ").split(", ")) == set(FORMATS)
