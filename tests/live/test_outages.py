"""Tiled is down, full, or was down: nothing disturbs the RunEngine and nothing is lost."""

from __future__ import annotations

import os
import resource
import sqlite3
import time
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from tiled.queries import Key

from bcdi_inpaint import inpaint
from bcdi_inpaint.live import InpaintCallback, Limits
from bcdi_inpaint.live.worker.pipeline import Catalogs
from bcdi_inpaint.scans import ScanMetadata
from bcdi_inpaint.service import catch_up, left_over
from bcdi_inpaint.testing.devices import ArrayDetector, at_motor
from tests.helpers.scans import feed, rock
from tests.helpers.tiled_servers import KEY
from tests.helpers.waiting import WAIT, until


def complete_nodes(processed, uid):
    found = processed.search(Key("raw_uid") == uid).values()
    return [node for node in found if node.metadata["complete"]]


def the_complete_node(processed, uid, stack, settings):
    (node,) = complete_nodes(processed, uid)
    assert len(processed.search(Key("raw_uid") == uid)) == 1
    filled = inpaint(stack, settings.mask, settings.method)
    np.testing.assert_array_equal(node["intensity"].read(), filled.intensity)


def outlast(RE, callback, detector, motor, angles, moment, begin, end):
    """A scan, from some moment of which on Tiled is away for longer than anybody retries; its uid."""
    recorded = []
    name, seq_num = moment

    def stop_tiled(given, doc):
        recorded.append((given, doc))
        if given == name and doc.get("seq_num", 0) == seq_num:
            begin()

    tokens = [RE.subscribe(callback), RE.subscribe(stop_tiled)]
    (uid,) = RE(rock(detector, motor, angles)).run_start_uids
    for token in tokens:
        RE.unsubscribe(token)
    until(lambda: any(run.reason for run in callback.status().runs))
    assert not callback.wait(0.5)
    end()
    feed(recorded, TiledWriter(callback.raw))  # what a writer had kept meanwhile
    assert callback.wait(WAIT)
    assert callback.status().last[0].state == "complete", callback.status().last[0].reason
    return uid


@pytest.fixture
def detector(stack, angles, motor):
    return ArrayDetector(at_motor(stack, angles, motor), name="det")


@pytest.mark.slow
def test_tiled_can_not_be_reached_before_during_and_after_a_scan(
    RE, server, line, settings, detector, motor, stack, angles
):
    raw, processed = server.beamline(line.port)
    limits = Limits(retry_seconds=0.2)
    with InpaintCallback(raw, processed, settings=settings, limits=limits) as callback:
        for moment in (("start", 0), ("event", 9), ("stop", 0)):
            uid = outlast(RE, callback, detector, motor, angles, moment, line.cut, line.mend)
            the_complete_node(processed, uid, stack, settings)


@pytest.mark.slow
def test_tiled_is_killed_while_a_node_grows(own_server, settings, documents, stack, angles):
    raw, processed = own_server.beamline()
    run = documents(stack, angles)
    before, after = run[:12], run[12:]
    writer = TiledWriter(raw, batch_size=1)
    limits = Limits(retry_seconds=0.2)
    with InpaintCallback(raw, processed, settings=settings, limits=limits) as callback:
        feed(before, writer, callback)
        until(lambda: any(node.metadata["frames"] for node in processed.values()))
        own_server.stop()
        feed(after, callback)
        until(lambda: any(run.reason for run in callback.status().runs))
        own_server.start()
        feed(after, writer)
        assert callback.wait(WAIT)
        the_complete_node(processed, run[0][1]["uid"], stack, settings)


@pytest.mark.slow
def test_a_key_that_is_refused_for_a_while_costs_no_run(
    own_server, settings, documents, stack, angles
):
    raw, processed = own_server.beamline()
    limits = Limits(retry_seconds=0.2, attempts=1)
    config = own_server.config.read_text()
    with InpaintCallback(raw, processed, settings=settings, limits=limits) as callback:
        callback.pause()
        uid = feed(documents(stack, angles), TiledWriter(raw), callback)
        own_server.stop()
        own_server.config.write_text(config.replace(KEY, "another"))
        own_server.start()
        callback.resume()
        until(lambda: any("401" in run.reason for run in callback.status().runs))
        assert not callback.wait(2)
        own_server.stop()
        own_server.config.write_text(config)
        own_server.start()
        assert callback.wait(WAIT)
        the_complete_node(processed, uid, stack, settings)


