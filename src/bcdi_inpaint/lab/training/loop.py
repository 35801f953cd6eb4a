"""Training: a loop that can be killed at any moment and goes on where it was."""

from __future__ import annotations

import math
import os
import time
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed, nn
from torch.distributed.algorithms.join import Join
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bcdi_inpaint.atomic_writing import whole_file
from bcdi_inpaint.filling.patching.devices import autocast, channels_last, choose_device
from bcdi_inpaint.progress import no_progress

from .batches import blocks
from .courses import course
from .curve import CurveRow, append_row
from .recipes import TrainingRecipe

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from bcdi_inpaint.filling.patching.patches import Portions
    from bcdi_inpaint.progress import Progress

    from .courses import Course

VALIDATION_SEEDS = 10**6
"""First seed of the validation volumes, of the evaluation split; benches use small seeds."""

HELD_OUT_SHARE = 0.2
"""Of the minutes that a training has, at most for making held-out volumes."""


@dataclass(slots=True)
class _State:
    """What a checkpoint holds."""

    network: nn.Module
    average: AveragedModel
    optimiser: torch.optim.Optimizer
    step: int = 0
    block: int = 0
    portions: int = 0
    seconds: float = 0.0
    marked: int = 0
    best: float = float("inf")
    since_best: int = 0

    def save(self, path: Path) -> None:
        held: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("network", "average", "optimiser"):
            held[name] = held[name].state_dict()
        with whole_file(path) as part:
            torch.save(held, part)

    def load(self, path: Path, device: torch.device) -> None:
        held = torch.load(path, map_location=device, weights_only=True)
        for name in ("network", "average", "optimiser"):
            getattr(self, name).load_state_dict(held.pop(name))
        for name, value in held.items():
            setattr(self, name, value)


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
        Gets ``checkpoint.pt``, ``curve.csv``, ``recipe.json``.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    minutes
        End after this time at the latest; the learning rate then falls so as to end with it.
    progress
        Told the figures of each validation, and the share of the training that is done.

    Returns
    -------
    network
        With averaged weights, in evaluation mode, on the CPU.

    Raises
    ------
    ValueError
        If `folder` holds a training by another recipe.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    target = choose_device(device)
    if world > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if target.type == "cuda" else "gloo")
    torch.backends.cudnn.benchmark = target.type == "cuda"
    folder.mkdir(parents=True, exist_ok=True)
    _keep_recipe(recipe, folder)
    taught = course(recipe)
    state = _begin(recipe, taught, target)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        state.load(checkpoint, target)
    model: nn.Module = DistributedDataParallel(state.network) if world > 1 else state.network
    clock = _Clock(state.seconds, minutes)
    held_out = _held_out(recipe, taught, str(target), clock) if rank == 0 else []
    start = _validate(None, held_out, taught, recipe)
    recent: list[Tensor] = []

    def mark() -> None:
        state.seconds = clock.seconds()
        row = _mark(state, taught, recipe, held_out, recent, start)
        recent.clear()
        state.save(checkpoint)
        append_row(row, folder)
        progress(row.line(taught.shown, taught.start), share_done())

    def share_done() -> float:
        return _agree(max(state.step / recipe.steps, clock.share()), target, world)

    def late() -> bool:
        return world == 1 and clock.share() >= 1

    if rank == 0 and not checkpoint.exists():
        mark()  # whatever happens, there are weights and a curve
    stream = blocks(
        recipe, start=state.block, device=str(target), rank=rank, world=world, late=late
    )
    done = share_done()
    while done < 1 and not _agree(float(state.since_best >= recipe.patience), target, world):
        _set_learning_rate(state, recipe, done)
        # Processes may have unequal numbers of batches in a block.
        with Join([model]) if isinstance(model, DistributedDataParallel) else nullcontext():
            for batch in next(stream):
                recent.append(_step(model, state.optimiser, batch.to(target), taught, recipe))
                state.average.update_parameters(state.network)
                state.step += 1
                state.portions += len(batch.start) * world
                if late() or (world == 1 and state.step >= recipe.steps):
                    break
        state.block += 1
        done = share_done()
        if rank == 0 and (done >= 1 or state.step - state.marked >= recipe.validate_every):
            mark()
    network: nn.Module = state.average.module
    return network.to("cpu").eval()


