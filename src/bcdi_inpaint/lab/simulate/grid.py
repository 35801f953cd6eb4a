"""The real-space grid that is dual to a scan's grid in reciprocal space.

With reciprocal steps ``b_j`` and the dual vectors ``a_j`` (``a_i . b_j`` is 1 for i = j, else 0), a point
``q = sum k_j b_j`` and a point ``r = sum u_j a_j`` have ``q . r = sum k_j u_j``: sampled in the dual basis,
the crystal's transform is separable although the scan's grid is skewed. The shape is evaluated at the
true, skewed positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from numpy.typing import NDArray

    from .rocking import Floats

Field = Any
"""Numbers at every voxel: an array of numpy's or torch's, which have no type in common."""

ZONE = 2.2
"""Sampled range of reciprocal space over the range wanted; the margin keeps streaks that leave the window
from wrapping around into it. With 2.2 and the step below, 0.2-0.6 % of the amplitude (rms, for 96^3 voxels)
differs from a sampling more than twice as fine."""

EDGE = 0.4
"""Standard deviation in voxels of the smooth step at a surface; divided out in reciprocal space."""

MARGIN = 3
"""Voxels left free around the crystal, for the step's tail."""


@dataclass(frozen=True)
class ObjectGrid:
    """A grid in the dual basis that holds the crystal.

    Attributes
    ----------
    vectors
        (3, 3) voxel edges in nm, as rows.
    origin
        (3,) position in nm of voxel (0, 0, 0).
    fractions
        For each axis the coordinates ``u`` of the voxels.
    device
        On which torch computes fields; None for numpy.
    """

    vectors: Floats
    origin: Floats
    fractions: tuple[Floats, Floats, Floats]
    device: str | None = None

    @property
    def xp(self) -> ModuleType:
        """The array library: numpy or torch."""
        if self.device is None:
            return np
        import torch

        return torch

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        a, b, c = (len(u) for u in self.fractions)
        return a, b, c

    def put(self, array: NDArray[np.number]) -> Field:
        """`array` in the grid's library and on its device."""
        return self.xp.asarray(array, device=self.device)

    def pitch(self, normal: Floats) -> float:
        """Distance in nm, along a unit normal, that is one voxel in the grid's own index space."""
        return float(np.linalg.norm(self.vectors @ normal))

    def linear(self, gradient: Floats, offset: float = 0.0) -> Field:
        """``gradient . r + offset`` at every voxel, float32."""
        slopes = self.vectors @ gradient
        parts = [slope * np.arange(n) for slope, n in zip(slopes, self.shape, strict=True)]
        parts[0] = parts[0] + gradient @ self.origin + offset
        x, y, z = (self.put(part.astype(np.float32)) for part in parts)
        return (x[:, None] + y)[:, :, None] + z

    def exponentials(self, weights: NDArray[np.number], gradients: NDArray[np.number]) -> Field:
        """Sum over k of ``weights[k] exp(gradients[k] . r)``, which is one matrix product.

        `gradients`: (k, 3) in 1/nm, real or complex; the result is float32 or complex64.
        """
        kind = np.complex64 if np.iscomplexobj(gradients) else np.float32
        x, y, z = (
            np.exp(np.outer(gradients @ vector, np.arange(n)))
            for vector, n in zip(self.vectors, self.shape, strict=True)
        )
        x *= (weights * np.exp(gradients @ self.origin))[:, None]
        plane = self.put(x.T.astype(kind))[:, None, :] * self.put(y.T.astype(kind))
        return plane @ self.put(z.astype(kind))

    def random_field(self, rng: np.random.Generator, correlation: float, waves: int = 48) -> Field:
        """Random field of mean 0, variance 1 and Gaussian correlation; its length is in nm."""
        gradients = 1j * rng.normal(size=(waves, 3)) / correlation
        weights = np.sqrt(2 / waves) * np.exp(2j * np.pi * rng.random(waves))
        return self.exponentials(weights, gradients).real


def object_grid(
    steps: Floats,
    points: Floats,
    reach: Sequence[float],
    slack: float = 0.0,
    device: str | None = None,
) -> ObjectGrid:
    """Grid that holds a crystal, fine enough for a window.

    Parameters
    ----------
    steps
        (3, 3) reciprocal steps in 1/nm, as rows.
    points
        (n, 3) corners of the crystal in nm.
    reach
        Largest distance from the peak, in steps, that is asked for along each axis.
    slack
        How far, in nm, the surface may lie outside the corners' hull.
    device
        See `ObjectGrid`.
    """
    dual = np.linalg.inv(steps).T
    shadows = points @ steps.T
    fractions, vectors = [], []
    for shadow, step, vector, far in zip(shadows.T, steps, dual, reach, strict=True):
        pitch = 1 / (2 * ZONE * far)
        extra = MARGIN * pitch + slack * float(np.linalg.norm(step))
        low, high = shadow.min() - extra, shadow.max() + extra
        count = int(np.ceil((high - low) / pitch)) + 1
        fractions.append((low + high) / 2 + pitch * (np.arange(count) - (count - 1) / 2))
        vectors.append(vector * pitch)
    first = np.array([u[0] for u in fractions])
    return ObjectGrid(
        vectors=np.stack(vectors),
        origin=first @ dual,
        fractions=(fractions[0], fractions[1], fractions[2]),
        device=device,
    )
