"""A motor record and two areaDetectors, as their IOCs serve them, on loopback: PREFIX.

PVs have the names of the motor record and of ADCore 3.4, as far as a step scan touches them, and do
what those do on a put. The same crystal turns with the motor before both detectors; frames are written
to HDF5 by another process.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np
from caproto import ChannelType
from caproto.asyncio.server import start_server
from caproto.ioc_examples.fake_motor_record import FakeMotor
from caproto.server import PVGroup, SubGroup, get_pv_pair_wrapper, pvproperty

from bcdi_inpaint.testing.file_writers import FrameWriter

SHAPE = (40, 48)
"""Rows and columns that are recorded."""
CORNER = (240, 236)
"""Where these begin on the full frame of a maxipix_2x2, whose cross is among them."""
PEAK = (17, 21)
"""Row and column of the Bragg peak, which the cross hides, and its size in pixels and degrees."""
SIZE = (9.0, 9.0, 0.05)

pair = get_pv_pair_wrapper(setpoint_suffix="", readback_suffix="_RBV")


def menu(name, *words):
    """A choice and its readback."""
    return pair(name=name, value=words[0], dtype=ChannelType.ENUM, enum_strings=words)


def text(name, value):
    """A text that may have more than 40 characters, and its readback."""
    return pair(name=name, value=value, dtype=ChannelType.CHAR, max_length=256)


def readback(name, value):
    """What can't be set."""
    dtype = ChannelType.STRING if isinstance(value, str) else None
    return pvproperty(name=f"{name}_RBV", value=value, dtype=dtype, read_only=True)


def frame(angle):
    """Counts ``(row, col)`` when the crystal stands at an angle."""
    row, col = np.indices(SHAPE)
    away = [(row - PEAK[0]) / SIZE[0], (col - PEAK[1]) / SIZE[1], angle / SIZE[2]]
    rate = 2000 * np.exp(-sum(np.square(x) for x in away)) + 0.5
    return np.random.default_rng().poisson(rate).astype(np.uint32)


class Camera(PVGroup):
    """The driver."""

    port = readback("PortName", "CAM")
    manufacturer = readback("Manufacturer", "Simulated")
    model = readback("Model", "")
    array_y, array_x = readback("ArraySizeY", SHAPE[0]), readback("ArraySizeX", SHAPE[1])
    min_y, min_x = pair(name="MinY", value=CORNER[0]), pair(name="MinX", value=CORNER[1])
    size_y, size_x = pair(name="SizeY", value=SHAPE[0]), pair(name="SizeX", value=SHAPE[1])
    bin_y, bin_x = pair(name="BinY", value=1), pair(name="BinX", value=1)
    data_type = menu("DataType", "UInt32")
    data_type_disabled = pvproperty(name="DataType_RBV.DISA", value=0)
    image_mode = menu("ImageMode", "Single", "Multiple", "Continuous")
    array_callbacks = menu("ArrayCallbacks", "Disable", "Enable")
    acquire_time = pair(name="AcquireTime", value=0.001)
    num_images = pair(name="NumImages", value=1)
    array_counter = pair(name="ArrayCounter", value=0)
    acquire = menu("Acquire", "Done", "Acquire")

    @acquire.setpoint.putter  # type: ignore[no-redef]
    async def acquire(self, instance, value):
        await self.readback.write(value)
        if value == "Acquire":
            await self.parent.expose()
            await self.readback.write("Done")
            value = "Done"
        return value

    async def expose(self):
        detector = self.parent
        for _ in range(self.num_images.readback.value):
            await asyncio.sleep(self.acquire_time.readback.value)
            counts = frame(detector.parent.angle)
            await detector.hdf5.take(counts)
            await detector.stats.take(counts)
            await self.array_counter.readback.write(self.array_counter.readback.value + 1)


class Plugin(PVGroup):
    """What all plugins have."""

    nd_array_port = pair(name="NDArrayPort", value="CAM", dtype=ChannelType.STRING)
    width, height = readback("ArraySize0", SHAPE[1]), readback("ArraySize1", SHAPE[0])
    depth = readback("ArraySize2", 0)
    enable = menu("EnableCallbacks", "Disable", "Enable")
    blocking = menu("BlockingCallbacks", "No", "Yes")


