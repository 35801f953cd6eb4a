"""A simulated detector and motor of ophyd-async: StreamResource and StreamDatum documents, step and fly."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bluesky.protocols import Flyable, Preparable
from ophyd_async.core import (
    AsyncStatus,
    FlyMotorInfo,
    StandardDetector,
    StandardReadable,
    soft_signal_r_and_setter,
)
from ophyd_async.core import StandardReadableFormat as Format

from .file_writers import FrameWriter
from .stream_acquisition import Acquire, Acquisition, Data, Driver, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from .devices import Exposure


class Axis(StandardReadable, Preparable, Flyable):
    """A motor that is at once where it is set, and that a fly scan moves at constant speed."""

    def __init__(self, name: str, *, units: str = "deg") -> None:
        with self.add_children_as_readables(Format.HINTED_SIGNAL):
            self.user_readback, self._set_readback = soft_signal_r_and_setter(float, units=units)
        self._move = FlyMotorInfo(start_position=0.0, end_position=0.0, time_for_move=1.0)
        self._began: float | None = None
        super().__init__(name=name)
        self.user_readback.set_name(name)

    @property
    def position(self) -> float:
        """Where it stands."""
        share = 0.0 if self._began is None else time.monotonic() - self._began
        share = min(share / self._move.time_for_move, 1.0)
        start, end = self._move.start_position, self._move.end_position
        return start + share * (end - start)

    @AsyncStatus.wrap
    async def set(self, value: float) -> None:
        """Be there."""
        self._stand(FlyMotorInfo(start_position=value, end_position=value, time_for_move=1.0))

    @AsyncStatus.wrap
    async def prepare(self, value: FlyMotorInfo) -> None:
        """Go to where a move begins."""
        self._stand(value)

    @AsyncStatus.wrap
    async def kickoff(self) -> None:
        """Begin the move."""
        self._began = time.monotonic()

    @AsyncStatus.wrap
    async def complete(self) -> None:
        """Wait for its end."""
        if self._began is not None:
            await asyncio.sleep(self._began + self._move.time_for_move - time.monotonic())
        self._set_readback(self.position)

    def _stand(self, move: FlyMotorInfo) -> None:
        self._move, self._began = move, None
        self._set_readback(self.position)


class PositionTrigger:
    """Sends a detector an edge each time that a motor comes to the next of some positions, as a PandA does.

    The positions rise or fall throughout, as the motor moves.
    """

    parent = None

    def __init__(
        self, detector: StreamDetector, axis: Axis, positions: Sequence[float], *, name: str
    ) -> None:
        self.name = name
        self._detector = detector
        self._axis = axis
        self._positions = positions
        self._task: asyncio.Task[None] | None = None

    @AsyncStatus.wrap
    async def kickoff(self) -> None:
        """Watch the motor."""
        self._task = asyncio.create_task(self._watch())

    @AsyncStatus.wrap
    async def complete(self) -> None:
        """Wait for the last edge."""
        if self._task is not None:
            await self._task

    async def _watch(self) -> None:
        sign = 1 if self._positions[-1] >= self._positions[0] else -1
        for position in self._positions:
            while sign * self._axis.position < sign * position:
                await asyncio.sleep(0.001)
            self._detector.edge()


class StreamDetector(StandardDetector):
    """A detector whose frames another process writes to SWMR HDF5, one file for each staging.

    Its data key is its name. Frames are readable before the StreamDatum that announces them.

    Parameters
    ----------
    expose
        Where frames come from: uniform in shape and dtype.
    folder
        Where its files go.
    model
        What its driver says it is; a key of ``bcdi_inpaint.geometry`` lets a scan be masked without more ado.
    region
        Half-open rows and columns of the full frame that are recorded; None = not said.
    attributes
        Numbers that are recorded with each frame, by data key, as areaDetector's NDAttributes are: what gives a fly
        scan its angles.
    writer
        The process that writes; one of its own if None. It is shut down by :meth:`close`.
    """

    def __init__(
        self,
        expose: Exposure,
        folder: Path,
        *,
        name: str,
        model: str = "",
        region: tuple[tuple[int, int], tuple[int, int]] | None = None,
        attributes: Mapping[str, Callable[[], float]] | None = None,
        writer: FrameWriter | None = None,
    ) -> None:
        self.driver = Driver(model, region)
        self._acquisition = Acquisition(expose, folder, writer or FrameWriter(), attributes or {})
        self.add_detector_logics(
            Trigger(self._acquisition, self.driver),
            Acquire(self._acquisition),
            Data(self._acquisition),
        )
        driver = self.driver
        self.add_config_signals(
            *(driver.model, driver.min_y, driver.size_y, driver.min_x, driver.size_x),
            driver.acquire_time,
        )
        super().__init__(name=name)

    def edge(self) -> None:
        """Have it take a frame, when it has been prepared to wait for edges."""
        self._acquisition.edges.release()

    def close(self) -> None:
        """Shut the writing process down."""
        self._acquisition.writer.shutdown()
