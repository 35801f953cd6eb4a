"""The rocking-scan plan runs, and the servers that call plans over a network accept it."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import numpy as np
import pytest
from bluesky import plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis
from pydantic import ValidationError

from bcdi_inpaint.console import plans
from bcdi_inpaint.scans import RunDocuments, from_documents, from_run, is_rocking_scan
from bcdi_inpaint.testing.devices import AreaDetector, in_order
from bcdi_inpaint.testing.stream_detector import Axis, PositionTrigger, StreamDetector


@pytest.fixture
def detector(detector_files):
    with AreaDetector(in_order(np.ones((4, 8, 8), np.int32)), detector_files, name="det") as device:
        yield device


def test_the_run_says_what_phase_retrieval_needs(RE, detector):
    motor = SynAxis(name="eta", egu="deg", value=1.0)
    documents = []
    plan = plans.bcdi_rocking_scan(
        detector,
        motor,
        0.1,
        8,
        exposure=0.01,
        sample="Pt",
        energy=9000.0,
        distance=0.8,
        detector_angles={"delta": 30.0},
        roi=[[0, 8], [4, 12]],
        metadata={"proposal": 7},
    )
    RE(plan, lambda name, doc: documents.append((name, doc)))
    start = documents[0][1]
    assert is_rocking_scan(start)
    expected = {
        "plan_name": "bcdi_rocking_scan",
        "sample_name": "Pt",
        "incident_energy": 9000.0,
        "detector_distance": 0.8,
        "detector_angles": {"delta": 30.0},
        "roi": [[0, 8], [4, 12]],
        "proposal": 7,
        "num_points": 8,
        "motors": ("eta",),
    }
    assert {key: start[key] for key in expected} == expected
    angles = [doc["data"]["eta"] for name, doc in documents if name == "event"]
    np.testing.assert_allclose(angles, np.linspace(0.9, 1.1, 8))
    assert motor.position == 1.0
    assert detector.cam.acquire_time.get() == 0.01


@pytest.mark.parametrize("by", ["its own clock", "edges"])
@pytest.mark.slow
def test_the_same_on_the_fly(RE, raw, detector_files, by):
    """Each frame holds where the motor stood."""
    RE.subscribe(TiledWriter(raw))
    motor = Axis("eta")
    detector = StreamDetector(
        lambda _: np.full((8, 8), motor.position),
        detector_files,
        name="merlin",
        region=((0, 8), (4, 12)),
        attributes={"eta_readback": lambda: motor.position},
    )
    documents, step = RunDocuments(), 0.2 / 7
    try:
        RE(bps.mv(motor, 1.0))
        edges = PositionTrigger(
            detector, motor, [0.9 + step * (n - 0.5) for n in range(8)], name="panda"
        )
        trigger = edges if by == "edges" else None
        plan = plans.bcdi_rocking_fly(
            detector, motor, 0.1, 8, exposure=0.05, trigger=trigger, sample="Pt"
        )
        (uid,) = RE(plan, documents).run_start_uids
    finally:
        detector.close()
    assert is_rocking_scan(documents.run.start)
    scan = from_run(raw[uid], mask=False)
    assert (scan.metadata.motor, scan.metadata.sample) == ("eta_readback", "Pt")
    assert scan.metadata.roi == ((0, 8), (4, 12))
    assert scan.metadata.frames_expected == len(scan.frames) == 8
    np.testing.assert_allclose(scan.frames[:, 0, 0], scan.angles, atol=step)
    assert (np.diff(scan.angles) >= 0).all()
    assert scan.angles[0] < scan.angles[-1]
    assert (abs(scan.angles - 1.0) <= 0.1 + step / 2 + 1e-9).all()
    assert motor.position == 1.0
    told = from_documents(documents, mask=False, file_roots=[detector_files])
    np.testing.assert_array_equal(told.angles, scan.angles)
    np.testing.assert_array_equal(told.frames, scan.frames)


def test_a_detector_of_ophyd_async_steps_too(RE, detector_files):
    motor = Axis("eta")
    detector = StreamDetector(in_order(np.ones((4, 8, 8), np.int32)), detector_files, name="merlin")
    try:
        plan = plans.bcdi_rocking_scan(detector, motor, 0.1, 8, exposure=0.01)
        documents = []
        RE(plan, lambda name, doc: documents.append((name, doc)))
    finally:
        detector.close()
    assert [doc["data"]["eta"] for name, doc in documents if name == "event"] == pytest.approx(
        np.linspace(-0.1, 0.1, 8)
    )
    (descriptor,) = [doc for name, doc in documents if name == "descriptor"]
    assert descriptor["configuration"]["merlin"]["data"]["merlin-driver-acquire_time"] == 0.01


def test_blueapi_takes_checks_and_runs_it(detector):
    core = pytest.importorskip("blueapi.core", reason="blueapi pins another Tiled than ours")
    worker = pytest.importorskip("blueapi.worker")
    context = core.BlueskyContext()
    context.with_plan_module(plans)
    assert list(context.plans) == ["bcdi_rocking_scan", "bcdi_rocking_fly"]
    context.register_device(detector)
    context.register_device(SynAxis(name="eta", egu="deg"))
    call = {"detector": "det", "motor": "eta", "points": 8, "roi": [[0, 8], [4, 12]]}
    for wrong in ({"points": "many"}, {"detector": "eta_"}, {"motor": "det"}, {"width": 1.0}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            context.plans["bcdi_rocking_scan"].model(**call | wrong)
    documents = []
    context.run_engine.subscribe(lambda name, doc: documents.append((name, doc)))
    worker.Task(name="bcdi_rocking_scan", params=call).do_task(context)
    assert is_rocking_scan(documents[0][1])
    assert documents[0][1]["roi"] == [[0, 8], [4, 12]]
    assert sum(name == "event" for name, _ in documents) == 8


def test_its_signature_can_be_read_where_blueapi_is_not_installed():
    """A module's function with `-> MsgGenerator`, devices by protocol, metadata last."""
    plan = plans.bcdi_rocking_scan
    hints = get_type_hints(plan)
    assert hints["return"] == MsgGenerator
    assert hints["detector"] == Readable
    assert hints["motor"] == Movable
    last = list(inspect.signature(plan).parameters.values())[-1]
    assert (last.name, last.default, hints["metadata"]) == (
        "metadata",
        None,
        dict[str, Any] | None,
    )
    assert plan.__module__ == "bcdi_inpaint.console.plans"
    assert inspect.isgeneratorfunction(plan)


