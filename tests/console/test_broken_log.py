"""A log that can't be written costs lines, but neither a scan nor a thread nor the console."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bluesky.plans import scan
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis

from bcdi_inpaint import inpaint as fill
from bcdi_inpaint.catalog import find
from bcdi_inpaint.console import install
from bcdi_inpaint.live import Settings
from bcdi_inpaint.testing.devices import ArrayDetector, at_motor
from tests.helpers.scans import ANGLES, rock
from tests.helpers.waiting import WAIT, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bluesky import RunEngine
    from numpy.typing import NDArray
    from tiled.client.container import Container

OURS = ("bcdi-inpaint", "bcdi-inpaint console", "bcdi-inpaint tuning")


class Raising(logging.Handler):
    """Somebody's handler, whose network is away."""

    def emit(self, record: logging.LogRecord) -> None:
        raise ConnectionError("no place for a line")


@pytest.fixture(
    params=[
        pytest.param("a file as folder", marks=pytest.mark.slow),
        "full disk",
        pytest.param("somebody's handler", marks=pytest.mark.slow),
    ]
)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Where nothing can be logged."""
    folder = tmp_path / "folder"
    handler = Raising()
    if request.param == "a file as folder":
        folder.touch()
        folder /= "inpaint"
    elif request.param == "full disk":
        folder.mkdir()
        (folder / "inpaint.log").symlink_to("/dev/full")
    else:
        logging.getLogger("bcdi_inpaint").addHandler(handler)
    yield folder
    logging.getLogger("bcdi_inpaint").removeHandler(handler)


@pytest.mark.slow
def test_scans_go_on_and_are_filled(
    RE: RunEngine,
    places: tuple[Container, Container],
    folder: Path,
    stack: NDArray[np.uint16],
    gap: NDArray[np.bool_],
) -> None:
    raw, processed = places
    motor = SynAxis(name="eta", egu="deg")
    detector = ArrayDetector(at_motor(stack, ANGLES, motor), name="det")
    RE.subscribe(TiledWriter(raw))
    before = {thread.ident for thread in threading.enumerate()}
    handle = install(
        RE, raw, processed, folder=folder, settings=Settings(method="linear", mask=gap)
    )
    ours = [thread for thread in threading.enumerate() if thread.ident not in before]
    try:
        assert sorted(thread.name for thread in ours if thread.name in OURS) == sorted(OURS)
        until(lambda: handle.callback.status().worker)
        uids = list(RE(rock(detector, motor)).run_start_uids)  # type: ignore[union-attr]
        assert handle.wait(WAIT)
        worker = handle.callback.status().worker
        assert worker
        os.kill(worker, signal.SIGKILL)  # which the supervisor logs
        until(lambda: handle.callback.status().worker not in (worker, None))
        handle.callback("event", None)
        uids += RE(rock(detector, motor)).run_start_uids  # type: ignore[union-attr]
        assert handle.wait(WAIT)
        if not (folder / "inpaint.log").is_symlink():  # /dev/full has no end
            handle.log()
        assert all(thread.is_alive() for thread in ours if thread.name in OURS)
    finally:
        handle.close()
    for uid in uids:
        (node,) = find(processed, uid)
        np.testing.assert_array_equal(
            node["intensity"].read(), fill(stack, gap, "linear").intensity
        )


@pytest.mark.usefixtures("folder")
@pytest.mark.slow
def test_what_can_not_be_taken_is_logged_in_vain(
    RE: RunEngine, places: tuple[Container, Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception in the callback, and another one where that is logged."""
    raw, processed = places
    from bcdi_inpaint.live import InpaintCallback
    from bcdi_inpaint.live.dispatch.routing import Router

    def route(*_: Any) -> None:
        raise ValueError("odd")

    monkeypatch.setattr(Router, "route", route)
    callback = InpaintCallback(raw, processed)
    RE.subscribe(callback)
    motor = SynAxis(name="eta")
    RE(scan([motor], motor, 0, 1, 8))
    assert callback.close(0.0)