@pytest.mark.slow
def test_a_full_disk_is_waited_out(own_server, settings, documents, stack, angles):
    raw, processed = own_server.beamline()
    limits = Limits(retry_seconds=0.2, attempts=1)
    server = own_server.process.pid
    unlimited = resource.prlimit(server, resource.RLIMIT_FSIZE)
    with InpaintCallback(raw, processed, settings=settings, limits=limits) as callback:
        callback.pause()
        uid = feed(documents(stack, angles), TiledWriter(raw), callback)
        resource.prlimit(server, resource.RLIMIT_FSIZE, (2000, unlimited[1]))
        callback.resume()
        until(lambda: any(run.reason for run in callback.status().runs))
        resource.prlimit(server, resource.RLIMIT_FSIZE, unlimited)
        assert callback.wait(WAIT)
        the_complete_node(processed, uid, stack, settings)


@pytest.mark.slow
def test_catching_up_fills_what_was_missed(server, settings, documents, stack, angles):
    raw, processed = server.beamline()
    writer = TiledWriter(raw)
    runs = [feed(documents(stack, angles), writer) for _ in range(3)]
    feed(documents(stack, angles, plan_name="count"), writer)
    unfinished = documents(stack, angles)
    feed(unfinished[:-1], writer)
    catalogs = Catalogs(raw, processed)
    half_written = catalogs.claim(
        ScanMetadata(raw_uid=runs[1], data_key="det"), settings, again=False
    )
    processed[half_written.key].update_metadata({"claim_expires": time.time() + 3})
    assert left_over(raw, processed) == runs
    assert left_over(raw, processed, newest_first=True) == runs[::-1]
    told = []
    done = catch_up(
        raw,
        processed,
        settings=settings,
        limits=Limits(retry_seconds=0.5),
        progress=lambda _what, *counts: told.append(counts),
    )
    assert {status.uid for status in done} == set(runs)
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    for uid in runs:
        the_complete_node(processed, uid, stack, settings)
    assert left_over(raw, processed) == []
    assert catch_up(raw, processed, settings=settings) == []


@pytest.mark.slow
def test_two_services_do_not_do_a_run_twice(server, settings, documents, stack, angles):
    raw, processed = server.beamline()
    writer = TiledWriter(raw)
    limits = Limits(retry_seconds=0.2)
    with (
        InpaintCallback(raw, processed, settings=settings, limits=limits) as one,
        InpaintCallback(raw, processed, settings=settings, limits=limits) as other,
    ):
        runs = [feed(documents(stack, angles), writer, one, other) for _ in range(3)]
        assert one.wait(WAIT)
        assert other.wait(WAIT)
        assert (one.status().failed, other.status().failed) == (0, 0)
    for uid in runs:
        the_complete_node(processed, uid, stack, settings)


def used(pid):
    """Resident memory (MB), threads and open files of a process."""
    process = Path(f"/proc/{pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    files = len(list((process / "fd").iterdir()))
    return int(fields["VmRSS"].split()[0]) / 1000, int(fields["Threads"]), files


@pytest.mark.slow
def test_many_short_scans_do_not_pile_up(callback, documents, stack, angles):
    stack, angles = stack[:8], angles[:8]
    writer = TiledWriter(callback.raw)

    def scans(number):
        for _ in range(number):
            feed(documents(stack, angles), writer, callback)
            assert callback.wait(WAIT)
        return used(os.getpid()), used(callback.status().worker)

    before = scans(8)
    after = scans(16)  # benchmarks/bench_endurance.py: 500
    for (memory0, threads0, files0), (memory1, threads1, files1) in zip(before, after, strict=True):
        assert memory1 < memory0 + 20
        assert threads1 <= threads0 + 1
        assert files1 <= files0 + 2
    assert not callback._router._run_of


@contextmanager
def locked(database):
    """As if a backup, or another process, held it: Tiled waits for 5 s, and then answers 500."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.slow
@pytest.mark.parametrize("long", [False, True])
def test_a_locked_database_costs_no_run(own_server, settings, documents, stack, angles, long):
    raw, processed = own_server.beamline()
    limits = Limits(retry_seconds=0.2, attempts=1, absent_seconds=0.1 if long else 300)
    with InpaintCallback(raw, processed, settings=settings, limits=limits) as callback:
        callback.pause()
        uid = feed(documents(stack, angles), TiledWriter(raw), callback)
        with locked(own_server.folder / "catalog.db"):
            callback.resume()
            if long:
                until(lambda: any(run.failures for run in callback.status().runs))
            else:
                until(lambda: any("500" in run.reason for run in callback.status().runs))
        assert callback.wait(WAIT)
        (run,) = callback.status().last
        assert run.state == ("failed" if long else "complete")
    if long:
        assert left_over(raw, processed) == [uid]
        catch_up(raw, processed, settings=settings)
    the_complete_node(processed, uid, stack, settings)
