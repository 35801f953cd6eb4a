"""Where the scan samples reciprocal space, and the real-space grid that is dual to it.

The step vectors of a rocking scan, one for the angle and two for the detector, aren't orthogonal.
With reciprocal steps ``b_j`` (rows of a matrix ``B``) and the dual vectors ``a_j`` (columns of its
inverse), a point ``q = sum k_j b_j`` and a point ``r = sum u_j a_j`` have ``q . r = sum k_j u_j``: sampled
in the dual basis, the crystal's transform is separable although the scan's grid is skewed.
Vectors are in nm or 1/nm without a factor of 2 pi.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Zone of the object's sampling over the range wanted; above 1, streaks that leave the window don't fold back.
ZONE = 1.6
#: Standard deviation in object voxels of the smooth step at a surface, divided out again in reciprocal space.
EDGE = 0.6
#: Object voxels left free around the crystal: the smooth step's tail.
MARGIN = 3


@dataclass(frozen=True)
class ScanGeometry:
    """Directions of a rocking scan.

    Attributes
    ----------
    directions
        Unit vectors of the steps along (frame, row, col), as rows.
    diffraction
        Unit vector of the scattering vector.
    lever
        Length in 1/nm by which the scattering vector moves for one radian of the rocking angle.
    """

    directions: Floats
    diffraction: Floats
    lever: float


def draw_geometry(rng: np.random.Generator) -> ScanGeometry:
    """Draw energy, detector angles and rocking axis; the beam runs along z, y points up."""
    wavelength = 1.2398 / rng.uniform(7.0, 13.0)
    angles = np.radians([rng.uniform(15, 60), rng.uniform(0, 20)])
    horizontal = rng.random() < 0.5
    delta, gamma = angles if horizontal else angles[::-1]  # horizontal, vertical
    out = np.array([np.sin(delta) * np.cos(gamma), np.sin(gamma), np.cos(delta) * np.cos(gamma)])
    row = np.array([np.sin(delta) * np.sin(gamma), -np.cos(gamma), np.cos(delta) * np.sin(gamma)])
    col = np.array([np.cos(delta), 0.0, -np.sin(delta)])
    scattering = (out - [0.0, 0.0, 1.0]) / wavelength
    axis = np.array([0.0, 1.0, 0.0]) if horizontal else np.array([1.0, 0.0, 0.0])
    rocking = np.cross(axis, scattering)
    lever = float(np.linalg.norm(rocking))
    return ScanGeometry(
        directions=np.stack([rocking / lever, row, col]),
        diffraction=scattering / np.linalg.norm(scattering),
        lever=lever,
    )


@dataclass(frozen=True)
class ObjectGrid:
    """A grid in the dual basis that holds the crystal.

    Attributes
    ----------
    vectors
        Voxel edges in nm, as rows.
    origin
        Position in nm of voxel (0, 0, 0).
    fractions
        For each axis the coordinates ``u`` of the voxels.
    xp, device
        Array library (numpy or torch) and device on which fields are computed.
    """

    vectors: Floats
    origin: Floats
    fractions: tuple[Floats, Floats, Floats]
    xp: Any = np
    device: Any = "cpu"

    @property
    def shape(self) -> tuple[int, int, int]:
        a, b, c = (len(u) for u in self.fractions)
        return a, b, c

    def put(self, array: NDArray[Any]) -> Any:
        """`array` in the grid's library and on its device."""
        return self.xp.asarray(array, device=self.device)

    def linear(self, gradient: Floats, offset: float = 0.0) -> Any:
        """``gradient . r + offset`` at every voxel, float32."""
        slopes = self.vectors @ gradient
        parts = [slope * np.arange(n) for slope, n in zip(slopes, self.shape, strict=True)]
        parts[0] = parts[0] + gradient @ self.origin + offset
        x, y, z = (self.put(part.astype(np.float32)) for part in parts)
        return (x[:, None] + y)[:, :, None] + z

    def exponentials(self, weights: NDArray[Any], gradients: NDArray[Any]) -> Any:
        """Sum over k of ``weights[k] exp(gradients[k] . r)``: one matrix product.

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

    def random_field(self, rng: np.random.Generator, correlation: float, waves: int = 48) -> Any:
        """Gaussian-correlated random field of mean 0 and variance 1; `correlation` in nm."""
        gradients = 1j * rng.normal(size=(waves, 3)) / correlation
        weights = np.sqrt(2 / waves) * np.exp(2j * np.pi * rng.random(waves))
        return self.exponentials(weights, gradients).real


def object_grid(
    steps: Floats,
    vertices: Floats,
    reach: tuple[float, float, float],
    slack: float = 0.0,
    *,
    xp: Any = np,
    device: Any = "cpu",
) -> ObjectGrid:
    """Grid for a crystal, fine enough for a window.

    Parameters
    ----------
    steps
        (3, 3) reciprocal steps in 1/nm, as rows.
    vertices
        (n, 3) corners of the crystal in nm.
    reach
        Largest distance from the peak, in voxels of the scan, that is asked for along each axis.
    slack
        How far, in nm, the surface may lie outside the polyhedron.
    """
    dual = np.linalg.inv(steps).T
    shadows = vertices @ steps.T
    axes, edges = [], []
    for j in range(3):
        pitch = 1 / (2 * ZONE * reach[j])
        extra = MARGIN * pitch + slack * float(np.linalg.norm(steps[j]))
        low, high = shadows[:, j].min() - extra, shadows[:, j].max() + extra
        count = int(np.ceil((high - low) / pitch)) + 1
        axes.append((low + high) / 2 + pitch * (np.arange(count) - (count - 1) / 2))
        edges.append(dual[j] * pitch)
    origin = sum(axis[0] * vector for axis, vector in zip(axes, dual, strict=True))
    return ObjectGrid(
        vectors=np.stack(edges),
        origin=np.asarray(origin),
        fractions=(axes[0], axes[1], axes[2]),
        xp=xp,
        device=device,
    )
