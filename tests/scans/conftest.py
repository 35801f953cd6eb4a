"""A small scan, and the detectors that may record it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bluesky.plans as bp
import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis

from bcdi_inpaint.scans import RunDocuments
from bcdi_inpaint.testing.devices import AreaDetector, ArrayDetector, at_motor, in_order
from bcdi_inpaint.testing.file_writers import FrameWriter
from bcdi_inpaint.testing.stream_detector import StreamDetector

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
def rock(motor) -> Callable[..., Any]:
    """A step scan of a detector over ``angles``."""

    def plan(*detectors, **metadata):
        return bp.scan(detectors, motor, ANGLES[0], ANGLES[-1], len(ANGLES), md=metadata)

    return plan


@dataclass(frozen=True)
class Recording:
    """What is left of a run: its documents as they came, and its client."""

    documents: tuple[tuple[str, dict[str, Any]], ...]
    run: Any

    def replayed(self) -> RunDocuments:
        documents = RunDocuments()
        for name, document in self.documents:
            documents(name, document)
        return documents


@pytest.fixture
def beam_lost() -> type[Exception]:
    """What goes wrong in a plan; ``record`` takes it in its stride."""
    return BeamLostError


@pytest.fixture
def record(RE, raw) -> Callable[..., Recording]:
    """Run a plan with ``TiledWriter`` subscribed; a scan that fails is recorded as far as it got."""
    RE.subscribe(TiledWriter(raw))

    def run(plan) -> Recording:
        documents = []
        with suppress(BeamLostError, RunEngineInterrupted):
            RE(plan, lambda name, document: documents.append((name, document)))
        if RE.state == "paused":
            RE.resume()
        return Recording(tuple(documents), raw[documents[0][1]["uid"]])

    return run


class BeamLostError(Exception):
    """What goes wrong in a plan."""


@pytest.fixture(scope="session")
def frame_writer() -> Iterator[FrameWriter]:
    """The process that writes all detectors' files, one after the other."""
    with FrameWriter() as writer:
        yield writer


@pytest.fixture
def open_detector(detector_files, frame_writer) -> Callable:
    """Make a detector that writes files."""

    def make(kind, expose, name, **options):
        return kind(expose, detector_files, name=name, writer=frame_writer, **options)

    return make


@pytest.fixture
def area_detector(open_detector, stack, motor) -> AreaDetector:
    return open_detector(AreaDetector, at_motor(stack, ANGLES, motor), "det")


@pytest.fixture
def stream_detector(open_detector, stack, motor) -> StreamDetector:
    return open_detector(StreamDetector, at_motor(stack, ANGLES, motor), "eiger2-1")


@pytest.fixture
def flying_detector(open_detector, stack) -> StreamDetector:
    return open_detector(StreamDetector, in_order(stack), "eiger2-1")


@pytest.fixture
def array_detector(stack, motor) -> ArrayDetector:
    return ArrayDetector(at_motor(stack, ANGLES, motor), name="det")
