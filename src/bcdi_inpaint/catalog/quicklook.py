"""A picture that shows raw against filled at a glance, as an RGB array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def draw(intensity: NDArray[np.floating[Any]], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Central frame, raw beside filled, on a logarithmic scale.

    Parameters
    ----------
    intensity, mask
        ``(frame, row, col)``.

    Returns
    -------
    numpy.ndarray
        ``(row, col, 3)`` uint8.
    """
    from matplotlib import colormaps

    middle = intensity.shape[0] // 2
    frame, missing = np.asarray(intensity[middle]), np.asarray(mask[middle])
    scaled = np.log1p(frame) / max(np.log1p(frame.max()), 1e-9)
    filled = colormaps["magma"](scaled, bytes=True)[..., :3]
    raw = np.where(missing[..., None], np.uint8(128), filled)
    return np.concatenate([raw, filled], axis=1)
