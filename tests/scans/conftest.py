"""A small scan, and each way in which a beamline may record it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import bluesky.plans as bp
import numpy as np
import pytest
from ophyd.sim import SynAxis

from bcdi_inpaint.simulate.beamline import AreaDetector, ArrayDetector, at_motor, in_order
from bcdi_inpaint.simulate.stream_detector import StreamDetector, fly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

ANGLES = np.linspace(20.0, 20.5, 6)


@pytest.fixture
def angles() -> NDArray[np.float64]:
    return ANGLES


@pytest.fixture
def stack() -> NDArray[np.uint32]:
    """Six frames of counts."""
    return np.random.default_rng(0).poisson(30, (6, 20, 24)).astype(np.uint32)


@pytest.fixture
def motor() -> SynAxis:
    return SynAxis(name="eta", egu="deg")


@pytest.fixture
def rock(motor) -> Callable:
    """A step scan of a detector over ``angles``."""

    def plan(detector, **metadata):
        return bp.scan([detector], motor, ANGLES[0], ANGLES[-1], len(ANGLES), md=metadata)

    return plan


@pytest.fixture
def flavours(stack, motor, rock, detector_files) -> Iterator[Callable]:
    """Name of a flavour -> its data key and plan."""
    with ExitStack() as stack_of_detectors:

        def flavour(name):
            here = at_motor(stack, ANGLES, motor)
            match name:
                case "array in events":
                    return "det", rock(ArrayDetector(here, name="det"))
                case "resource and datum":
                    detector = AreaDetector(here, detector_files, name="det")
                    stack_of_detectors.callback(detector.close)
                    return "det_image", rock(detector)
                case "several frames a point":
                    detector = AreaDetector(in_order(stack), detector_files, name="det")
                    detector.cam.num_images.put(3)
                    stack_of_detectors.callback(detector.close)
                    return "det_image", rock(detector)
                case "stream, step":
                    detector = StreamDetector(here, detector_files, name="eiger2-1")
                    stack_of_detectors.callback(detector.close)
                    return "eiger2-1", rock(detector)
                case "stream, fly":
                    detector = StreamDetector(in_order(stack), detector_files, name="eiger2-1")
                    stack_of_detectors.callback(detector.close)
                    return "eiger2-1", fly(detector, len(stack))
            raise ValueError(name)

        yield flavour
