"""Portions of simulated volumes, with random gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.filling.patching.patches import Portions, cut_portions
from bcdi_inpaint.lab.simulate import simulate_scan

from .gaps import draw_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

VOLUME = (128, 128, 128)


def simulated_portions(seed: int, *, device: str = "cpu") -> Portions:
    """Portions of one simulated volume of the training families.

    Parameters
    ----------
    seed
        Decides the crystal, the counts, the gaps and where portions are cut.
    device
        Where diffraction and kriging are computed.
    """
    scan = simulate_scan(seed, VOLUME, split="training", device=None if device == "cpu" else device)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(77,)))
    counts = scan.counts.astype(np.float32)
    sound = ~np.broadcast_to(scan.bad_pixels, counts.shape)
    return portions_behind_a_gap(rng, counts, scan.rate, sound, device)


def portions_behind_a_gap(
    rng: np.random.Generator,
    counts: NDArray[np.float32],
    truth: NDArray[np.float32],
    sound: NDArray[np.bool_],
    device: str = "cpu",
) -> Portions:
    """Lay a random gap over a volume and cut portions around it; arguments as for `cut_portions`."""
    # Most faulty pixels are known and masked, some are not: the network learns to live with them.
    known_faults = ~sound & (rng.random() < 0.8)
    peak = np.unravel_index(int(np.argmax(truth)), truth.shape)
    mask = draw_mask(rng, counts.shape, peak) | known_faults  # type: ignore[arg-type]
    return cut_portions(rng, counts, truth, sound, mask, device)
