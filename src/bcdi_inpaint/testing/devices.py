"""A simulated beamline: detectors that replay a stack of frames, in the documents' flavours.

A detector asks an :data:`Exposure` for its frames. :func:`at_motor` is the one that makes a
rocking scan: it looks where the motor stands. The motor itself is ``ophyd.sim.SynAxis``.

>>> motor = SynAxis(name="eta", egu="deg")  # doctest: +SKIP
>>> with AreaDetector(at_motor(stack, angles, motor), folder, name="det") as detector:
...     RE(scan([detector], motor, angles[0], angles[-1], len(angles)))

The flavour of ophyd-async is in :mod:`bcdi_inpaint.testing.stream_detector`.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from ophyd import Component, Device, DeviceStatus, Signal
from ophyd.areadetector.filestore_mixins import resource_factory
from ophyd.sim import SynSignal

from .file_writers import FrameWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

    from bluesky.protocols import Reading
    from event_model.documents import DataKey, Datum, PartialResource
    from numpy.typing import ArrayLike
    from ophyd.sim import SynAxis

    ComposeDatum = Callable[[dict[str, int]], Datum]

Exposure = Callable[[int], NDArray[np.number]]
"""Gives the frame of the n-th exposure since staging (0-based)."""


def in_order(stack: NDArray[np.number]) -> Exposure:
    """Frame after frame of ``stack`` (frame, row, col), from the first one again after the last."""
    return lambda exposure: stack[exposure % len(stack)]


def at_motor(stack: NDArray[np.number], angles: ArrayLike, motor: SynAxis) -> Exposure:
    """The frame of ``stack`` whose angle is nearest to where ``motor`` stands."""
    known = np.asarray(angles, dtype=np.float64)
    if known.shape != stack.shape[:1]:
        raise ValueError(f"{len(stack)} frames need as many angles; got shape {known.shape}")
    return lambda _exposure: stack[np.abs(known - motor.position).argmin()]


def with_gaps(
    stack: NDArray[np.number], mask: NDArray[np.bool_], value: float = 0
) -> NDArray[np.number]:
    """``stack`` as a detector with gaps at ``mask`` records it: with its ``value`` for no data there."""
    return np.where(mask, np.asarray(value, dtype=stack.dtype), stack)


class ArrayDetector(SynSignal):  # type: ignore[misc]
    """A detector whose frames travel in the Event documents themselves.

    Parameters
    ----------
    expose
        Where frames come from.
    name
        The device's name, and its data key.
    """

    def __init__(self, expose: Exposure, *, name: str, **kwargs: Any) -> None:
        self._exposures = 0
        super().__init__(func=lambda: expose(self._exposures), name=name, **kwargs)

    def stage(self) -> list[object]:
        self._exposures = 0
        return [self]

    def unstage(self) -> list[object]:
        return [self]

    def trigger(self) -> DeviceStatus:
        status = super().trigger()
        self._exposures += 1
        return status

    def describe(self) -> dict[str, DataKey]:
        described: dict[str, DataKey] = super().describe()
        described[self.name]["dtype_numpy"] = self.get().dtype.str
        return described


class FrameSize(Device):  # type: ignore[misc]
    """Pixels of the full frame that are recorded; 0 = not said."""

    size_y = Component(Signal, value=0, kind="config")
    size_x = Component(Signal, value=0, kind="config")


class Camera(Device):  # type: ignore[misc]
    """What areaDetector's camera reports as its configuration."""

    acquire_time = Component(Signal, value=0.0, kind="config")
    num_images = Component(Signal, value=1, kind="config")
    manufacturer = Component(Signal, value="Simulated", kind="config")
    model = Component(Signal, value="", kind="config")
    min_y = Component(Signal, value=0, kind="config")
    min_x = Component(Signal, value=0, kind="config")
    size = Component(FrameSize, ".", kind="config")

    def show_region(self, rows: tuple[int, int], cols: tuple[int, int]) -> None:
        """Report that only these half-open rows and columns of the full frame are recorded."""
        self.min_y.put(rows[0])
        self.min_x.put(cols[0])
        self.size.size_y.put(rows[1] - rows[0])
        self.size.size_x.put(cols[1] - cols[0])


