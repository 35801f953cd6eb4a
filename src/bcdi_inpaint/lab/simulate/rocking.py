"""Geometry of a rocking scan: where its voxels lie in reciprocal space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

PLANCK_TIMES_LIGHT = 1.239842
"""keV nm."""


@dataclass(frozen=True)
class Rocking:
    """Directions of a rocking scan, which aren't orthogonal: the angle's step leaves the detector's plane
    by the Bragg angle or so.

    Vectors of reciprocal space are in 1/nm without a factor of 2 pi.

    Attributes
    ----------
    directions
        (3, 3) unit vectors of the steps along (frame, row, col), as rows.
    diffraction
        (3,) unit vector of the scattering vector.
    lever
        Length in 1/nm by which the scattering vector moves for one radian of the rocking angle.
    """

    directions: Floats
    diffraction: Floats
    lever: float

    def steps(self, oversampling: tuple[float, float, float], points: Floats) -> Floats:
        """(3, 3) step vectors in 1/nm, as rows, that oversample an object as wanted.

        The object is given by `points`, (n, 3) in nm. Oversampling along an axis is the inverse of
        the object's width along it, in units of the inverse step: the period in steps of its fringes.
        """
        widths = np.ptp(points @ self.directions.T, axis=0)
        lengths = 1 / (np.array(oversampling) * widths)
        return np.asarray(self.directions * lengths[:, None])

    def angle_step(self, steps: Floats) -> float:
        """Step of the rocking angle in degrees."""
        return float(np.degrees(np.linalg.norm(steps[0]) / self.lever))


def draw_rocking(rng: np.random.Generator) -> Rocking:
    """Draw photon energy, detector angles and rocking axis; the beam runs along z, y points up."""
    wavelength = PLANCK_TIMES_LIGHT / rng.uniform(7.0, 13.0)
    main, minor = np.radians(rng.uniform((15, 0), (60, 20)))
    horizontal = rng.random() < 0.5
    delta, gamma = (main, minor) if horizontal else (minor, main)  # sideways, upwards
    out = np.array([np.sin(delta) * np.cos(gamma), np.sin(gamma), np.cos(delta) * np.cos(gamma)])
    row = np.array([np.sin(delta) * np.sin(gamma), -np.cos(gamma), np.cos(delta) * np.sin(gamma)])
    col = np.array([np.cos(delta), 0.0, -np.sin(delta)])
    scattering = (out - [0.0, 0.0, 1.0]) / wavelength
    axis = np.array([0.0, 1.0, 0.0]) if horizontal else np.array([1.0, 0.0, 0.0])
    rocking = np.cross(axis, scattering)
    lever = float(np.linalg.norm(rocking))
    return Rocking(
        directions=np.stack([rocking / lever, row, col]),
        diffraction=scattering / np.linalg.norm(scattering),
        lever=lever,
    )
