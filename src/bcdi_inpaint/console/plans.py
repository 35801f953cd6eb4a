"""The plans of a rocking scan, in steps and on the fly, for RunEngine, queueserver and blueapi alike.

Their arguments are plain JSON values and device names, so that they can be called over a network; their
metadata are what filling and phase retrieval need.
"""

# Annotations are objects here, not text (no `from __future__ import annotations`), and bare: the
# queueserver describes plans by what it finds in the signature, blueapi compares with MsgGenerator.
# mypy: disable-error-code="type-arg"

from typing import Any

from bluesky import plan_stubs as bps
from bluesky import plans as bp
from bluesky import preprocessors as bpp
from bluesky.protocols import Flyable, Movable, Readable
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
    metadata: dict[str, Any] | None = None,
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
    md = _metadata(
        "bcdi_rocking_scan", sample, energy, distance, sample_angles, detector_angles, roi, metadata
    )
    if exposure is not None:
        driver = getattr(detector, "cam", None) or detector.driver  # type: ignore[attr-defined]
        yield from bps.mv(driver.acquire_time, exposure)
    return (yield from bp.rel_scan([detector], motor, -half_width, half_width, points, md=md))


def bcdi_rocking_fly(
    detector: Flyable,
    motor: Flyable,
    half_width: float = 0.12,
    points: int = 64,
    exposure: float = 0.1,
    trigger: Flyable | None = None,
    sample: str = "",
    energy: float | None = None,
    distance: float | None = None,
    sample_angles: dict[str, float] | None = None,
    detector_angles: dict[str, float] | None = None,
    roi: list[list[int]] | None = None,
    metadata: dict[str, Any] | None = None,
) -> MsgGenerator:
    """Rock a crystal through its Bragg peak at constant speed while frames are taken, and go back.

    The frames are those of `bcdi_rocking_scan`, each spread over a step. Their angles are what the detector records with each frame
    under the motor's name and ``_readback`` (an NDAttribute of areaDetector). For devices of ophyd-async.

    Parameters
    ----------
    detector
        The area detector.
    motor
        The rocking motor.
    half_width
        Degrees to either side of where it stands.
    points
        Number of frames.
    exposure
        Seconds a frame.
    trigger
        What sends the detector a trigger for each frame, such as a PandA's flyer that has been prepared; the detector's
        own clock if None.
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
    from ophyd_async.core import DetectorTrigger, FlyMotorInfo, TriggerInfo

    name = motor.name
    md = {
        "detectors": [detector.name],
        "motors": [name],
        "num_points": points,
        "hints": {"dimensions": [([f"{name}_readback"], "primary")]},
        **_metadata(
            "bcdi_rocking_fly",
            sample,
            energy,
            distance,
            sample_angles,
            detector_angles,
            roi,
            metadata,
        ),
    }
    centre = yield from bps.rd(motor)
    half_step = half_width / (points - 1)
    move = FlyMotorInfo(
        start_position=centre - half_width - half_step,
        end_position=centre + half_width + half_step,
        time_for_move=points * exposure,
    )
    by = DetectorTrigger.INTERNAL if trigger is None else DetectorTrigger.EXTERNAL_EDGE
    frames = TriggerInfo(number_of_events=points, livetime=exposure, trigger=by)
    flyers = [motor, detector, *([] if trigger is None else [trigger])]

    def fly() -> MsgGenerator:
        yield from bps.prepare(detector, frames, group="prepare")
        yield from bps.prepare(motor, move, group="prepare")
        yield from bps.wait("prepare")
        yield from bps.declare_stream(detector, name="primary")
        yield from bps.kickoff_all(*flyers, wait=True)
        yield from bps.collect_while_completing(
            flyers, [detector], flush_period=0.5, stream_name="primary"
        )

    plan = bpp.stage_wrapper(bpp.run_wrapper(fly(), md=md), [detector])  # type: ignore[no-untyped-call]
    return (yield from bpp.finalize_wrapper(plan, bps.mv(motor, centre)))  # type: ignore[no-untyped-call]


def _metadata(
    plan: str,
    sample: str,
    energy: float | None,
    distance: float | None,
    sample_angles: dict[str, float] | None,
    detector_angles: dict[str, float] | None,
    roi: list[list[int]] | None,
    more: dict[str, object] | None,
) -> dict[str, object]:
    """What the start document says; what is not known is absent."""
    known = {
        "sample_name": sample or None,
        "incident_energy": energy,
        "detector_distance": distance,
        "sample_angles": sample_angles,
        "detector_angles": detector_angles,
        "roi": roi,
    }
    return {
        "plan_name": plan,
        "bcdi_inpaint": True,
        **{name: value for name, value in known.items() if value is not None},
        **(more or {}),
    }
