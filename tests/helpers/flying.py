"""A fly scan in which the simulated detector of ophyd-async runs by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from ophyd_async.core import TriggerInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluesky.utils import MsgGenerator

    from bcdi_inpaint.testing.stream_detector import StreamDetector


def fly(
    detector: StreamDetector,
    points: int,
    *,
    frames_per_point: int = 1,
    period: float = 0.0,
    md: Mapping[str, object] | None = None,
) -> MsgGenerator[Any]:
    """Plan: ``points`` collected while the detector runs by itself, one every ``period`` seconds.

    No Event documents are made and no motor is recorded, as in an ad-hoc fly scan.
    """

    def collect() -> MsgGenerator[None]:
        trigger = TriggerInfo(
            number_of_events=points, collections_per_event=frames_per_point, livetime=period
        )
        yield from bps.prepare(detector, trigger, wait=True)
        yield from bps.declare_stream(detector, name="primary")
        yield from bps.kickoff(detector, wait=True)
        yield from bps.collect_while_completing(
            flyers=[detector], dets=[detector], flush_period=0.1, stream_name="primary"
        )

    run = {"plan_name": "fly", "detectors": [detector.name], **(md or {})}
    plan = bpp.run_wrapper(collect(), md=run)
    return (yield from bpp.stage_wrapper(plan, [detector]))
