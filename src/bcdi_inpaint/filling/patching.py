"""The patching model: a network's correction to a quick kriging, over whole bands in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from .kriging import LogField, krige
from .poisson import rate_of_mean_log

if TYPE_CHECKING:
    from torch import Tensor

ITERATIONS = 8
"""Of the kriging that the network starts from; the rest it learns."""

MARGIN = 24
"""Voxels of surroundings that the network is shown."""


def starting_field(stack: Tensor, mask: Tensor, iterations: int = ITERATIONS) -> LogField:
    """The kriged field that the network corrects."""
    return krige(stack, mask, iterations)


def starting_rate(field: LogField) -> Tensor:
    """Expected counts of the kriged field, uncertainty left aside."""
    rate = rate_of_mean_log(field.value.cpu().numpy())
    return torch.from_numpy(rate.astype(np.float32)).to(field.value.device)
