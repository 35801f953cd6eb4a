"""A picture of raw and filled data, as an RGB array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bcdi_inpaint.colours import COLOURS, GAP, OUTLINE

from .layout import Blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Value = TypeVar("Value", bound=np.generic)

Peak = tuple[int, int, int]

_SIZE = 480
_MARGIN = 8
_HEADER = 26


@dataclass(frozen=True, slots=True, eq=False)
class Quicklook:
    """A picture of a fill.

    Attributes
    ----------
    picture
        ``(row, col, 3)`` uint8.
    peak
        Voxel ``(frame, row, col)`` of the maximum, through which the cuts go.
    """

    picture: NDArray[np.uint8]
    peak: Peak


def draw(intensity: NDArray[np.floating], mask: NDArray[np.bool_]) -> Quicklook:
    """Orthogonal cuts through the Bragg peak, raw on the left, filled on the right, log scale.

    In each half the frame is at the upper left, the cut along its row below it and the cut along
    its column beside it. Gaps are grey on the left and outlined on the right.

    Parameters
    ----------
    intensity, mask
        ``(frame, row, col)``; read in blocks of frames.
    """
    from matplotlib.colors import to_rgb
    from PIL import Image, ImageDraw, ImageFont

    peak = find_peak(intensity)
    gap = _zoom(_arrange([np.asarray(cut, bool) for cut in cuts(mask, peak)], empty=False))
    filled = _zoom(_coloured(cuts(intensity, peak)))
    raw = np.where(gap[..., None], _bytes(to_rgb(GAP)), filled)
    filled[_outline(gap)] = _bytes(to_rgb(OUTLINE))

    height, width = gap.shape
    canvas = Image.new("RGB", (2 * width + 3 * _MARGIN, height + _HEADER + 2 * _MARGIN), "white")
    # Tiled stretches PNGs between their 1st and 99th percentile. With a black header and white
    # margins these are 0 and 255, and the picture comes out as it was drawn.
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((0, 0, canvas.width, _HEADER), fill="black")
    font = ImageFont.load_default(size=15)
    for i, (label, half) in enumerate((("raw", raw), ("filled", filled))):
        left = _MARGIN + i * (width + _MARGIN)
        pen.text((left, _HEADER // 2), label, fill="white", font=font, anchor="lm")
        canvas.paste(Image.fromarray(half), (left, _HEADER + _MARGIN))
    return Quicklook(np.asarray(canvas), peak)


def find_peak(intensity: NDArray[np.floating]) -> Peak:
    """Voxel of the maximum, found in blocks of frames."""
    n, rows, cols = intensity.shape
    step = Blocks.of((n, rows, cols), intensity.dtype).frames
    best, where = -np.inf, (0, 0, 0)
    for start in range(0, n, step):
        block = np.asarray(intensity[start : start + step])
        frame, row, col = np.unravel_index(int(block.argmax()), block.shape)
        if block[frame, row, col] > best:
            best, where = float(block[frame, row, col]), (start + int(frame), int(row), int(col))
    return where


def cuts(
    volume: NDArray[Value], peak: Peak
) -> tuple[NDArray[Value], NDArray[Value], NDArray[Value]]:
    """Orthogonal planes through a voxel: ``(row, col)``, ``(frame, col)`` and ``(row, frame)``."""
    frame, row, col = peak
    return (
        np.asarray(volume[frame]),
        np.asarray(volume[:, row]),
        np.asarray(volume[:, :, col]).T,
    )


def _coloured(planes: tuple[NDArray[np.number], ...]) -> NDArray[np.uint8]:
    from matplotlib import colormaps

    logs = [np.log10(1 + np.maximum(plane, 0)) for plane in planes]
    top = max(float(log.max()) for log in logs) or 1.0
    parts = [colormaps[COLOURS](log / top, bytes=True)[..., :3] for log in logs]
    return _arrange(parts, empty=255)


def _arrange(parts: Sequence[NDArray[Value]], *, empty: float) -> NDArray[Value]:
    """Frame, cut along its row below it, cut along its column beside it."""
    frame, below, beside = parts
    rows, cols = frame.shape[:2]
    space = 1 + max(rows, cols) // 100
    shape = (rows + space + below.shape[0], cols + space + beside.shape[1], *frame.shape[2:])
    image = np.full(shape, empty, frame.dtype)
    image[:rows, :cols] = frame
    image[rows + space :, :cols] = below
    image[:rows, cols + space :] = beside
    return image


def _zoom(image: NDArray[Value]) -> NDArray[Value]:
    """Enlarged by a whole number, or averaged down; any missing pixel keeps a gap visible."""
    from PIL import Image

    largest = max(image.shape[:2])
    if largest <= _SIZE:
        return image.repeat(_SIZE // largest, axis=0).repeat(_SIZE // largest, axis=1)
    height, width = (max(1, length * _SIZE // largest) for length in image.shape[:2])
    pixels = Image.fromarray(image.astype(np.uint8) * (255 if image.dtype == bool else 1))
    small = np.array(pixels.resize((width, height), Image.Resampling.BOX))
    return (small > 0 if image.dtype == bool else small).astype(image.dtype)


def _outline(gap: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels outside a gap that touch it."""
    padded = np.pad(gap, 1)
    near = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return near & ~gap


def _bytes(rgb: tuple[float, float, float]) -> NDArray[np.uint8]:
    return (255 * np.array(rgb)).round().astype(np.uint8)