class StatsPlugin(Plugin):
    """NDPluginStats."""

    port, plugin_type = readback("PortName", "STATS"), readback("PluginType", "NDPluginStats")
    compute = menu("ComputeStatistics", "No", "Yes")
    total = readback("Total", 0.0)

    async def take(self, counts):
        if (self.enable.readback.value, self.compute.readback.value) == ("Enable", "Yes"):
            await self.total.write(float(counts.sum()))


class FilePlugin(Plugin):
    """NDFileHDF5."""

    port, plugin_type = readback("PortName", "HDF"), readback("PluginType", "NDFileHDF5 ver3.4")
    array_counter = pair(name="ArrayCounter", value=0)
    create_directory = pair(name="CreateDirectory", value=0)
    auto_increment = menu("AutoIncrement", "No", "Yes")
    auto_save = menu("AutoSave", "No", "Yes")
    num_capture = pair(name="NumCapture", value=1)
    num_frames_flush = pair(name="NumFramesFlush", value=0)
    swmr_mode = menu("SWMRMode", "Off", "On")
    write_mode = menu("FileWriteMode", "Single", "Capture", "Stream")
    file_name, file_template = text("FileName", "test"), text("FileTemplate", "%s%s_%3.3d.h5")
    file_number = pair(name="FileNumber", value=0)
    file_path = text("FilePath", "/tmp/")
    path_exists = menu("FilePathExists", "No", "Yes")
    capture = menu("Capture", "Done", "Capture")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._writer = None

    @file_path.setpoint.putter  # type: ignore[no-redef]
    async def file_path(self, instance, value):
        await self.readback.write(value)
        exists = "Yes" if Path(value).is_dir() else "No"
        await self.parent.path_exists.readback.write(exists)

    @capture.setpoint.putter  # type: ignore[no-redef]
    async def capture(self, instance, value):
        if value == "Capture":
            await self.parent.begin()
        else:
            await self.parent.end()
        await self.readback.write(value)

    async def begin(self):
        number = self.file_number.readback.value
        words = (self.file_path.readback.value, self.file_name.readback.value, number)
        path = self.file_template.readback.value % words
        self._writer = FrameWriter(
            swmr=self.swmr_mode.readback.value == "On",
            flush_every=self.num_frames_flush.readback.value,
        )
        await asyncio.to_thread(self._writer.open, Path(path), SHAPE, "<u4")
        await self.file_number.readback.write(number + 1)

    async def take(self, counts):
        if self._writer is not None:
            await asyncio.to_thread(self._writer.write, counts)

    async def end(self):
        writer, self._writer = self._writer, None
        if writer is not None:
            await asyncio.to_thread(writer.shutdown)


class Detector(PVGroup):
    """An areaDetector."""

    camera = SubGroup(Camera, prefix="cam1:")
    hdf5 = SubGroup(FilePlugin, prefix="HDF1:")
    stats = SubGroup(StatsPlugin, prefix="Stats1:")


class Beamline(PVGroup):
    """All of it."""

    eta = SubGroup(
        FakeMotor, velocity=20.0, user_limits=(-5.0, 5.0), tick_rate_hz=200.0, prefix="eta"
    )
    maxipix = SubGroup(Detector, prefix="maxipix:")
    eiger2 = SubGroup(Detector, prefix="eiger2:")

    @property
    def angle(self):
        """Degrees at which the motor stands."""
        return self.eta.motor.field_inst.user_readback_value.value


async def serve(prefix):
    beamline = Beamline(prefix=prefix)
    for detector, model in ((beamline.maxipix, "maxipix_2x2"), (beamline.eiger2, "eiger2_1m")):
        await detector.camera.model.write(model)
    await start_server(beamline.pvdb, interfaces=["127.0.0.1"], startup_hook=ready)


async def ready(async_lib):
    print("ready", flush=True)  # noqa: T201 (who started us reads it)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