def test_the_queueserver_accepts_it(detector):
    """Its description is made, and a call over the network with names of devices is checked."""
    manager = pytest.importorskip("bluesky_queueserver.manager.profile_ops")
    motor = SynAxis(name="eta", egu="deg")
    names = {
        "bcdi_rocking_scan": plans.bcdi_rocking_scan,
        "bcdi_rocking_fly": plans.bcdi_rocking_fly,
        "det": detector,
        "eta": motor,
    }
    known_plans, known_devices, *_ = manager.existing_plans_and_devices_from_nspace(nspace=names)
    described = known_plans["bcdi_rocking_scan"]
    assert [p["name"] for p in described["parameters"]][:2] == ["detector", "motor"]
    assert described["properties"]["is_generator"]
    item: dict[str, Any] = {
        "name": "bcdi_rocking_scan",
        "args": ["det", "eta"],
        "kwargs": {"points": 16},
    }
    accepted, why = manager.validate_plan(
        item, allowed_plans=known_plans, allowed_devices=known_devices
    )
    assert accepted, why
    accepted, why = manager.validate_plan(
        item | {"name": "bcdi_rocking_fly"},
        allowed_plans=known_plans,
        allowed_devices=known_devices,
    )
    assert accepted, why
    item["kwargs"]["points"] = "many"
    accepted, why = manager.validate_plan(
        item, allowed_plans=known_plans, allowed_devices=known_devices
    )
    assert not accepted
    assert "points" in why
