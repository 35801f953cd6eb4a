"""The paper's 2.6.1: the inverse transform with true phases, before and after filling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..cases import place_gap, recipes
from ..metrics import real_space_errors
from ..networks import digest
from ..patterns import simulated
from .results import Inverse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..config import Config
    from .fills import Fill
    from .scenes import Scene


def transformed(
    config: Config, scene: Scene, name: str, fills: Iterable[Fill]
) -> Iterator[Inverse]:
    """Errors of one of the bench's plain patterns, fill after fill.

    Parameters
    ----------
    config
        With which weights and on which device gaps are filled.
    scene
        From `Plan.crossed`.
    name
        Number of the pattern.
    fills
        Those that put values into the gap.
    """
    index = int(name)
    recipe = recipes("plain", index + 1, scene.shape)[index]
    pattern = simulated(recipe)
    assert pattern.rate is not None
    assert pattern.phase is not None
    rng = np.random.default_rng(recipe.seed)
    gap = place_gap(scene.kind, scene.width, scene.distance, pattern.peak[1:], pattern.plane, rng)
    mask = np.broadcast_to(gap.mask(pattern.plane), scene.shape)
    hidden = np.where(mask, 0, pattern.counts)
    for fill in fills:
        filled = config.inpaint(hidden, mask, fill.method).intensity
        found = real_space_errors(filled, pattern.rate, pattern.phase, mask)
        yield Inverse(
            name,
            fill.name,
            digest(config, fill.method, scene.width),
            recipe.peak_counts,
            gap.distance,
            found.phase_std_gap,
            found.phase_std_fill,
        )
