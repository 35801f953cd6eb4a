"""Catching up and backfill go on behind a bad run, and behind nodes that are none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter

from bcdi_inpaint import inpaint
from bcdi_inpaint.live import InpaintCallback, Settings
from bcdi_inpaint.live.dispatch.run_table import RunTable
from bcdi_inpaint.live.worker import main as worker
from bcdi_inpaint.live.worker import pipeline
from bcdi_inpaint.progress import no_progress
from bcdi_inpaint.service import catching_up as catchup
from bcdi_inpaint.service import seen_runs
from bcdi_inpaint.service.backfill import matching
from bcdi_inpaint.service.config import ServiceConfig
from tests.helpers.bad_runs import (
    BAD,
    LIMITS,
    at_each,
    fail_for,
)
from tests.helpers.scans import feed


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.slow
def test_odd_nodes_are_passed_over_when_catching_up_and_said_once(
    newest_first: bool,
    raw: Any,
    processed: Any,
    put_run: Callable[..., str],
    odd_nodes: set[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = put_run()
    uids = catchup.left_over(raw, processed, newest_first=newest_first)
    assert sorted(uids) == sorted([good, "a", "b", "c", "e"])
    (line,) = [line for line in caplog.messages if "passed over" in line]
    assert sum(key in line for key in odd_nodes) == seen_runs.NAMED
    assert f"and {len(odd_nodes) - seen_runs.NAMED} more" in line


@pytest.mark.slow
def test_odd_nodes_are_passed_over_in_an_archive_and_said_once(
    raw: Any,
    processed: Any,
    put_run: Callable[..., str],
    odd_nodes: set[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = put_run(sample_name="Pt", detectors=["det"])
    config = ServiceConfig()
    assert sorted(matching(raw, processed, config)) == sorted([good, "a", "b", "c", "e"])
    assert matching(raw, processed, config, sample="Pt", detector="det") == [good]
    said = [line for line in caplog.messages if "passed over" in line]
    assert len(said) == 2
    assert any(key in said[0] for key in odd_nodes)


@pytest.mark.slow
def test_a_run_with_odd_fields_is_filled(
    raw: Any, processed: Any, settings: Settings, documents: Any, stack: Any, angles: Any
) -> None:
    made = documents(stack, angles)
    feed(made, TiledWriter(raw))
    uid = made[0][1]["uid"]
    run = raw[uid]
    start = {**run.metadata["start"], "hints": None, "num_points": "many", "time": None}
    stop = {"exit_status": "success", "run_start": uid}
    run.replace_metadata({**run.metadata, "start": start, "stop": stop})
    assert catchup.left_over(raw, processed) == [uid]
    catalogs = pipeline.Catalogs(raw, processed)
    node = pipeline.fill_finished(catalogs, uid, settings, again=False, progress=no_progress)
    filled = inpaint(stack, settings.mask, settings.method)
    np.testing.assert_array_equal(node["intensity"].read(), filled.intensity)


@pytest.mark.usefixtures("in_threads", "odd_nodes")
@at_each(
    (seen_runs, "is_rocking_scan", "bad"),
    (InpaintCallback, "submit", "bad"),
    (RunTable, "submit", "bad"),
    (RunTable, "complete_run", "bad"),
    (worker, "fill_finished", "bad"),
)
def test_catching_up_goes_on_behind_a_bad_run(
    place: Any,
    name: str,
    which: str,
    raw: Any,
    processed: Any,
    put_run: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = put_run()
    put_run(BAD)
    last = put_run()
    raised = fail_for(monkeypatch, place, name, which)
    done = {run.uid: run.state for run in catchup.catch_up(raw, processed, limits=LIMITS)}
    assert raised
    assert (done.get(first), done[last]) == ("complete", "complete")
    assert done.get(BAD) == (None if name == "is_rocking_scan" else "failed")
