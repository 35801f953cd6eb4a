"""The plan of a rocking scan, for RunEngine, queueserver and blueapi alike.

Its arguments are plain JSON values and device names, so that it can be called over a network; its
metadata are what filling and phase retrieval need.
"""

# Annotations are objects here, not text (no `from __future__ import annotations`), and bare: the
# queueserver describes plans by what it finds in the signature, blueapi compares with MsgGenerator.
# mypy: disable-error-code="type-arg"

from bluesky import plan_stubs as bps
from bluesky import plans as bp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator


def bcdi_rocking_scan(
    detector: Readable,
    motor: Movable,
    half_width: float = 0.12,
    points: int = 64,
    exposure: float | None = None,
    sample: str = "",
    energy: float | None = None,
    distance: float | None = None,
    sample_angles: dict[str, float] | None = None,
    detector_angles: dict[str, float] | None = None,
    roi: list[list[int]] | None = None,
    metadata: dict[str, object] | None = None,
) -> MsgGenerator:
    """Rock a crystal through its Bragg peak, about where the motor stands, and go back there.

    Parameters
    ----------
    detector
        The area detector.
    motor
        The rocking motor.
    half_width
        Degrees to either side.
    points
        Number of frames.
    exposure
        Seconds a frame; as the detector is set if None.
    sample
        Its name.
    energy
        Photon energy in eV.
    distance
        Sample to detector in m.
    sample_angles, detector_angles
        Circles that stand still, by name, in degrees.
    roi
        ``[[row0, row1], [col0, col1]]`` of the full, unbinned frame that is recorded; as the
        camera says if None.
    metadata
        Anything else for the start document.
    """
    known = {
        "sample_name": sample or None,
        "incident_energy": energy,
        "detector_distance": distance,
        "sample_angles": sample_angles,
        "detector_angles": detector_angles,
        "roi": roi,
    }
    md = {
        "plan_name": "bcdi_rocking_scan",
        "bcdi_inpaint": True,
        **{name: value for name, value in known.items() if value is not None},
        **(metadata or {}),
    }
    if exposure is not None:
        yield from bps.mv(detector.cam.acquire_time, exposure)  # type: ignore[attr-defined]
    return (yield from bp.rel_scan([detector], motor, -half_width, half_width, points, md=md))
