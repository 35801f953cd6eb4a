"""Training: a loop that can be killed at any moment and goes on where it was."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from bcdi_inpaint.atomic_writing import whole_file
from bcdi_inpaint.filling.patching.devices import autocast, channels_last, choose_device
from bcdi_inpaint.filling.patching.weights import load_model, trainings
from bcdi_inpaint.progress import no_progress

from .artefacts import EARLIER
from .batches import blocks
from .curve import CurveRow, append_row
from .processes import Processes
from .recipes import TrainingRecipe
from .state import TrainingState
from .tasks import task_of

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from bcdi_inpaint.filling.patching.patches import Patches
    from bcdi_inpaint.progress import Progress

    from .tasks import Task

VALIDATION_SEEDS = 10**6
"""First seed of the validation volumes, of the evaluation split; benches use small seeds."""

VALIDATION_SHARE = 0.2
"""Of the minutes that a training has, at most for making validation volumes."""


def train(
    recipe: TrainingRecipe,
    folder: Path,
    *,
    device: str = "auto",
    minutes: float | None = None,
    progress: Progress = no_progress,
) -> nn.Module:
    """Train a network, or go on with the training in `folder`.

    Under ``torchrun`` every process takes its share of the data and gradients are averaged.

    Parameters
    ----------
    recipe
        Decides the result; with ``precision="fp32"`` bit for bit on one CPU.
    folder
        Gets ``checkpoint.pt``, ``curve.csv``, ``recipe.json``, ``earlier.json``.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    minutes
        End after this time at the latest; the learning rate then falls so as to end with it.
    progress
        Called with the figures of the latest validation, and the share of the training that is done.

    Returns
    -------
    network
        With averaged weights, in evaluation mode, on the CPU.

    Raises
    ------
    ValueError
        If `folder` holds a training by another recipe.
    FileNotFoundError
        If a measured scan of the recipe is not there.
    """
    for scan in recipe.real:
        if not scan.exists():
            raise FileNotFoundError(f"the measured scan {scan} is not there")
    target = choose_device(device)
    torch.backends.cudnn.benchmark = target.type == "cuda"
    folder.mkdir(parents=True, exist_ok=True)
    _keep_recipe(recipe, folder)
    processes, task = Processes.join(target), task_of(recipe)
    state = TrainingState.begin(recipe, task, target)
    training = _Training(recipe, task, folder, state, processes, _Clock(minutes), progress)
    if training.checkpoint.exists():
        state.load(training.checkpoint, target)
        training.clock.seconds_before = state.seconds
    training.run()
    network: nn.Module = state.average.module
    return network.to("cpu").eval()


@dataclass(slots=True)
class _Clock:
    """Seconds of training over all sessions, and the share of this session's minutes."""

    minutes: float | None
    seconds_before: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began

    def share(self) -> float:
        return (time.monotonic() - self.began) / (60 * self.minutes) if self.minutes else 0.0