class _Clock:
    """Seconds of training over all sessions, and the share of this session's minutes."""

    def __init__(self, before: float, minutes: float | None) -> None:
        self._before, self._minutes, self._began = before, minutes, time.monotonic()

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._began

    def share(self) -> float:
        if self._minutes is None:
            return 0.0
        return (time.monotonic() - self._began) / (60 * self._minutes)


def _held_out(recipe: TrainingRecipe, taught: Course, device: str, clock: _Clock) -> list[Portions]:
    """Held-out volumes, as many as `HELD_OUT_SHARE` of the time makes; at least one."""
    held_out: list[Portions] = []
    for seed in range(VALIDATION_SEEDS, VALIDATION_SEEDS + recipe.validation_volumes):
        if held_out and clock.share() > HELD_OUT_SHARE:
            break
        held_out.append(taught.held_out(seed, device))
    return held_out


def _begin(recipe: TrainingRecipe, taught: Course, device: torch.device) -> _State:
    torch.manual_seed(recipe.seed)
    network = taught.network().to(device)
    network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    average = AveragedModel(
        network,
        multi_avg_fn=get_ema_multi_avg_fn(recipe.averaging),  # type: ignore[no-untyped-call]
        use_buffers=True,
    )
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    return _State(network, average, optimiser)


def _step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Portions,
    taught: Course,
    recipe: TrainingRecipe,
) -> Tensor:
    model.train()
    with autocast(batch.features.device, enabled=recipe.precision == "bf16"):
        output = model(channels_last(batch.features))
    lesson = taught.lesson(output, batch)
    optimiser.zero_grad()
    lesson.minimised.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    if norm.isfinite():  # a batch that overflows must not spoil the weights
        optimiser.step()
    return lesson.shown.detach()


def _validate(
    network: nn.Module | None, held_out: list[Portions], taught: Course, recipe: TrainingRecipe
) -> float:
    """What the course shows on held-out portions, of a network or (None) of what it starts from."""
    if not held_out:
        return float("nan")
    total = 0.0
    with torch.inference_mode():
        for portions in held_out:
            if network is None:
                output = taught.nothing_learned(portions)
            else:
                network.eval()
                with autocast(portions.features.device, enabled=recipe.precision == "bf16"):
                    output = network(channels_last(portions.features))
            total += float(taught.lesson(output, portions).shown)
    return total / len(held_out)


def _mark(
    state: _State,
    taught: Course,
    recipe: TrainingRecipe,
    held_out: list[Portions],
    recent: list[Tensor],
    start: float,
) -> CurveRow:
    """Validate the averaged weights."""
    state.marked = state.step
    validation = _validate(state.average.module, held_out, taught, recipe)
    state.since_best = 0 if validation < state.best else state.since_best + 1
    state.best = min(validation, state.best)
    training = float(torch.stack(recent).mean()) if recent else float("nan")
    return CurveRow(
        state.step, state.portions, training, validation, start, round(state.seconds, 1)
    )


def _set_learning_rate(state: _State, recipe: TrainingRecipe, done: float) -> None:
    warm = min((state.step + 1) / max(recipe.warmup, 1), 1.0)
    rate = recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    for group in state.optimiser.param_groups:
        group["lr"] = rate


def _agree(value: float, device: torch.device, world: int) -> float:
    """The largest of all processes' values."""
    if world == 1:
        return value
    shared = torch.tensor(value, device=device)
    distributed.all_reduce(shared, distributed.ReduceOp.MAX)
    return float(shared)


def _keep_recipe(recipe: TrainingRecipe, folder: Path) -> None:
    path = folder / "recipe.json"
    if path.exists() and TrainingRecipe.model_validate_json(path.read_text()) != recipe:
        raise ValueError(
            f"{folder} holds a training by another recipe ({path}): take another folder, or that recipe"
        )
    path.write_text(recipe.model_dump_json(indent=2))