class AreaDetector(Device):  # type: ignore[misc]
    """A detector whose frames another process writes to HDF5, as areaDetector's file plugin does.

    It announces them by Resource (``AD_HDF5_SWMR``, one file for each staging) and Datum documents
    under the data key ``<name>_image``. ``cam.num_images`` frames are taken at each point; the counts of
    the last one are ``<name>_total``, which is what Bluesky tabulates and plots.

    Parameters
    ----------
    expose
        Where frames come from: uniform in shape and dtype.
    folder
        Where its files go.
    model
        What the camera says it is; a key of ``bcdi_inpaint.geometry`` lets a scan be masked
        without more ado.
    writer
        The process that writes; one of its own if None. It is shut down by :meth:`close`.
    """

    cam = Component(Camera, "cam:", kind="config")
    total = Component(Signal, value=0, kind="hinted")

    def __init__(
        self,
        expose: Exposure,
        folder: Path,
        *,
        name: str,
        model: str = "",
        writer: FrameWriter | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__("", name=name, **kwargs)
        self.cam.model.put(model)
        self._expose = expose
        self._folder = folder
        self._writer = writer or FrameWriter()
        self._exposures = 0
        self._datum_id = ""
        self._documents: list[tuple[str, PartialResource | Datum]] = []
        self._compose_datum: ComposeDatum | None = None

    @property
    def data_key(self) -> str:
        return f"{self.name}_image"

    def stage(self) -> list[object]:
        staged: list[object] = super().stage()
        frame = self._expose(0)
        filename = f"{uuid.uuid4()}.h5"
        self._writer.open(self._folder / filename, frame.shape, frame.dtype.str)
        resource, self._compose_datum = resource_factory(
            spec="AD_HDF5_SWMR",
            root=str(self._folder),
            resource_path=filename,
            resource_kwargs={"frame_per_point": self.cam.num_images.get()},
            path_semantics="posix",
        )
        self._exposures = 0
        self._documents = [("resource", resource)]
        return staged

    def unstage(self) -> list[object]:
        self._writer.close()
        self._documents = []
        unstaged: list[object] = super().unstage()
        return unstaged

    def trigger(self) -> DeviceStatus:
        if self._compose_datum is None:
            raise RuntimeError(f"{self.name} must be staged before it is triggered")
        frames = self.cam.num_images.get()
        point = self._exposures // frames
        datum = self._compose_datum({"point_number": point})
        self._datum_id = datum["datum_id"]
        self._documents.append(("datum", datum))
        status = DeviceStatus(self)
        threading.Thread(target=self._acquire, args=(status, frames), daemon=True).start()
        return status

    def _acquire(self, status: DeviceStatus, frames: int) -> None:
        try:
            for _ in range(frames):
                frame = self._expose(self._exposures)
                time.sleep(self.cam.acquire_time.get())
                self._writer.write(frame)
                self.total.put(int(frame.sum()))
                self._exposures += 1
        except Exception as error:  # noqa: BLE001 (whoever waits for the status gets it)
            status.set_exception(error)
        else:
            status.set_finished()

    def describe(self) -> dict[str, DataKey]:
        frame = self._expose(0)
        return {
            **super().describe(),
            self.data_key: {
                "source": f"SIM:{self.name}",
                "dtype": "array",
                "dtype_numpy": frame.dtype.str,
                "shape": [self.cam.num_images.get(), *frame.shape],
                "external": "FILESTORE:",
            },
        }

    def read(self) -> dict[str, Reading[object]]:
        reading: Reading[object] = {"value": self._datum_id, "timestamp": time.time()}
        return {**super().read(), self.data_key: reading}

    def collect_asset_docs(self) -> Iterator[tuple[str, PartialResource | Datum]]:
        documents, self._documents = self._documents, []
        yield from documents

    def close(self) -> None:
        """Shut the writing process down."""
        self._writer.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
