"""Conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

Linear = Callable[["Tensor"], "Tensor"]

CLOSE = 3e-4
"""Share of the squared residual at which the iteration ends."""


def solve(operator: Linear, right: Tensor, steps: int, condition: Linear = torch.clone) -> Tensor:
    """Solve ``operator(x) = right``.

    Parameters
    ----------
    operator
        Symmetric and positive definite.
    right
        Of any shape.
    steps
        Applications of `operator`, at most.
    condition
        Preconditioner: approximately the operator's inverse, symmetric and positive definite.
    """
    solution = torch.zeros_like(right)
    remainder = right.clone()
    smooth = condition(remainder)
    direction = smooth.clone()
    size = (remainder * smooth).sum()
    enough = CLOSE * size
    for _ in range(steps):
        if size <= enough:
            break
        image = operator(direction)
        step = size / (direction * image).sum().clamp_min(1e-20)
        solution += step * direction
        remainder -= step * image
        smooth = condition(remainder)
        previous, size = size, (remainder * smooth).sum()
        direction = smooth + size / previous.clamp_min(1e-20) * direction
    return solution
