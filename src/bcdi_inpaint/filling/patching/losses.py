"""What training minimises."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from .network import SOFTENING, expectation

if TYPE_CHECKING:
    from torch import Tensor

    from .patches import Portions

STEEP = 2.0
"""Beyond this log ratio the deviance goes on straight, so that rare blunders don't rule training."""


LEAST = 0.01
"""Deviance of a portion that kriging fills all but perfectly; better ones don't weigh more."""


class Loss(NamedTuple):
    """Terms of the loss, scalars: means over portions.

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


def loss(output: Tensor, portions: Portions) -> Loss:
    """Gamma deviance for the expected counts, gamma likelihood for their uncertainty.

    With y the true rate and m the expectation, both softened, and d = log(y / m), the deviance is
    e^d - d - 1: about d^2 / 2, a log error, for small d; least at m = E[y] whatever the distribution, so
    that the fill is unbiased in counts where a log error would lose them. Each portion counts
    relative to what kriging achieves on it: dim and bright, easy and hard ones alike.
    The likelihood trains the uncertainty alone: m is held fixed in it.

    Parameters
    ----------
    output
        ``(portion, 2, frame, row, col)`` of the network.
    portions
        What it was shown and should say.
    """
    log_mean, log_shape = expectation(output, portions.start)
    truth = torch.log(portions.truth + SOFTENING)
    deviance = _deviance(truth - log_mean)
    reached = _mean(deviance, portions.weight)
    start = _mean(_deviance(truth - torch.log(portions.start + SOFTENING)), portions.weight)

    shape = torch.exp(log_shape)
    surprise = shape * deviance.detach() + torch.lgamma(shape) - shape * log_shape + shape
    likelihood = _mean(surprise, portions.weight)
    return Loss((reached / (start + LEAST)).mean(), likelihood.mean())


def _deviance(d: Tensor) -> Tensor:
    limited = d.clamp(max=STEEP)
    return torch.exp(limited) * (1 + (d - limited)) - d - 1


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean over each portion's missing voxels."""
    axes = (1, 2, 3)
    return (values * weight).sum(axes) / weight.sum(axes).clamp_min(1)
