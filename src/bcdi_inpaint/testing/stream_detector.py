"""A simulated detector of ophyd-async: StreamResource and StreamDatum documents, step and fly."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from ophyd_async.core import (
    DetectorAcquireLogic,
    DetectorDataLogic,
    DetectorTriggerLogic,
    StandardDetector,
    StreamResourceDataProvider,
    StreamResourceInfo,
    TriggerInfo,
    soft_signal_r_and_setter,
)

from .file_writers import FrameWriter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bluesky.utils import MsgGenerator

    from .devices import Exposure


class StreamDetector(StandardDetector):
    """A detector whose frames another process writes to SWMR HDF5, one file for each staging.

    Its data key is its name. Frames are readable before the StreamDatum that announces them.

    Parameters
    ----------
    expose
        Where frames come from: uniform in shape and dtype.
    folder
        Where its files go.
    writer
        The process that writes; one of its own if None. It is shut down by :meth:`close`.
    """

    def __init__(
        self, expose: Exposure, folder: Path, *, name: str, writer: FrameWriter | None = None
    ) -> None:
        self._acquisition = _Acquisition(expose, folder, writer or FrameWriter())
        self.add_detector_logics(
            _Trigger(self._acquisition), _Acquire(self._acquisition), _Data(self._acquisition)
        )
        super().__init__(name=name)

    def close(self) -> None:
        """Shut the writing process down."""
        self._acquisition.writer.shutdown()


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
    plan = bpp.run_wrapper(collect(), md=run)  # type: ignore[no-untyped-call]
    return (yield from bpp.stage_wrapper(plan, [detector]))  # type: ignore[no-untyped-call]


class _Acquisition:
    """What the three parts of the detector's logic share."""

    def __init__(self, expose: Exposure, folder: Path, writer: FrameWriter) -> None:
        self.expose = expose
        self.folder = folder
        self.writer = writer
        self.written, self.set_written = soft_signal_r_and_setter(int)
        self.exposures = 0
        self.number = 1
        self.period = 0.0

    def open(self, path: Path) -> None:
        frame = self.expose(0)
        self.writer.open(path, frame.shape, frame.dtype.str)
        self.exposures = 0
        self.set_written(0)

    async def run(self) -> None:
        for _ in range(self.number):
            frame = self.expose(self.exposures)
            await asyncio.sleep(self.period)
            written = await asyncio.to_thread(self.writer.write, frame)
            self.exposures += 1
            self.set_written(written)


class _Trigger(DetectorTriggerLogic):
    def __init__(self, acquisition: _Acquisition) -> None:
        self._acquisition = acquisition

    async def prepare_internal(self, num: int, livetime: float, deadtime: float) -> None:
        self._acquisition.number = num
        self._acquisition.period = livetime + deadtime


class _Acquire(DetectorAcquireLogic):
    def __init__(self, acquisition: _Acquisition) -> None:
        self._acquisition = acquisition
        self._task: asyncio.Task[None] | None = None

    async def start_acquiring(self) -> None:
        self._task = asyncio.create_task(self._acquisition.run())

    async def wait_for_idle(self) -> None:
        if self._task:
            await self._task

    async def ensure_stopped(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None


class _Data(DetectorDataLogic):
    def __init__(self, acquisition: _Acquisition) -> None:
        self._acquisition = acquisition

    async def prepare_unbounded(self, datakey_name: str) -> StreamResourceDataProvider:
        path = self._acquisition.folder / f"{uuid.uuid4()}{self._acquisition.writer.suffix}"
        await asyncio.to_thread(self._acquisition.open, path)
        frame = self._acquisition.expose(0)
        resource = StreamResourceInfo(
            data_key=datakey_name,
            shape=frame.shape,
            chunk_shape=(1, *frame.shape),
            dtype_numpy=frame.dtype.str,
            parameters={"dataset": self._acquisition.writer.dataset},
        )
        return StreamResourceDataProvider(
            uri=path.as_uri().replace("file:///", "file://localhost/"),
            resources=[resource],
            mimetype="application/x-hdf5",
            collections_written_signal=self._acquisition.written,
        )

    def get_hinted_fields(self, datakey_name: str) -> Sequence[str]:
        return [datakey_name]

    async def stop(self) -> None:
        await asyncio.to_thread(self._acquisition.writer.close)
