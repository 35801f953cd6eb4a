"""``method="reference"``: the published patching pipeline around the published network.

Windows of 32^3 slide along the gap, each is scaled by its own measured voxels, and the predictions
that overlap in a voxel are averaged as logarithms. What the publication fills wrongly without a word
(several gaps, gaps at an edge, masks that change from frame to frame) is refused here. Its odd
gaps are predicted one pixel off where the network was trained; here they lie where they should. Its
last window, visited twice when the step is 1, is visited once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.filling.method import Fill, Method
from bcdi_inpaint.filling.patching.weights import SHIPPED

from .network import EDGE, WIDTHS, ReferenceNetwork, gap_in_patch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Bools = NDArray[np.bool_]

PEAK = 1e5
"""Counts to which the brightest measured voxel is scaled before the logarithm."""

SKIP = 4
"""Positions left out between windows: the paper's fast setting, 882 windows for a cross in 128^3."""


@dataclass(frozen=True, slots=True)
class StraightGap:
    """The gaps that the publication knows: one line, or two that cross, of one width in pixels.

    `starts`: detector axis (1 = rows are missing, 2 = columns are missing) -> first missing index.
    """

    width: int
    starts: dict[int, int]


def fill(
    stack: NDArray[np.float32], mask: Bools, *, skip: int = SKIP, weights: str | Path = ""
) -> Fill:
    """Fill one straight gap or cross with the network that was trained for its width.

    Parameters
    ----------
    stack
        ``(frame, row, col)`` float32 counts, the whole scan: its brightest voxel sets the scale.
    mask
        bool, same shape, True = missing.
    skip
        Positions left out between windows; 0 visits every one.
    weights
        Folder of the networks' weights; empty for the package's own, where none are shipped.

    Returns
    -------
    Fill
        The standard deviation is the spread of overlapping predictions: what the method has to offer,
        though it knows nothing of errors that the predictions share.

    Raises
    ------
    ValueError
        For gaps that the publication doesn't cover, and where no weights are installed.
    """
    network = load_network(find_gap(mask).width, weights)
    return patch(stack, mask, network, skip=skip)


def weights_name(width: int) -> str:
    """Name of the file that holds the trained network for one gap width."""
    return f"reference_{width}px.safetensors"


def load_network(width: int, weights: str | Path = "") -> ReferenceNetwork:
    """The trained network for one gap width, from the folder that `fill` takes; a `ValueError` if there is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(weights or SHIPPED) / weights_name(width)
    if not path.is_file():
        raise ValueError(
            f"method='reference' has no weights for {width} px gaps: {path} is not there, and none are "
            f"shipped; `bcdi-inpaint train FOLDER --recipe RECIPE` with the lines "
            f'network = "reference" and width = {width} makes them, and weights=FOLDER takes them'
        )
    network = ReferenceNetwork()
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path} holds no reference network") from error
    return network.eval()


def find_gap(mask: Bools) -> StraightGap:
    """Read the gap from a mask ``(frame, row, col)``, or say in a `ValueError` why the publication can't fill it."""
    if min(mask.shape) < EDGE:
        raise ValueError(
            f"method='reference' needs at least {EDGE} voxels in each direction; "
            f"the stack has {mask.shape}"
        )
    pixels = mask[0]
    if (mask != pixels).any():
        raise ValueError("method='reference' takes one mask for all frames; this one changes")
    missing = {1: pixels.all(axis=1), 2: pixels.all(axis=0)}
    if (pixels != missing[1][:, None] | missing[2]).any():
        raise ValueError("method='reference' fills whole rows and columns only, no single pixels")
    starts: dict[int, int] = {}
    widths: set[int] = set()
    for axis, name in ((1, "rows"), (2, "columns")):
        indices = np.flatnonzero(missing[axis])
        if indices.size == 0:
            continue
        start, width = int(indices[0]), int(indices.size)
        if indices[-1] - start + 1 != width:
            raise ValueError(f"method='reference' fills one gap of {name}; there are several")
        low = _window_start(start, width)
        if low < 0 or low + EDGE > mask.shape[axis]:
            raise ValueError(
                f"method='reference' needs {EDGE} {name} around a gap; {name} "
                f"{start}:{start + width} of {mask.shape[axis]} are too near the edge"
            )
        starts[axis] = start
        widths.add(width)
    if not widths <= set(WIDTHS) or len(widths) != 1:
        raise ValueError(
            f"method='reference' has networks for gaps of {', '.join(map(str, WIDTHS))} px, one width "
            f"at a time; these are {' and '.join(map(str, sorted(widths)))} px wide"
        )
    return StraightGap(widths.pop(), starts)