@dataclass(slots=True)
class _Training:
    """One session of a training.

    Attributes
    ----------
    validation, baseline
        Held-out patches, and the figure of the untrained network on them; none but in the first process.
    recent
        The figures of the steps since the latest validation.
    line
        The latest validation in words.
    """

    recipe: TrainingRecipe
    task: Task
    folder: Path
    state: TrainingState
    processes: Processes
    clock: _Clock
    progress: Progress
    validation: list[Patches] = field(default_factory=list)
    baseline: float = float("nan")
    recent: list[Tensor] = field(default_factory=list)
    line: str = "making training data"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def run(self) -> None:
        """Train until steps, minutes or patience are used up."""
        recipe, state, processes = self.recipe, self.state, self.processes
        if processes.rank == 0:
            self._make_validation()
            if not self.checkpoint.exists():
                self._validate()  # whatever happens, there are weights and a curve
            self.progress(self.line, self._share_done())
        model = processes.parallel(state.network)
        stream = blocks(
            recipe,
            start=state.block,
            device=str(processes.device),
            rank=processes.rank,
            world=processes.world,
            time_is_over=self._time_is_over,
        )
        done = processes.largest(self._share_done())
        while done < 1 and not processes.largest(float(state.since_best >= recipe.patience)):
            state.set_learning_rate(recipe, done)
            with processes.uneven(model):
                for batch in next(stream):
                    self._step(model, batch)
                    if self._ends_within_block():
                        break
            state.block += 1
            done = processes.largest(self._share_done())
            if processes.rank == 0:
                if done >= 1 or state.step - state.validated >= recipe.validate_every:
                    self._validate()
                self.progress(self.line, done)

    def _share_done(self) -> float:
        return max(self.state.step / self.recipe.steps, self.clock.share())

    def _time_is_over(self) -> bool:
        # Several processes end together, after a block.
        return self.processes.world == 1 and self.clock.share() >= 1

    def _ends_within_block(self) -> bool:
        return self.processes.world == 1 and self._share_done() >= 1

    def _step(self, model: nn.Module, batch: Patches) -> None:
        state, processes = self.state, self.processes
        batch = batch.to(processes.device)
        self.recent.append(optimise(model, state.optimiser, batch, self.task, self.recipe))
        state.average.update_parameters(state.network)
        state.step += 1
        state.patches += len(batch.start) * processes.world

    def _make_validation(self) -> None:
        """Held-out volumes, as many as `VALIDATION_SHARE` of the time makes; at least one."""
        for seed in range(VALIDATION_SEEDS, VALIDATION_SEEDS + self.recipe.validation_volumes):
            if self.validation and self.clock.share() > VALIDATION_SHARE:
                break
            self.progress("making held-out volumes", self._share_done())
            self.validation.append(self.task.validation_patches(seed, str(self.processes.device)))
        self.baseline = self._figure(None)

    def _figure(self, network: nn.Module | None) -> float:
        """The task's figure on held-out patches, of a network or (None) of the baseline."""
        total = 0.0
        with torch.inference_mode():
            for patches in self.validation:
                if network is None:
                    output = self.task.baseline_output(patches)
                else:
                    output = predict(network.eval(), patches, self.recipe)
                total += float(self.task.loss(output, patches).figure)
        return total / len(self.validation)

    def _validate(self) -> None:
        """Validate the averaged weights; write a checkpoint and a row of the curve."""
        state = self.state
        state.seconds, state.validated = self.clock.seconds(), state.step
        validation = self._figure(state.average.module)
        state.since_best = 0 if validation < state.best else state.since_best + 1
        state.best = min(validation, state.best)
        training = float(torch.stack(self.recent).mean()) if self.recent else float("nan")
        self.recent.clear()
        state.save(self.checkpoint)
        seconds = round(state.seconds, 1)
        row = CurveRow(state.step, state.patches, training, validation, self.baseline, seconds)
        append_row(row, self.folder)
        self.line = row.line(self.task)


def predict(network: nn.Module, patches: Patches, recipe: TrainingRecipe) -> Tensor:
    """The network's output, in the recipe's precision."""
    with autocast(patches.features.device, enabled=recipe.precision == "bf16"):
        return network(channels_last(patches.features))  # type: ignore[no-any-return]


def optimise(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Patches,
    task: Task,
    recipe: TrainingRecipe,
) -> Tensor:
    """Make one step; returns the task's figure."""
    terms = task.loss(predict(model.train(), batch, recipe), batch)
    optimiser.zero_grad()
    terms.minimised.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    if norm.isfinite():  # a batch that overflows must not spoil the weights
        optimiser.step()
    return terms.figure.detach()


def _keep_recipe(recipe: TrainingRecipe, folder: Path) -> None:
    """Note in the folder what is trained, and which trainings the first weights have had."""
    path, earlier = folder / "recipe.json", folder / EARLIER
    if path.exists() and TrainingRecipe.model_validate_json(path.read_text()) != recipe:
        raise ValueError(
            f"{folder} holds a training by another recipe ({path}): take another folder, or that recipe"
        )
    if recipe.begin and not earlier.exists():
        first = load_model(recipe.begin, torch.device("cpu"))
        with whole_file(earlier) as part:
            part.write_text(json.dumps(trainings(first.metadata), indent=2))
    with whole_file(path) as part:
        part.write_text(recipe.model_dump_json(indent=2))
