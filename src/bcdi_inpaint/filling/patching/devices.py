"""Where networks are computed, and with which precision."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def choose_device(device: str) -> torch.device:
    """The CUDA device if there is one and it is asked for, else the CPU; under torchrun one for each
    process."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return torch.device(device)


def autocast(device: torch.device, *, enabled: bool = True) -> torch.autocast:
    """Mixed precision where the device computes in it: bf16 needs no loss scaling."""
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled and _has_bf16(device))


@cache
def _has_bf16(device: torch.device) -> bool:
    """Whether bf16 is computed, not emulated: on an AVX2 CPU a convolution in it takes 500 times as long."""
    if device.type != "cpu":
        return True
    # Torch has no public name for these.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001


def channels_last(features: Tensor) -> Tensor:
    """The memory layout in which 3-D convolutions run fastest."""
    return features.contiguous(memory_format=torch.channels_last_3d)
