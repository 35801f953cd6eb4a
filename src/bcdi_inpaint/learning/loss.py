"""What training minimises."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from ..filling.network import SOFTENING, expectation

if TYPE_CHECKING:
    from torch import Tensor

    from .portions import Portions

STEEP = 2.0
"""Beyond this log ratio the deviance goes on straight, so that rare blunders don't rule training."""


class Loss(NamedTuple):
    """Terms of the loss, each a scalar mean over the missing voxels."""

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
    that the fill is unbiased in counts where a log error would lose them. Bright voxels weigh more,
    by what kriging expects (a weight that depended on y itself would bias the fill).
    The likelihood trains the uncertainty alone: m is held fixed in it.

    Parameters
    ----------
    output
        ``(portion, 2, frame, row, col)`` of the network.
    portions
        What it was shown and should say.
    """
    log_mean, log_shape = expectation(output, portions.start)
    d = torch.log(portions.truth + SOFTENING) - log_mean
    weight = portions.weight * (1 + torch.log1p(portions.start))
    limited = d.clamp(max=STEEP)
    ratio = torch.exp(limited) * (1 + (d - limited))
    deviance = ratio - d - 1

    shape = torch.exp(log_shape)
    surprise = shape * deviance.detach() + torch.lgamma(shape) - shape * log_shape + shape
    # Keeps the scale of both terms alike: the gamma entropy at the shape's lower limit is about 1.
    return Loss(_mean(deviance, weight), _mean(surprise, portions.weight))


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp_min(1)
