"""How far a training is: what its checkpoint holds."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bcdi_inpaint.atomic_writing import whole_file

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from .recipes import TrainingRecipe
    from .tasks import Task

_MODULES = ("network", "average", "optimiser")
_OLD_NAMES = {"portions": "patches", "marked": "validated"}
"""Names in older checkpoints -> today's."""


@dataclass(slots=True)
class TrainingState:
    """What a checkpoint holds: weights, their moving average, and how far the training is.

    Patches are those of all processes, seconds those of all sessions; `validated` is the step of the latest
    validation, `best` the least figure of any, `since_best` the number of validations since.
    """

    network: nn.Module
    average: AveragedModel
    optimiser: torch.optim.Optimizer
    step: int = 0
    block: int = 0
    patches: int = 0
    seconds: float = 0.0
    validated: int = 0
    best: float = float("inf")
    since_best: int = 0

    @classmethod
    def begin(cls, recipe: TrainingRecipe, task: Task, device: torch.device) -> TrainingState:
        """The state before the first step."""
        torch.manual_seed(recipe.seed)
        network = task.network().to(device)
        network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        average = AveragedModel(
            network,
            multi_avg_fn=get_ema_multi_avg_fn(recipe.averaging),  # type: ignore[no-untyped-call]
            use_buffers=True,
        )
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        return cls(network, average, optimiser)

    def save(self, path: Path) -> None:
        """Write a checkpoint, atomically."""
        content: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in _MODULES:
            content[name] = content[name].state_dict()
        with whole_file(path) as part:
            torch.save(content, part)

    def load(self, path: Path, device: torch.device) -> None:
        """Go on from a checkpoint."""
        content = torch.load(path, map_location=device, weights_only=True)
        for name in _MODULES:
            getattr(self, name).load_state_dict(content.pop(name))
        for name, value in content.items():
            setattr(self, _OLD_NAMES.get(name, name), value)

    def set_learning_rate(self, recipe: TrainingRecipe, done: float) -> None:
        """Linear warm-up, then a cosine to 0 over the share of the training that is done."""
        warm = min((self.step + 1) / max(recipe.warmup, 1), 1.0)
        rate = recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
