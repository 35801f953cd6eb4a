"""Patches of simulated volumes, with random gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.filling.patching.patches import Patches, cut_patches
from bcdi_inpaint.lab.simulate import simulate_scan
from bcdi_inpaint.lab.simulate.recipes import seeded

from .gaps import draw_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bcdi_inpaint.lab.simulate import SimulatedScan

VOLUME = (128, 128, 128)


def simulated_patches(seed: int, *, device: str = "cpu") -> Patches:
    """Patches of one simulated volume of the training families; the seed decides everything."""
    scan = simulate_scan(seed, VOLUME, split="training", device=None if device == "cpu" else device)
    return patches_of_scan(seeded(seed, 77), scan, device)


def patches_of_scan(rng: np.random.Generator, scan: SimulatedScan, device: str) -> Patches:
    """Patches around a random gap in a simulated scan."""
    counts = scan.counts.astype(np.float32)
    valid = ~np.broadcast_to(scan.bad_pixels, counts.shape)
    return patches_around_gap(rng, counts, scan.rate, valid, device)


def patches_around_gap(
    rng: np.random.Generator,
    counts: NDArray[np.float32],
    truth: NDArray[np.float32],
    valid: NDArray[np.bool_],
    device: str = "cpu",
) -> Patches:
    """Lay a random gap over a volume and cut patches around it; arguments as for `cut_patches`."""
    # Most bad pixels are known and masked. Some are not, and the network has to cope with them.
    known_bad = ~valid & (rng.random() < 0.8)
    peak = np.unravel_index(int(np.argmax(truth)), truth.shape)
    mask = draw_mask(rng, counts.shape, peak) | known_bad  # type: ignore[arg-type]
    return cut_patches(rng, counts, truth, valid, mask, device)
