"""Where the voxels of a scan lie in reciprocal space.

All vectors are in the frame of NeXus and CXI: z along the beam, y up, x to the left for who looks along the beam.
A circle is told by the direction that it turns about, right-handed: ``x-`` is a turn about -x, which moves what lies
downstream up. With k = 2 pi / wavelength, q is k times the difference of the unit vectors to the pixel and along the
beam, turned back by the sample's circles (W. R. Busing and H. A. Levy, Acta Cryst. 22, 457 (1967)).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.base_error import BcdiInpaintError
from bcdi_inpaint.constants import METRE_EV

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from numpy.typing import NDArray

    from bcdi_inpaint.scans.rocking_scan import ScanMetadata

    Floats = NDArray[np.float64]

AXES = {
    "eta": "x-",
    "phi": "y-",
    "nu": "y-",
    "gamma": "y-",
    "delta": "x-",
    "rows": "y-",
    "cols": "x+",
}
"""Directions at ESRF ID01, as cdiutils has them (``Geometry``): circles, and rows and columns of the frames."""
TOLD = "axis_"
"""Entries of a start document that tell other ones: ``axis_ry: "y+"``, ``axis_cols: "x-"``."""
OUTER_FIRST = ("mu", "nu", "gamma", "theta", "th", "omega", "om", "eta", "delta", "chi", "phi")
"""Order in which circles carry each other; others are taken for outer ones."""
ALL = slice(None)
_UNIT = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


class GeometryUnknownError(BcdiInpaintError, ValueError):
    """A scan's metadata don't tell where its voxels lie in reciprocal space."""


@dataclass(frozen=True, slots=True, eq=False)
class QSpace:
    """Momentum transfer of a scan's voxels, in the frame of the sample with all its circles at zero.

    Attributes
    ----------
    turns
        ``(frame, 3, 3)``, from the sample's frame to the laboratory's.
    laboratory
        ``(3, row, col)``, q in the laboratory's, 1/angstrom.
    """

    turns: Floats
    laboratory: Floats

    @classmethod
    def of(
        cls,
        scan: ScanMetadata,
        angles: Floats | None,
        shape: tuple[int, int],
        axes: Mapping[str, str] | None = None,
    ) -> Self:
        """From what is known of a scan.

        Parameters
        ----------
        scan
            Energy, distance, pixel size, direct beam and angles of circles are needed; the start document may
            tell `axes` (see `TOLD`).
        angles
            ``(frame,)``, of the rocking motor, deg.
        shape
            ``(row, col)``.
        axes
            Directions, before those of the scan and of `AXES`: circle, ``rows`` or ``cols`` -> ``x+``, ``y-``, ...

        Raises
        ------
        GeometryUnknownError
            That lists what is missing.
        """
        known = {**axes_of(scan), **(axes or {})}
        if missing := _missing(scan, angles, known):
            raise GeometryUnknownError(
                f"q is not known: the scan doesn't tell {', '.join(missing)}"
            )
        assert angles is not None
        still = {name: np.full(len(angles), angle) for name, angle in scan.sample_angles.items()}
        turns = _rotation({**still, scan.motor: np.asarray(angles, float)}, known)
        return cls(turns, _in_the_laboratory(scan, shape, known))

    def vectors(
        self, frames: slice = ALL, rows: slice = ALL, cols: slice = ALL
    ) -> NDArray[np.float32]:
        """x, y and z of q, ``(3, frame, row, col)``, 1/angstrom."""
        laboratory, turns = self.laboratory[:, rows, cols], self.turns[frames]
        q = np.empty((3, len(turns), *laboratory.shape[1:]), np.float32)
        for frame, turn in enumerate(turns):
            q[:, frame] = np.tensordot(turn.T, laboratory, 1)  # turned back
        return q


def detector_rotation(scan: ScanMetadata, axes: Mapping[str, str]) -> Floats:
    """Turn of the detector's arms, ``(3, 3)``."""
    arms = {name: np.full(1, angle) for name, angle in scan.detector_angles.items()}
    rotation: Floats = _rotation(arms, axes)[0]
    return rotation


