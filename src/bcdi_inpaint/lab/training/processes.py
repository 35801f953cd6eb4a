"""The processes that train one network: this one alone, or those that ``torchrun`` started."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed, nn
from torch.distributed.algorithms.join import Join
from torch.nn.parallel import DistributedDataParallel

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class Processes:
    """This process, number `rank` of the `world` that train the network; number 0 validates and writes."""

    device: torch.device
    rank: int
    world: int

    @classmethod
    def join(cls, device: torch.device) -> Processes:
        """Connect with the other processes, if there are any."""
        rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        if world > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(device, rank, world)

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network, with gradients averaged over all processes."""
        return DistributedDataParallel(network) if self.world > 1 else network

    def uneven(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Around steps whose number may differ from process to process."""
        return Join([model]) if isinstance(model, DistributedDataParallel) else nullcontext()

    def largest(self, value: float) -> float:
        """The largest of all processes' values."""
        if self.world == 1:
            return value
        shared = torch.tensor(value, device=self.device)
        distributed.all_reduce(shared, distributed.ReduceOp.MAX)
        return float(shared)