def patch(
    stack: NDArray[np.float32], mask: Bools, network: ReferenceNetwork, *, skip: int = SKIP
) -> Fill:
    """Fill as `fill` does, with a given network in evaluation mode, trained or not: the published patching."""
    gap = find_gap(mask)
    brightest = float(stack.max())
    if brightest == 0:
        return Fill(np.zeros_like(stack), np.zeros_like(stack))
    log = np.log1p(stack * np.float32(PEAK / brightest))
    highest = float(log.max())
    log /= highest
    mean, square = np.zeros_like(log), np.zeros_like(log)
    passes = np.zeros(stack.shape, np.uint8)
    for axis, start in gap.starts.items():
        # Axis 1 across this gap, axis 0 the detector's other one, axis 2 the rocking angle.
        turned = (3 - axis, axis, 0)
        low = _window_start(start, gap.width)
        slab = np.s_[:, low : low + EDGE]
        first, second = _overlapping_means(
            log.transpose(turned)[slab], mask.transpose(turned)[slab], gap.width, network, skip
        )
        own = np.s_[:, start : start + gap.width]
        mean.transpose(turned)[own] += first
        square.transpose(turned)[own] += second
        passes.transpose(turned)[own] += 1
    # Where the two gaps of a cross meet, both passes count alike.
    mean /= np.maximum(passes, 1)
    square /= np.maximum(passes, 1)
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    rate = np.expm1(mean * highest) * (brightest / PEAK)
    sigma = np.exp(mean * highest) * highest * spread * (brightest / PEAK)
    return Fill(rate.astype(np.float32), sigma.astype(np.float32))


def window_starts(length: int, skip: int) -> list[int]:
    """Where windows begin along an axis: every ``1 + skip`` voxels, and one flush with the end."""
    return sorted({*range(0, length - EDGE + 1, 1 + skip), length - EDGE})


def _window_start(gap_start: int, width: int) -> int:
    """Where a window across the gap begins, so that the gap lies in it as in training."""
    return gap_start - int(gap_in_patch(width).start)


def _overlapping_means(
    slab: Floats, mask: Bools, width: int, network: ReferenceNetwork, skip: int
) -> tuple[Floats, Floats]:
    """Mean and mean square over all windows of the gap's scaled logarithms, ``(n, width, m)``."""
    import torch

    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    own = gap_in_patch(width)
    total = np.zeros((slab.shape[0], width, slab.shape[2]))
    square, visits = np.zeros_like(total), np.zeros_like(total)
    with torch.inference_mode():
        for i in window_starts(slab.shape[0], skip):
            for k in window_starts(slab.shape[2], skip):
                window = np.s_[i : i + EDGE, :, k : k + EDGE]
                hidden = mask[window]
                measured = slab[window][~hidden]
                low, high = float(measured.min()), float(measured.max())
                predicted = np.full(hidden.shape, low)
                if high > low:
                    scaled = np.where(hidden, 0, (slab[window] - low) / (high - low))
                    # One patch a call, as published.
                    patched = torch.from_numpy(scaled.astype(np.float32))[None, None].to(device)
                    predicted += network(patched)[0, 0].cpu().numpy() * (high - low)
                total[window] += predicted[:, own]
                square[window] += predicted[:, own] ** 2
                visits[window] += 1
    return total / visits, square / visits


METHOD = Method(fill, margin=None, options={"skip": SKIP, "weights": ""})