def direction(told: str) -> Floats:
    """The unit vector of ``x+``, ``y-``, ...

    Raises
    ------
    ValueError
        If it is none of these.
    """
    found = re.fullmatch(r"([xyz])([+-])", told)
    if found is None:
        raise ValueError(f"{told!r} is no direction; takes x+, x-, y+, y-, z+ or z-")
    return np.array(_UNIT[found[1]]) * (1 if found[2] == "+" else -1)


def axes_of(scan: ScanMetadata) -> dict[str, str]:
    """What circles turn about, as the start document tells, else as at ID01."""
    told = {
        key.removeprefix(TOLD): value
        for key, value in scan.extra.items()
        if key.startswith(TOLD) and isinstance(value, str)
    }
    return {**AXES, **told}


def axis_of(name: str, axes: Mapping[str, str]) -> str | None:
    """What a circle turns about, by its whole name or the last word of it; None if nobody says."""
    return axes.get(name) or axes.get(_last_word(name))


def outer_first(circles: Iterable[str]) -> list[str]:
    """Circles in the order in which they carry each other."""
    return sorted(circles, key=_place)


def _missing(scan: ScanMetadata, angles: Floats | None, axes: Mapping[str, str]) -> list[str]:
    needed = {
        "the photon energy": scan.energy,
        "the distance of the detector": scan.distance,
        "the pixel size": scan.pixel_size,
        "the direct beam": scan.direct_beam,
        "the rocking angles": angles,
        "the detector's angles": scan.detector_angles or None,
    }
    turned = {
        name
        for name, angle in (*scan.sample_angles.items(), *scan.detector_angles.items())
        if angle
    }
    circles = [name for name in sorted({*turned, scan.motor} - {""}) if axis_of(name, axes) is None]
    return [
        *(what for what, value in needed.items() if value is None),
        *(f"what {name} turns about ({TOLD}{_last_word(name)})" for name in circles),
    ]


def _in_the_laboratory(
    scan: ScanMetadata, shape: tuple[int, int], axes: Mapping[str, str]
) -> Floats:
    """q at every pixel ``(3, row, col)``, before the sample's circles, 1/angstrom."""
    assert scan.energy is not None
    assert scan.distance is not None
    assert scan.pixel_size is not None
    assert scan.direct_beam is not None
    origin = (0, 0) if scan.roi is None else (scan.roi[0][0], scan.roi[1][0])
    down, across = (
        # The centre of a binned pixel, in pixels of the full frame from the direct beam.
        (origin[i] + (np.arange(shape[i]) + 0.5) * scan.binning[i] - 0.5 - scan.direct_beam[i])
        * scan.pixel_size[i]
        for i in range(2)
    )
    rows, cols = direction(axes["rows"]), direction(axes["cols"])
    pixels = (
        rows[:, None, None] * down[:, None]
        + cols[:, None, None] * across
        + scan.distance * np.array(_UNIT["z"])[:, None, None]
    )
    pixels = np.einsum("ij,jrc->irc", detector_rotation(scan, axes), pixels)
    outgoing = pixels / np.linalg.norm(pixels, axis=0)
    wave_number = 2 * math.pi / (METRE_EV * 1e10 / scan.energy)
    laboratory: Floats = wave_number * (outgoing - np.array(_UNIT["z"])[:, None, None])
    return laboratory


def _rotation(circles: Mapping[str, Floats], axes: Mapping[str, str]) -> Floats:
    """The turn that circles make together, ``(n, 3, 3)``, of angles ``(n,)`` in degrees."""
    from scipy.spatial.transform import Rotation

    total = Rotation.identity()
    for name in outer_first(circles):
        if (axis := axis_of(name, axes)) is not None:
            turn = np.radians(circles[name])[:, None] * direction(axis)
            total = total * Rotation.from_rotvec(turn)
    turns: Floats = total.as_matrix().reshape(-1, 3, 3)
    return turns


def _place(name: str) -> int:
    word = _last_word(name)
    return OUTER_FIRST.index(word) if word in OUTER_FIRST else -1


def _last_word(name: str) -> str:
    return re.split(r"[-_.]", name.casefold())[-1]
