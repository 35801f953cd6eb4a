"""Where and how networks are computed in training."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def choose_device(device: str) -> torch.device:
    """A CUDA device if there is one and it is wanted, else the CPU; under torchrun one a process."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return torch.device(device)


def autocast(device: torch.device, *, enabled: bool = True) -> torch.autocast:
    """Mixed precision: bf16 needs no loss scaling, and recent CPUs have it too."""
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def channels_last(features: Tensor) -> Tensor:
    """The memory layout in which 3-D convolutions run fastest."""
    return features.contiguous(memory_format=torch.channels_last_3d)
