"""How phase retrieval should treat a gap, if the user does not say; docs/downstream.md has the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from .layout import Blocks

if TYPE_CHECKING:
    from bcdi_inpaint.filling.result import Inpainted

Gaps = Literal["hard", "soft", "free"]

HARD_DOUBT = 0.02
"""Up to this sum of sigma over the sum of all counts, filled values are taken for measured."""

FAINT = 3e4
FAINT_DOUBT = 0.2
"""In a pattern without a voxel of so many counts, up to this: its noise determines a free gap poorly."""


def recommended(filled: Inpainted) -> Gaps:
    """``"hard"`` where the fill is trusted and little of the pattern's light is in doubt, else ``"free"``.

    The sum of the fill's sigma over the sum of all counts grows with what harms a reconstruction: how near
    to the peak the gap lies, how bright it is there, how uncertain the fill is. In a faint pattern a higher limit holds, since its measured voxels hardly determine a free gap. ``"soft"`` is never chosen, since only
    PyNX's Python API understands it; a free gap keeps its filled values in the file.

    Parameters
    ----------
    filled
        Volumes are read in blocks of frames.
    """
    from bcdi_inpaint.filling import Verdict, add_up  # what it imports takes a second

    check = filled.report.self_check
    if check is not None and check.verdict != Verdict.TRUSTED:
        return "free"
    frames, rows, cols = filled.intensity.shape
    step = Blocks.of((frames, rows, cols), filled.intensity.dtype).frames
    blocks = (slice(start, start + step) for start in range(0, frames, step))
    sums = add_up(
        (np.asarray(filled.intensity[b]), np.asarray(filled.sigma[b]), np.asarray(filled.mask[b]))
        for b in blocks
    )
    limit = FAINT_DOUBT if sums.brightest < FAINT else HARD_DOUBT
    return "hard" if sums.doubt <= limit * sums.total else "free"
