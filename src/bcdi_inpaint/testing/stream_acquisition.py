"""How the simulated detector of ophyd-async takes frames, and where they go."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from ophyd_async.core import (
    DetectorAcquireLogic,
    DetectorDataLogic,
    DetectorTriggerLogic,
    Device,
    StreamResourceDataProvider,
    StreamResourceInfo,
    soft_signal_r_and_setter,
    soft_signal_rw,
)

from .file_writers import ATTRIBUTES, FrameWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from .devices import Exposure


class Driver(Device):
    """What areaDetector's driver says of the camera: whose gaps the frames have, and what part of them they show."""

    def __init__(self, model: str, region: tuple[tuple[int, int], tuple[int, int]] | None) -> None:
        (row0, row1), (col0, col1) = region or ((0, 0), (0, 0))
        self.model, _ = soft_signal_r_and_setter(str, model)
        self.min_y, _ = soft_signal_r_and_setter(int, row0)
        self.size_y, _ = soft_signal_r_and_setter(int, row1 - row0)
        self.min_x, _ = soft_signal_r_and_setter(int, col0)
        self.size_x, _ = soft_signal_r_and_setter(int, col1 - col0)
        self.acquire_time = soft_signal_rw(float, 0.0, units="s")
        super().__init__()


class Acquisition:
    """What the three parts of the detector's logic share."""

    def __init__(
        self,
        expose: Exposure,
        folder: Path,
        writer: FrameWriter,
        attributes: Mapping[str, Callable[[], float]],
    ) -> None:
        self.expose = expose
        self.folder = folder
        self.writer = writer
        self.attributes = attributes
        self.triggered = False
        self.edges = asyncio.Semaphore(0)
        self.written, self.set_written = soft_signal_r_and_setter(int)
        self.exposures = 0
        self.number = 1
        self.period = 0.0

    def open(self, path: Path) -> None:
        frame = self.expose(0)
        self.writer.open(path, frame.shape, frame.dtype.str, tuple(self.attributes))
        self.exposures = 0
        self.set_written(0)

    async def run(self) -> None:
        """Take frames one after the other, each as things are in the middle of its exposure."""
        began, first = time.monotonic(), self.exposures
        for _ in range(self.number):
            if self.triggered:
                await self.edges.acquire()
                due = time.monotonic()
            else:
                due = began + (self.exposures - first) * self.period
            await asyncio.sleep(due + self.period / 2 - time.monotonic())
            frame = self.expose(self.exposures)
            numbers = {name: read() for name, read in self.attributes.items()}
            await asyncio.sleep(due + self.period - time.monotonic())
            written = await asyncio.to_thread(self.writer.write, frame, **numbers)
            self.exposures += 1
            self.set_written(written)


class Trigger(DetectorTriggerLogic):
    """How it is told to take frames: by its own clock, or by edges."""

    def __init__(self, acquisition: Acquisition, driver: Driver) -> None:
        self._acquisition = acquisition
        self._driver = driver

    async def prepare_internal(self, num: int, livetime: float, deadtime: float) -> None:
        if livetime:
            await self._driver.acquire_time.set(livetime)
        self._acquisition.triggered = False
        self._acquisition.number = num
        self._acquisition.period = await self._driver.acquire_time.get_value() + deadtime

    async def prepare_edge(self, num: int, livetime: float) -> None:
        await self.prepare_internal(num, livetime, 0.0)
        self._acquisition.triggered = True
        self._acquisition.edges = asyncio.Semaphore(0)


class Acquire(DetectorAcquireLogic):
    """Taking them."""

    def __init__(self, acquisition: Acquisition) -> None:
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


class Data(DetectorDataLogic):
    """Where they go, and what documents say of that."""

    def __init__(self, acquisition: Acquisition) -> None:
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
        numbers = [
            StreamResourceInfo(
                data_key=name,
                shape=(),
                chunk_shape=(1024,),
                dtype_numpy="<f8",
                parameters={"dataset": f"{ATTRIBUTES}/{name}"},
            )
            for name in self._acquisition.attributes
        ]
        return StreamResourceDataProvider(
            uri=path.as_uri().replace("file:///", "file://localhost/"),
            resources=[resource, *numbers],
            mimetype="application/x-hdf5",
            collections_written_signal=self._acquisition.written,
        )

    def get_hinted_fields(self, datakey_name: str) -> Sequence[str]:
        return [datakey_name]

    async def stop(self) -> None:
        await asyncio.to_thread(self._acquisition.writer.close)
