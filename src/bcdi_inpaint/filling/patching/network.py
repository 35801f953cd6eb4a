"""The patching network: a correction to kriging, and the uncertainty of the fill.

A 3-D U-Net on a space-to-depth stem. Its inputs are the measured voxels, what was measured at their mirror
images, the mask, the local mean, kriging's field and each voxel's place relative to the Bragg peak. It
corrects kriging's expected counts. Untrained, it changes nothing.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from ..friedel.symmetry import Symmetry
    from ..friedel.twin import Twin
    from ..kriging import LogField

FINE = ("measured residual", "kriged residual", "mask", "twin's residual", "twin's mask")
"""Channels of the input at full resolution."""

COARSE = ("local mean", "agreement", "distance", "along frames", "along rows", "along cols")
"""Channels that vary slowly: given as means of 2 x 2 x 2 voxels. The last three are a unit vector from
the peak's centre, in wavelengths of the texture."""

CHANNELS = len(FINE) + len(COARSE)
DIRECTION = slice(CHANNELS - 3, CHANNELS)
"""The channels that turn with the axes."""

STRIDE = 16
"""Inputs are padded to multiples of this."""

SOFTENING = 1.0
"""Counts added before ratios are taken, as in log(1 + counts), so that empty regions don't dominate."""

LEVEL_SCALE = 0.25
"""Brings log counts (0 to 16) to the size of the other inputs."""

SHAPE_RANGE = (-1.0, 9.0)
"""Limits of the logarithm of the gamma distribution's shape parameter."""


class Block(nn.Module):
    """Two 3x3x3 convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
            nn.Conv3d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm3d(channels),
        )
        self.out = nn.ReLU(inplace=True)

    def fold(self) -> None:
        """Put the batch norms into the convolutions: the same function, in fewer passes, for evaluation."""
        convolutions = [part for part in self.body if isinstance(part, nn.Conv3d)]
        norms = [part for part in self.body if isinstance(part, nn.BatchNorm3d)]
        first, second = map(fuse_conv_bn_eval, convolutions, norms)
        self.body = nn.Sequential(first, nn.ReLU(inplace=True), second)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x + self.body(x))  # type: ignore[no-any-return]


class PatchingNetwork(nn.Module):
    """Correct a kriged fill.

    Parameters
    ----------
    widths
        Channels at 1/2, 1/4, 1/8 and 1/16 of the resolution.
    """

    def __init__(self, widths: tuple[int, ...] = (32, 64, 96, 128)) -> None:
        super().__init__()
        self.widths = widths
        self.stem = nn.Conv3d(len(FINE) * 8 + len(COARSE), widths[0], 3, padding=1)
        self.encoders = nn.ModuleList(Block(width) for width in widths)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Conv3d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(coarse, fine, 2, stride=2) for fine, coarse in pairs
        )
        self.decoders = nn.ModuleList(Block(fine) for fine, _ in pairs)
        self.head = nn.Conv3d(widths[0], 2 * 8, 1)
        nn.init.zeros_(self.head.weight)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def folded(self) -> PatchingNetwork:
        """A copy that computes the same faster; it can't be trained."""
        network = copy.deepcopy(self).eval()
        for part in list(network.modules()):
            if isinstance(part, Block):
                part.fold()
        return network

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(batch, CHANNELS, frame, row, col)`` -> ``(batch, 2, frame, row, col)``.

        Sizes must be multiples of `STRIDE`. The outputs are the logarithm of the correction and that
        of the shape parameter; `expectation` reads them.
        """
        fine, coarse = x[:, : len(FINE)], x[:, len(FINE) :]
        x = self.stem(torch.cat((_space_to_depth(fine), functional.avg_pool3d(coarse, 2)), dim=1))
        skips: list[Tensor] = []
        for encoder, down in zip(self.encoders, [*self.down, None], strict=True):
            x = encoder(x)
            if down is not None:
                skips.append(x)
                x = down(x)
        for up, decoder, skip in zip(
            reversed(self.up), reversed(self.decoders), reversed(skips), strict=True
        ):
            x = decoder(up(x) + skip)
        return _depth_to_space(self.head(x))


def features(
    stack: Tensor,
    mask: Tensor,
    field: LogField,
    twin: Twin | None,
    symmetry: Symmetry,
    corner: tuple[int, ...],
) -> Tensor:
    """The network's input: ``(CHANNELS, frame, row, col)``.

    Parameters
    ----------
    stack, mask
        The band, and what is missing of it.
    field
        Kriging's fill of it.
    twin
        Of the band, if there is one.
    symmetry
        Of the scan.
    corner
        Where the band begins in the stack.
    """
    measured = torch.where(mask, 0.0, torch.log1p(stack) - field.mean)
    nothing = torch.zeros_like(field.mean)
    opposite, known, agreement = nothing, nothing, nothing
    if twin is not None and field.twin is not None:
        opposite, known = field.twin, twin.known
        agreement = symmetry.agreement(field.mean)
    return torch.stack(
        (
            *(measured, field.value - field.mean, mask.float(), opposite, known),
            *(field.mean * LEVEL_SCALE, agreement),
            *_place(stack, symmetry, corner),
        )
    )


def _place(stack: Tensor, symmetry: Symmetry, corner: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Logarithmic distance from the peak, and direction, in wavelengths of the texture."""
    first, second, third = (
        (torch.arange(n, device=stack.device) + start - centre) / length
        for n, start, centre, length in zip(
            stack.shape, corner, symmetry.centre, symmetry.wavelengths, strict=True
        )
    )
    axes = [axis.expand(stack.shape) for axis in (first[:, None, None], second[:, None], third)]
    distance = torch.stack(axes).square().sum(0).sqrt()
    unit = (axis / distance.clamp_min(1e-3) for axis in axes)
    return (torch.log1p(distance), *unit)


def expectation(output: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithm of the softened expected counts, and of the gamma distribution's shape parameter.

    Parameters
    ----------
    output
        ``(..., 2, frame, row, col)`` of the network.
    start
        ``(..., frame, row, col)`` expected counts to correct.
    """
    correction, shape = output.float().unbind(-4)
    return torch.log(start + SOFTENING) + correction, (shape + 3.0).clamp(*SHAPE_RANGE)


def _space_to_depth(x: Tensor) -> Tensor:
    b, c, f, r, k = x.shape
    x = x.view(b, c, f // 2, 2, r // 2, 2, k // 2, 2)
    return x.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(b, c * 8, f // 2, r // 2, k // 2)


def _depth_to_space(x: Tensor) -> Tensor:
    b, c, f, r, k = x.shape
    x = x.view(b, c // 8, 2, 2, 2, f, r, k)
    return x.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(b, c // 8, f * 2, r * 2, k * 2)
