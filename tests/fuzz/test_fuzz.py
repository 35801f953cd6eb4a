"""Mutated documents, messages, files and configurations cost nobody anything.

Nothing is raised into the caller, the next good run is complete and equal to offline, and memory is
bounded. ``BCDI_INPAINT_FUZZ`` is how many documents (or others) are tried, ``BCDI_INPAINT_FUZZ_SEED``
makes others of them: ``BCDI_INPAINT_FUZZ=100000 BCDI_INPAINT_FUZZ_SEED=7 make test-slow ARGS=tests/fuzz``.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import random
import re
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import msgpack
import msgpack_numpy
import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter

from bcdi_inpaint import inpaint
from bcdi_inpaint.catalog import find
from bcdi_inpaint.live import InpaintCallback, Limits
from bcdi_inpaint.scans import FramesInFile, Retry, RockingScanRule, read_points
from bcdi_inpaint.service.config import ServiceConfig, load
from bcdi_inpaint.service.source_sections import ZmqSection
from bcdi_inpaint.service.sources import Intake
from bcdi_inpaint.service.zmq_source import ZmqSource
from tests.fuzz.mutations import mutated, mutated_bytes
from tests.helpers.scans import feed
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

NUMBER = int(os.environ.get("BCDI_INPAINT_FUZZ", "10000"))
SEED = int(os.environ.get("BCDI_INPAINT_FUZZ_SEED", "1"))
GOOD_EVERY = 40
"""Mutated runs between good ones."""
WAIT = 400
GROWTH = 150
"""MB by which a process may grow: what allocators keep, not what runs leave behind."""
LIMITS = Limits(
    attempts=1, retry_seconds=0.05, absent_seconds=0.2, silent_seconds=2.0, max_bytes=2**26
)


def resident(pid: int) -> float:
    """Memory of a process, MB."""
    line = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert line is not None
    return int(line[1]) / 1000


def settle(callback: InpaintCallback) -> None:
    """Wait until no run is left to fill."""
    assert callback.wait(WAIT), callback.status()


def test_documents(
    server: Any,
    settings: Any,
    documents: Callable[..., Any],
    stack: Any,
    angles: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger("bcdi_inpaint").setLevel(logging.ERROR)
    raw, processed = server.beamline()
    chance = random.Random(SEED)
    stack, angles = np.concatenate([stack, stack[::-1]]), np.linspace(-0.2, 0.2, 2 * len(stack))
    filled = inpaint(stack, settings.mask, settings.method)
    before: tuple[float, float] | None = None
    fed = runs = 0
    with InpaintCallback(raw, processed, settings=settings, limits=LIMITS) as callback:
        while fed < NUMBER:
            runs += 1
            made = mutated(documents(stack, angles), chance)
            if runs % 10 == 0:  # the writer may refuse what it likes
                with suppress(Exception):
                    feed(made, TiledWriter(raw))
            for document in made:
                callback(*document)
            fed += len(made)
            if runs % GOOD_EVERY == 0 or fed >= NUMBER:
                good = documents(stack, angles)
                feed(good, TiledWriter(raw), callback)
                settle(callback)
                (node,) = find(processed, good[0][1]["uid"])
                np.testing.assert_array_equal(node["intensity"].read(), filled.intensity)
                worker = callback.status().worker
                assert worker is not None
                now = resident(os.getpid()), resident(worker)
                before = before or now
        assert before is not None
        assert now[0] < before[0] + GROWTH
        assert now[1] < before[1] + GROWTH
        assert callback.status().restarts == 0
        assert callback.status().queue_bytes == 0
    raised = {line.getMessage() for line in caplog.records if line.levelno > logging.ERROR}
    assert not raised


def test_messages(
    callback: InpaintCallback,
    settings: Any,
    documents: Callable[..., Any],
    stack: Any,
    angles: Any,
) -> None:
    """Through the source and the decoders, into a callback that also gets a good run."""
    chance = random.Random(SEED)
    packers: dict[str, Callable[[Any], bytes]] = {
        "msgpack": lambda doc: msgpack.packb(doc, default=msgpack_numpy.encode),
        "json": lambda doc: json.dumps(doc, default=lambda value: value.tolist()).encode(),
        "pickle": pickle.dumps,
    }
    intake = Intake(callback, callback.processed, RockingScanRule())
    failed_before = callback.status().failed
    for serializer, pack in packers.items():
        source = ZmqSource(ZmqSection(serializer=serializer), intake)
        good = documents(stack, angles)
        messages = [b" ".join([b"", name.encode(), pack(doc)]) for name, doc in good]
        for _ in range(NUMBER // 10 // len(packers)):
            mutant = mutated_bytes(chance.choice(messages), chance)
            # Whole runs of which one message is changed are what `test_documents` does.
            source._take(mutant if b"run_start" in mutant else mutant[:100])
        last = documents(stack, angles)
        uid = feed(last, TiledWriter(callback.raw))
        for name, doc in last:
            source._take(b" ".join([b"", name.encode(), pack(doc)]))
        (node,) = until(lambda uid=uid: find(callback.processed, uid))
        filled = inpaint(stack, settings.mask, settings.method)
        np.testing.assert_array_equal(node["intensity"].read(), filled.intensity)
    assert callback.status().failed >= failed_before


def read_file(path: str, root: str) -> str:
    """What reading a file gives: frames, or an exception that has a name."""
    location = FramesInFile(
        "primary", "det", (1, 21), f"file://localhost{path}", "entry/data/data", (0, 20), 1
    )
    try:
        points, _ = read_points(location, roots=(Path(root),), retry=Retry(), largest=2**26)
    except (OSError, ValueError) as error:
        return type(error).__name__
    return f"{len(points)} frames"


def test_files(tmp_path: Path, stack: Any) -> None:
    """In a process of its own, as the worker is one: HDF5 is C."""
    chance = random.Random(SEED)
    whole = tmp_path / "whole.h5"
    with h5py.File(whole, "w") as file:
        file.create_dataset("entry/data/data", data=stack, chunks=(1, *stack.shape[1:]))
    body = whole.read_bytes()
    path = tmp_path / "mutated.h5"
    context = get_context("spawn")
    reader = ProcessPoolExecutor(1, mp_context=context)
    ends: dict[str, int] = {}
    try:
        for _ in range(NUMBER // 20):
            head = mutated_bytes(body[:4096], chance)  # where the structure is
            path.write_bytes(head + body[4096:] if len(head) > 2000 else head)
            try:
                end = reader.submit(read_file, str(path), str(tmp_path)).result(timeout=120)
            except BrokenProcessPool:  # as a worker that is lost over a run
                reader = ProcessPoolExecutor(1, mp_context=context)
                end = "crash"
            ends[end] = ends.get(end, 0) + 1
        assert (
            reader.submit(read_file, str(whole), str(tmp_path)).result(timeout=120) == "20 frames"
        )
    finally:
        reader.shutdown()
    assert ends.get("crash", 0) <= NUMBER // 2000, ends


def test_configurations(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    text = (Path(__file__).parents[2] / "deploy" / "bcdi-inpaint.toml").read_text()
    values = re.sub(r"^# (\w+ = (?!\(not set\)))", r"\1", text, flags=re.MULTILINE).encode()
    path = tmp_path / "service.toml"
    taken = 0
    refused = []
    for _ in range(NUMBER // 50):
        path.write_bytes(mutated_bytes(values, chance))
        try:
            config = load(path)
        except (OSError, ValueError) as error:
            refused.append(str(error))
        else:
            assert isinstance(config, ServiceConfig)
            taken += 1
    assert taken
    assert refused
    assert not [text for text in refused if "\n" in text]
