"""The demonstration's two ways to scan: in steps, and on the fly."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from bcdi_inpaint.testing.devices import AreaDetector, at_motor, in_order, with_gaps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bluesky.utils import MsgGenerator

    from .experiment import Experiment

EXPOSURE = 0.05
"""Seconds a frame of a fly scan."""


@contextmanager
def in_steps(experiment: Experiment, files: Path) -> Iterator[MsgGenerator[Any]]:
    """Have the devices of ophyd, and a plan that stops the motor for each frame (Events, Datums)."""
    from bluesky.plans import scan
    from ophyd.sim import SynAxis

    recorded = with_gaps(experiment.counts, experiment.mask)
    angles = experiment.angles
    motor = SynAxis(name="eta", egu="deg", value=float(angles[0]))
    exposure = at_motor(recorded, angles, motor)
    with AreaDetector(exposure, files, name="det", model=experiment.detector) as detector:
        yield scan([detector], motor, angles[0], angles[-1], len(angles))


@contextmanager
def on_the_fly(experiment: Experiment, files: Path) -> Iterator[MsgGenerator[Any]]:
    """Have those of ophyd-async, and a plan that never stops the motor (StreamDatums).

    The detector is triggered where a frame's step begins, and records the motor's angle with each frame.

    Raises
    ------
    ImportError
        If ophyd-async is absent.
    """
    import bluesky.plan_stubs as bps

    from bcdi_inpaint.console.plans import bcdi_rocking_fly

    try:
        from bcdi_inpaint.testing.stream_detector import Axis, PositionTrigger, StreamDetector
    except ImportError as error:
        raise ImportError(
            f"a fly scan needs ophyd-async: pip install 'bcdi-inpaint[ophyd-async]' ({error})"
        ) from error

    points = len(experiment.angles)
    first, last = float(experiment.angles[0]), float(experiment.angles[-1])
    step = (last - first) / (points - 1)
    motor = Axis("eta")
    detector = StreamDetector(
        in_order(with_gaps(experiment.counts, experiment.mask)),
        files,
        name="det",
        model=experiment.detector,
        attributes={"eta_readback": lambda: motor.position},
    )
    edges = [first + (n - 0.5) * step for n in range(points)]
    trigger = PositionTrigger(detector, motor, edges, name="edges")

    def plan() -> MsgGenerator[Any]:
        yield from bps.mv(motor, (first + last) / 2)
        half_width = (last - first) / 2
        return (
            yield from bcdi_rocking_fly(
                detector, motor, half_width, points, EXPOSURE, trigger=trigger
            )
        )

    with closing(detector):
        yield plan()
