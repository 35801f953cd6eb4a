"""Training: gaps, patches, the loss, a training that resumes, fine-tuning."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from bcdi_inpaint import inpaint
from bcdi_inpaint.filling.patching import finetune
from bcdi_inpaint.filling.patching.losses import loss
from bcdi_inpaint.filling.patching.network import CHANNELS, SOFTENING, PatchingNetwork
from bcdi_inpaint.filling.patching.patches import PATCHES_PER_VOLUME, Patches
from bcdi_inpaint.filling.patching.weights import load_model, save_model, trainings
from bcdi_inpaint.lab.simulate import simulate_scan
from bcdi_inpaint.lab.training import TrainingRecipe, read_recipe, train, write_artefacts
from bcdi_inpaint.lab.training.batches import blocks
from bcdi_inpaint.lab.training.curve import CurveRow, append_row, read_curve
from bcdi_inpaint.lab.training.gaps import draw_mask
from bcdi_inpaint.lab.training.loop import optimise
from bcdi_inpaint.lab.training.state import TrainingState
from bcdi_inpaint.lab.training.tasks import task_of
from bcdi_inpaint.lab.training.volumes import simulated_patches

if TYPE_CHECKING:
    from pathlib import Path

SMALL = TrainingRecipe(
    steps=2, batch=2, mixing=1, widths=(4, 4), precision="fp32", workers=0,
    validate_every=1, validation_volumes=1, warmup=1,
)  # fmt: skip


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_every_drawn_mask_leaves_something_to_learn_from(seed: int) -> None:
    mask = draw_mask(np.random.default_rng(seed), (64, 64, 64), (32, 30, 35))
    assert 0 < mask.mean() < 0.95


def test_drawn_gaps_are_of_every_kind() -> None:
    drawn = [draw_mask(np.random.default_rng(s), (64, 96, 96), (32, 48, 48)) for s in range(60)]
    widths = {int(m.mean(axis=(0, 2)).round().sum()) for m in drawn}
    assert {1, 2, 3} & widths
    assert {36, 37, 38, 39, 41} & widths
    assert any((m != m[0]).any() for m in drawn)


@pytest.fixture(scope="module")
def simulated() -> Patches:
    return simulated_patches(5)


@pytest.mark.slow
def test_patches_are_a_function_of_their_seed(simulated: Patches) -> None:
    again, another = simulated_patches(5), simulated_patches(6)
    for name in ("features", "start", "truth", "weight"):
        assert torch.equal(getattr(simulated, name), getattr(again, name))
    assert not torch.equal(simulated.truth, another.truth)


def test_patches_show_nothing_of_the_gap(simulated: Patches) -> None:
    measured, mask = simulated.features[:, 0], simulated.features[:, 2] > 0
    assert (measured[mask] == 0).all()
    assert mask[simulated.weight > 0].all()
    assert torch.isfinite(simulated.features).all()


def _patches(truth: torch.Tensor, start: float) -> Patches:
    shape = truth.shape
    return Patches(
        torch.zeros(shape[0], CHANNELS, *shape[1:]),
        torch.full(shape, start),
        truth,
        torch.ones(shape),
    )


def test_the_loss_is_least_at_the_expected_counts() -> None:
    torch.manual_seed(0)
    # A third of the mass in bright voxels: an expected log would lose more than half of the counts.
    truth = torch.distributions.Gamma(2.0, 0.5).sample((1, 16, 32, 32))
    mean = float(truth.mean())
    patches = _patches(truth, mean)

    def at(factor: float) -> float:
        output = torch.zeros(1, 2, *truth.shape[1:])
        output[:, 0] = np.log((factor * mean + SOFTENING) / (mean + SOFTENING))
        return float(loss(output, patches).deviance)

    factors = np.linspace(0.6, 1.4, 33)
    best = factors[int(np.argmin([at(f) for f in factors]))]
    assert best == pytest.approx(1.0, abs=0.06)


def test_the_likelihood_finds_the_shape() -> None:
    torch.manual_seed(0)
    shape = 5.0
    truth = torch.distributions.Gamma(shape, shape / 100.0).sample((1, 16, 32, 32)) - SOFTENING
    patches = _patches(truth, 100.0 - SOFTENING)

    def at(value: float) -> float:
        output = torch.zeros(1, 2, *truth.shape[1:])
        output[:, 1] = np.log(value) - 3.0
        return float(loss(output, patches).likelihood)

    values = np.array([1.0, 2.0, 3.5, 5.0, 7.0, 12.0, 30.0])
    assert values[int(np.argmin([at(v) for v in values]))] == shape


@pytest.mark.slow
def test_blocks_are_the_same_whenever_they_are_made() -> None:
    stream = blocks(SMALL)
    next(stream)
    from_the_start = [batch.truth for batch in next(stream)]
    resumed = [batch.truth for batch in next(blocks(SMALL, start=1))]
    assert all(torch.equal(a, b) for a, b in zip(from_the_start, resumed, strict=True))


def test_a_batch_that_overflows_does_not_spoil_the_weights() -> None:
    network = PatchingNetwork((4, 4))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    sound, before = (
        _patches(torch.full((1, 16, 16, 16), 5.0), start=3.0),
        network.head.bias.clone(),
    )
    spoilt = replace(sound, truth=torch.full_like(sound.truth, torch.inf))
    optimise(network, optimiser, spoilt, task_of(SMALL), SMALL)
    assert torch.equal(network.head.bias, before)
    optimise(network, optimiser, sound, task_of(SMALL), SMALL)
    assert not torch.equal(network.head.bias, before)
    assert all(p.isfinite().all() for p in network.parameters())


@pytest.mark.slow
def test_a_resumed_training_is_the_uninterrupted_one(tmp_path: Path) -> None:
    recipe = SMALL.model_copy(update={"steps": 3})
    whole = train(recipe, tmp_path / "whole", device="cpu")

    def kill_after_first(what: str, done: float, total: float = 1.0) -> None:
        if what.startswith("step"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "killed", device="cpu", progress=kill_after_first)
    resumed = train(recipe, tmp_path / "killed", device="cpu")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    steps = [row.step for row in read_curve(tmp_path / "killed")]
    assert steps == [row.step for row in read_curve(tmp_path / "whole")]


def test_training_writes_weights_that_fill(tmp_path: Path) -> None:
    network = train(SMALL, tmp_path, device="cpu")
    assert isinstance(network, PatchingNetwork)
    weights = write_artefacts(network, SMALL, tmp_path)
    model = load_model(str(weights), torch.device("cpu"))
    assert model.name == "patching"
    assert (tmp_path / "curve.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="another recipe"):
        train(SMALL.model_copy(update={"seed": 1}), tmp_path, device="cpu")


@pytest.mark.slow
def test_weights_say_which_trainings_came_before(tmp_path: Path) -> None:
    first, folder = tmp_path / "first.safetensors", tmp_path / "second"
    of_old_file = {"recipe": {"seed": 4}, "portions": 96, "curve": [{"step": 12}], "commit": "abc"}
    save_model(
        PatchingNetwork((4, 4)), first, {**of_old_file, "earlier": [{"seed": 3, "portions": 8}]}
    )
    recipe = SMALL.model_copy(update={"begin": str(first), "steps": 1})
    weights = write_artefacts(train(recipe, folder, device="cpu"), recipe, folder)
    first.unlink()
    model = load_model(str(weights), torch.device("cpu"))
    *earlier, latest = trainings(model.metadata)
    assert earlier == [
        {"seed": 3, "patches": 8},
        {"seed": 4, "steps": 12, "patches": 96, "commit": "abc"},
    ]
    assert (latest["seed"], latest["steps"], latest["patches"]) == (0, 1, 2)


def test_the_shipped_weights_say_all_their_trainings() -> None:
    had = trainings(load_model("patching", torch.device("cpu")).metadata)
    assert [training["seed"] for training in had] == [0, 1, 2, 4, 5, 6, 8, 21, 23]
    assert sum(training["patches"] for training in had) == 409_880  # as docs/model.md says


def test_older_checkpoints_and_curves_are_read(tmp_path: Path) -> None:
    def begun() -> TrainingState:
        return TrainingState.begin(SMALL, task_of(SMALL), torch.device("cpu"))

    path = tmp_path / "checkpoint.pt"
    state = begun()
    state.step, state.patches, state.validated = 7, 56, 5
    state.save(path)
    older = torch.load(path, weights_only=True)
    older["portions"], older["marked"] = older.pop("patches"), older.pop("validated")
    torch.save(older, path)
    resumed = begun()
    resumed.load(path, torch.device("cpu"))
    assert (resumed.step, resumed.patches, resumed.validated) == (7, 56, 5)

    row = CurveRow(9, 72, 0.4, 0.5, 0.6, 8.0)
    (tmp_path / "curve.csv").write_text(
        "step,portions,training,validation,start,seconds\n7,56,0.5,0.6,0.6,6.5\n"
    )
    append_row(row, tmp_path)
    assert read_curve(tmp_path) == [CurveRow(7, 56, 0.5, 0.6, 0.6, 6.5), row]


@pytest.mark.slow
def test_the_reference_is_trained_by_the_same_loop_and_fills(tmp_path: Path) -> None:
    recipe = TrainingRecipe(
        network="reference", width=9, steps=3, batch=4, mixing=1, workers=0,
        validate_every=1, validation_volumes=1,
    )  # fmt: skip
    assert (recipe.averaging, recipe.weight_decay) == (0.0, 0.0)
    network = train(recipe, tmp_path, device="cpu")
    weights = write_artefacts(network, recipe, tmp_path)
    assert weights.name == "reference_9px.safetensors"
    with safe_open(weights, framework="pt") as file:
        assert file.metadata()["patches"] == str(PATCHES_PER_VOLUME)
    curve = read_curve(tmp_path)
    assert curve[-1].validation < curve[0].baseline
    counts = simulate_scan(8, (48, 48, 48), peak_counts=1e5).counts
    mask = np.zeros((48, 48), bool)
    mask[20:29] = True
    filled = inpaint(counts, mask, "reference", skip=15, weights=str(tmp_path), self_check=False)
    assert (filled.intensity[:, mask] >= 0).all()
    mask[26:] = False
    with pytest.raises(ValueError, match=r'6 px gaps.*network = "reference" and width = 6'):
        inpaint(counts, mask, "reference", weights=str(tmp_path))


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(
        "\n".join(f"{k} = {_toml(v)}" for k, v in SMALL.model_dump().items())
    )
    script = (
        "import sys; from pathlib import Path; from bcdi_inpaint.lab.training import read_recipe, train; "
        "import torch, os; folder = Path(sys.argv[1]); "
        "network = train(read_recipe(folder / 'recipe.toml'), folder / 'run', device='cpu'); "
        "torch.save(network.state_dict(), folder / f'rank{os.environ[\"RANK\"]}.pt')"
    )
    (tmp_path / "two.py").write_text(script)
    subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", str(tmp_path / "two.py"), str(tmp_path),
        ],
        check=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True,
    )  # fmt: skip
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    trained = [name for name in first if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(first[name], second[name]) for name in trained)


def _toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(list(value) if isinstance(value, tuple) else value)


def test_a_recipe_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("steps = 100\nlearning_rate = 5e-4\n")
    assert read_recipe(path).steps == 100
    path.write_text("stesp = 100\n")
    with pytest.raises(ValueError, match=r"recipe\.toml: stesp: "):
        read_recipe(path)
    with pytest.raises(ValueError, match="can't be read"):
        read_recipe(tmp_path / "absent.toml")


def test_the_reference_learns_from_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('network = "reference"\nbegin = "patching"\n')
    with pytest.raises(ValueError, match=r"neither real scans nor other weights"):
        read_recipe(path)


@pytest.mark.slow
def test_fine_tuning_is_never_worse(tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = tmp_path / "small.safetensors"
    save_model(PatchingNetwork((8, 8)), start, {})
    counts = simulate_scan(8, (64, 72, 72), peak_counts=1e5).counts
    mask = np.zeros((72, 72), bool)
    mask[40:46] = True
    tuned = finetune(counts, mask, model=str(start), patches=40, epochs=2, seconds=30, device="cpu")
    assert tuned.after <= tuned.before
    assert tuned.improved
    tuned.save(tmp_path / "tuned.safetensors", raw_uid="abc")
    model = load_model(str(tmp_path / "tuned.safetensors"), torch.device("cpu"))
    assert model.metadata["raw_uid"] == "abc"


def test_fine_tuning_refuses_a_scan_without_room(tmp_path: Path) -> None:
    start = tmp_path / "small.safetensors"
    save_model(PatchingNetwork((8, 8)), start, {})
    counts = np.ones((64, 64, 64))
    mask = np.ones((64, 64), bool)
    mask[:4] = False
    with pytest.raises(ValueError, match="no room"):
        finetune(counts, mask, model=str(start))
