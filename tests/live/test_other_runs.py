"""Runs that are none of ours are left alone, silently, and it can be asked why."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bluesky.plans import scan
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis, SynGauss

from bcdi_inpaint import detector
from bcdi_inpaint.catalog import find
from bcdi_inpaint.live import InpaintCallback, Limits, Settings
from bcdi_inpaint.live.background_logger import LINES
from bcdi_inpaint.live.status import FailReason, State
from bcdi_inpaint.live.worker.pipeline import Catalogs, read_finished
from bcdi_inpaint.scans import SkipReason
from bcdi_inpaint.service.catching_up import catch_up
from bcdi_inpaint.service.metrics import StatusCollector
from bcdi_inpaint.testing.devices import ArrayDetector, at_motor
from tests.helpers.scans import rock
from tests.helpers.tiled_servers import KEY
from tests.helpers.waiting import WAIT


def align(motor: SynAxis) -> Any:
    """An alignment scan: sixteen points of a point detector."""
    point = SynGauss("point", motor, motor.name, center=0, Imax=1)
    return scan([point], motor, -3, 3, 16)


def metrics(callback: InpaintCallback) -> dict[tuple[str, str], float]:
    """Samples by name and reason."""
    return {
        (sample.name, sample.labels.get("reason", "")): sample.value
        for metric in StatusCollector(callback.status, []).collect()
        for sample in metric.samples
    }


def test_an_alignment_scan_leaves_nothing_but_a_line_for_those_who_debug(
    RE: Any,
    callback: InpaintCallback,
    motor: SynAxis,
    caplog: pytest.LogCaptureFixture,
    capfd,
) -> None:
    caplog.set_level(logging.DEBUG, "bcdi_inpaint")
    before, seen, nodes = metrics(callback), callback.status(), list(callback.processed)
    RE.subscribe(TiledWriter(callback.raw))
    RE.subscribe(callback)
    (uid,) = RE(align(motor)).run_start_uids
    assert callback.wait(WAIT)
    status = callback.status()
    assert not find(callback.processed, uid)
    assert list(callback.processed) == nodes
    assert status.last == seen.last
    assert (status.failed, status.last_error) == (seen.failed, seen.last_error)
    assert status.runs == ()
    (run,) = [run for run in status.skipped if run.uid == uid]
    assert run.state is State.SKIPPED
    assert run.scan_id == 1
    assert run.reason == "no images (it recorded point, x, x_setpoint)".replace("x", motor.name)
    LINES.wait(WAIT)
    (line,) = [record for record in caplog.records if uid in record.getMessage()]
    assert line.levelno == logging.DEBUG
    assert "Traceback" not in capfd.readouterr().err
    changed = {name for name, value in metrics(callback).items() if value != before[name]}
    skipped = ("bcdi_inpaint_scans_skipped_total", SkipReason.NO_IMAGES)
    assert changed - {("bcdi_inpaint_scans_seen_total", "")} == {skipped}


@pytest.mark.slow
def test_catching_up_passes_alignment_scans_over(RE, server, places, motor, stack, gap, angles):
    raw, processed = places
    RE.subscribe(TiledWriter(raw))
    RE(align(motor))
    detector = ArrayDetector(at_motor(stack, angles, motor), name="det")
    (uid,) = RE(rock(detector, motor, angles)).run_start_uids
    RE(align(motor))
    done = catch_up(raw, processed, settings=Settings(method="linear", mask=gap))
    assert [(run.uid, run.state) for run in done] == [(uid, State.COMPLETE)]
    assert [node.metadata["raw_uid"] for node in processed.values()] == [uid]


@pytest.mark.slow
def test_the_command_passes_them_over(RE, server, places, motor, tmp_path) -> None:
    raw, processed = places
    RE.subscribe(TiledWriter(raw))
    RE(align(motor))
    key, config = tmp_path / "key", tmp_path / "config.toml"
    key.write_text(KEY)
    key.chmod(0o400)
    path = {"raw": "/".join(raw.path_parts), "processed": "/".join(processed.path_parts)}
    listed = "".join(f"{name} = {json.dumps(value)}\n" for name, value in path.items())
    config.write_text(f'[tiled]\nuri = "{server.uri}"\napi_key_file = "{key}"\n{listed}')
    for command in (["catch-up"], ["backfill", "--workers", "1"]):
        program = Path(sys.executable).with_name("bcdi-inpaint")
        done = subprocess.run(
            [program, command[0], config, *command[1:]], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "failed" not in done.stdout
        assert "Traceback" not in done.stderr
    assert not list(processed)


@pytest.mark.slow
def test_what_is_expected_is_said_in_a_line(RE, places, motor, stack, angles, capfd) -> None:
    """A camera that nobody knows: however often it is tried, one line of the worker, no traceback."""
    raw, processed = places
    camera = ArrayDetector(at_motor(stack, angles, motor), name="det")
    limits = Limits(attempts=2, retry_seconds=0.1)
    with InpaintCallback(raw, processed, settings=Settings(method="linear"), limits=limits) as ours:
        RE.subscribe(TiledWriter(raw))
        RE.subscribe(ours)
        (uid,) = RE(rock(camera, motor, angles)).run_start_uids
        assert ours.wait(WAIT)
        (failed,) = ours.status().last
    assert failed.state is State.FAILED
    assert failed.reason.startswith("ValueError: the detector isn't known")
    assert ours.status().failed_by == {FailReason.DATA: 1}
    lines = capfd.readouterr().err.splitlines()
    assert len([line for line in lines if uid in line]) == 1
    assert "Traceback" not in "".join(lines)


@pytest.mark.parametrize(
    ("md", "points", "reason"),
    [
        ({"plan_name": "count"}, 16, "not a rocking scan (the plan is 'count')"),
        ({"bcdi_inpaint": False}, 16, "not a rocking scan (bcdi_inpaint is false in its metadata)"),
        ({}, 5, "too few points (5, at least 8 are needed)"),
    ],
)
def test_a_run_that_is_no_rocking_scan_says_so(RE, callback, motor, md, points, reason) -> None:
    RE.subscribe(callback)
    point = SynGauss("point", motor, motor.name, center=0, Imax=1)
    (uid,) = RE(scan([point], motor, -1, 1, points, md=md)).run_start_uids
    assert {run.uid: run.reason for run in callback.status().skipped}[uid] == reason


def test_a_run_is_skipped_while_inpainting_is_off(RE, callback, motor) -> None:
    RE.subscribe(callback)
    callback.enabled = False
    try:
        (uid,) = RE(align(motor)).run_start_uids
    finally:
        callback.enabled = True
    run = callback.status().skipped[0]
    assert (run.uid, run.reason) == (uid, SkipReason.OFF)


class Camera(ArrayDetector):
    """One that has a name of its own."""

    def __init__(self, *args: Any, model: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model = model

    def describe_configuration(self) -> dict[str, Any]:
        key = f"{self.name}_cam_model"
        return {key: {"source": "SIM", "dtype": "string", "shape": []}}

    def read_configuration(self) -> dict[str, Any]:
        return {f"{self.name}_cam_model": {"value": self.model, "timestamp": 0.0}}


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("named", ["by itself", "by choice", "by mask"])
def test_of_two_cameras_the_one_that_is_known_is_filled(
    RE, callback, settings, motor, stack, angles, order, named
) -> None:
    full = detector("maxipix_2x2")
    if named != "by mask":
        frames = np.full((len(stack), *full.shape), 3, np.uint16)
        callback.settings = replace(settings, mask=None)
        if named == "by choice":
            callback.settings = replace(callback.settings, detector="maxipix_2x2")
    else:
        frames = stack
    webcam = Camera(
        at_motor(np.ones((len(stack), 30, 40), np.uint8), angles, motor),
        name="webcam",
        model="C270",
    )
    model = "Maxipix 2x2" if named == "by itself" else ""
    ours = Camera(at_motor(frames, angles, motor), name="det", model=model)
    RE.subscribe(TiledWriter(callback.raw))
    RE.subscribe(callback)
    cameras = [webcam, ours][::order]
    (uid,) = RE(scan(cameras, motor, angles[0], angles[-1], len(angles))).run_start_uids
    assert callback.wait(WAIT)
    assert callback.status().last[0].reason == ""
    (node,) = find(callback.processed, uid)
    assert node.metadata["data_key"] == "det"
    scan_of_run = read_finished(Catalogs(callback.raw, callback.processed), uid, callback.settings)
    assert scan_of_run.metadata.data_key == "det"
