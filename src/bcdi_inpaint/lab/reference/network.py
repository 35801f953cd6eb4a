"""The published network of Masto et al. (2024), J. Appl. Cryst. 57, rebuilt: the yardstick.

Architecture, loss and training patches follow the paper and the measured behaviour of its public
code, peculiarities included: the mask is no input, the gap is signalled by zeros alone; the full
resolution never reaches the head directly; the loss is in effect a structural similarity. It is here
to be compared with, not to be improved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

EDGE = 32
"""Edge of a patch in voxels."""

WIDTHS = (3, 6, 9, 12)
"""Gap widths in pixels that were published, each with a network of its own."""

SLOPE = 0.2

PLACES = 16
"""Places that are looked at for one training patch."""

LIT = 0.3
"""Counts a voxel with which the paper's own figures begin (its Fig. 5)."""


class _Convolution(nn.Module):
    """Zero-padded to the input's size; an odd surplus goes to the far side, as in TensorFlow."""

    def __init__(self, inside: int, outside: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        surplus = dilation * (kernel - 1)
        self.padding = (surplus // 2, surplus - surplus // 2) * 3
        self.convolution = nn.Conv3d(inside, outside, kernel, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(nn.functional.pad(x, self.padding))  # type: ignore[no-any-return]


class _Encoder(nn.Module):
    """Parallel dilated convolutions beside their input, or one plain one; halves the resolution."""

    def __init__(
        self, inside: int, filters: int, kernel: int, dilations: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.keeps_input = bool(dilations)
        self.parallel = nn.ModuleList(
            _Convolution(inside, filters, kernel, dilation) for dilation in dilations or (1,)
        )

    def forward(self, x: Tensor) -> Tensor:
        branches = [convolution(x) for convolution in self.parallel]
        if self.keeps_input:
            branches.insert(0, x)
        return nn.functional.leaky_relu(nn.functional.max_pool3d(torch.cat(branches, 1), 2), SLOPE)


class _Decoder(nn.Module):
    """Transposed convolution with kernel 2 and step 1, then doubled resolution."""

    def __init__(self, inside: int, filters: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose3d(inside, filters, 2)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-1]
        same = self.convolution(x)[..., :size, :size, :size]
        return nn.functional.leaky_relu(
            nn.functional.interpolate(same, scale_factor=2.0, mode="nearest"), SLOPE
        )


class ReferenceNetwork(nn.Module):
    """32^3 patch with zeros in the gap -> the patch without a gap; 2,771,309 parameters.

    Input and output are ``(patch, 1, 32, 32, 32)`` float32 in [0, 1], see `ReferencePatch`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            [
                _Encoder(1, 8, 3, (4, 3, 2, 1)),
                _Encoder(33, 16, 2, (3, 2, 2, 1)),
                _Encoder(97, 128, 2),
                _Encoder(128, 256, 2),
            ]
        )
        self.decoders = nn.ModuleList(
            [_Decoder(256, 478), _Decoder(606, 222), _Decoder(319, 96), _Decoder(129, 32)]
        )
        self.head = nn.Sequential(
            _Convolution(32, 24, 4),
            nn.LeakyReLU(SLOPE),
            _Convolution(24, 12, 3),
            nn.LeakyReLU(SLOPE),
            _Convolution(12, 6, 2),
            nn.LeakyReLU(SLOPE),
            nn.Conv3d(6, 1, 1),
        )

    def forward(self, patch: Tensor) -> Tensor:
        x, skips = patch, []
        for encoder in self.encoders:
            x = encoder(x)
            skips.append(x)
        x = self.decoders[0](skips.pop())
        for decoder in self.decoders[1:]:
            x = decoder(torch.cat([x, skips.pop()], 1))
        return torch.sigmoid(1.5 * self.head(x))


def reference_loss(prediction: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """The published loss: absolute error, structural similarity and gradients, weights 1.

    The prediction counts in the gap only; outside, the truth is pasted. The structural similarity is
    that of 2-D slices perpendicular to the patch's first axis, padded with two empty colour
    channels, which leaves 32/3 (1 - SSIM): more than nine tenths of the loss. A scalar, the mean over patches
    ``(patch, 1, 32, 32, 32)`` in [0, 1].
    """
    filled = torch.where(mask, prediction, truth)[:, 0]
    error = filled - truth[:, 0]
    gradients = torch.zeros((), device=error.device, dtype=error.dtype)
    for axis in (1, 2, 3):
        gradients = gradients + error.diff(dim=axis).abs().mean()
    # Published as mixed gradients; they subtract perpendicular planes, x = i + 1 minus y = i.
    for first, second in ((1, 2), (2, 3), (1, 3)):
        ahead = error.narrow(first, 1, EDGE - 1)
        behind = error.narrow(second, 0, EDGE - 1).transpose(first, second)
        gradients = gradients + (ahead - behind).abs().mean()
    similarity = _structural_similarity(filled, truth[:, 0])
    return error.abs().mean() + EDGE / 3 * (1 - similarity) + gradients


def _structural_similarity(a: Tensor, b: Tensor) -> Tensor:
    """Mean SSIM of the slices ``(patch, slice, y, x)`` (Wang et al. 2004, 11-px Gaussian window)."""
    offsets = torch.arange(11, device=a.device, dtype=a.dtype) - 5
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = window / window.sum()
    kernel = window[:, None] * window

    def mean(x: Tensor) -> Tensor:
        return nn.functional.conv2d(x.flatten(0, 1)[:, None], kernel[None, None])

    c1, c2 = 0.01**2, 0.03**2
    mean_a, mean_b = mean(a), mean(b)
    product, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    luminance = (2 * product + c1) / (squares + c1)
    structure = (2 * (mean(a * b) - product) + c2) / (mean(a * a) + mean(b * b) - squares + c2)
    return (luminance * structure).mean()


class ReferencePatch(NamedTuple):
    """One training sample; the network's input is the truth with zeros in the gap.

    Attributes
    ----------
    truth
        ``(32, 32, 32)`` float32: log(1 + counts), scaled to [0, 1] by its own extremes, the gap's
        included, as published.
    mask
        ``(32, 32, 32)`` bool, True = gap. Axis 1 is across the gap, which is in the middle.
    """

    truth: NDArray[np.float32]
    mask: NDArray[np.bool_]


def reference_patch(
    counts: NDArray[np.integer] | NDArray[np.floating], width: int, rng: np.random.Generator
) -> ReferencePatch:
    """Cut a training sample from a volume without gaps.

    Four in five have one gap, the fifth is a cross with a second gap of equal width anywhere along
    axis 0 (the published code loses a part of it where it wraps around the edge; here it is whole). The
    volume is turned so that axis 1 is one of the detector's axes, axis 0 the other, and axis 2 the
    rocking angle: a patch looks like that in use, too. Positions are biased to the periphery, how
    is not published: here, of two random places the one further from the brightest voxel is taken.
    Places with fewer than `LIT` counts a voxel are passed over where there are others.
    """
    if min(counts.shape) < EDGE:
        raise ValueError(f"counts have shape {counts.shape}: patches need {EDGE} in each direction")
    if not 1 <= width < EDGE:
        raise ValueError(f"width={width} px: takes 1 to {EDGE - 1}")
    peak = np.unravel_index(int(counts.argmax()), counts.shape)
    corners = rng.integers(0, np.array(counts.shape) - EDGE + 1, (PLACES, 3))
    cuts = [counts[f : f + EDGE, r : r + EDGE, c : c + EDGE] for f, r, c in corners]
    means = np.array([cut.mean(dtype=float) for cut in cuts])
    candidates = np.flatnonzero(means >= min(LIT, means.max()))[:2]
    distances = np.linalg.norm(corners[candidates] + EDGE / 2 - np.array(peak), axis=1)
    patch = np.log1p(
        cuts[candidates[distances.argmax()]].transpose(
            (1, 2, 0) if rng.random() < 0.5 else (2, 1, 0)
        )
    )
    low, high = patch.min(), patch.max()
    scaled = (patch - low) / (high - low) if high > low else np.zeros_like(patch)
    mask = np.zeros(patch.shape, bool)
    mask[:, gap_in_patch(width)] = True
    if rng.random() < 0.2:
        start = int(rng.integers(0, EDGE - width + 1))
        mask[start : start + width] = True
    return ReferencePatch(scaled.astype(np.float32), mask)


def gap_in_patch(width: int) -> slice:
    """Where the gap lies across a patch, in training and in use: around 16, e.g. 15:18 or 13:19."""
    start = EDGE // 2 - width // 2
    return slice(start, start + width)
