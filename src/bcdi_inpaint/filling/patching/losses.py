"""What training minimises."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from .network import SOFTENING, expectation

if TYPE_CHECKING:
    from torch import Tensor

    from .patches import Patches

STEEPEST = 2.0
"""Beyond this log ratio the deviance is linear, so that rare large errors don't dominate training."""

LEAST = 0.01
"""Added to kriging's deviance before it divides: patches that kriging fills perfectly weigh no more."""


class Loss(NamedTuple):
    """Terms of the loss, scalars: means over patches.

    Attributes
    ----------
    deviance
        Of the expected counts, as a share of that of the start.
    likelihood
        Negative log-likelihood of the truth under the network's uncertainty.
    """

    deviance: Tensor
    likelihood: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return self.deviance + 0.1 * self.likelihood


def loss(output: Tensor, patches: Patches) -> Loss:
    """Gamma deviance for the expected counts, gamma likelihood for their uncertainty.

    With y the true rate and m the expectation, both softened, and d = log(y / m), the deviance is
    e^d - d - 1: about d^2 / 2, a log error, for small d; least at m = E[y] whatever the distribution, so
    that the fill is unbiased in counts where a log error would lose them. Each patch counts
    relative to kriging's deviance on it, so that dim and bright, easy and hard ones weigh the same.
    The likelihood trains the uncertainty only: m is held fixed in it.

    Parameters
    ----------
    output
        ``(patch, 2, frame, row, col)`` of the network.
    patches
        The network's input and the truth.
    """
    log_mean, log_shape = expectation(output, patches.start)
    truth = torch.log(patches.truth + SOFTENING)
    deviance = _deviance(truth - log_mean)
    reached = _mean(deviance, patches.weight)
    start = _mean(_deviance(truth - torch.log(patches.start + SOFTENING)), patches.weight)

    shape = torch.exp(log_shape)
    surprise = shape * deviance.detach() + torch.lgamma(shape) - shape * log_shape + shape
    likelihood = _mean(surprise, patches.weight)
    return Loss((reached / (start + LEAST)).mean(), likelihood.mean())


def _deviance(d: Tensor) -> Tensor:
    limited = d.clamp(max=STEEPEST)
    return torch.exp(limited) * (1 + (d - limited)) - d - 1


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean over each patch's missing voxels."""
    axes = (1, 2, 3)
    return (values * weight).sum(axes) / weight.sum(axes).clamp_min(1)
