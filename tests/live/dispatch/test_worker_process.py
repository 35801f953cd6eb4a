"""The worker's process, as the supervisor starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from multiprocessing.connection import Pipe
from typing import TYPE_CHECKING, Any

import pytest

from bcdi_inpaint.live import InpaintCallback, Limits
from bcdi_inpaint.live.dispatch import supervision, worker_process
from bcdi_inpaint.live.dispatch.worker_process import start_process
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path


def has_started(callback: InpaintCallback) -> bool:
    worker = callback._supervisor._worker
    return worker is not None and worker._started


def test_what_lies_in_the_working_directory_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("open('planted', 'w')\n")
    monkeypatch.chdir(tmp_path)
    ours, theirs = Pipe()
    with ours, theirs, start_process(theirs, Limits()) as process:
        theirs.close()
        ours.close()
        process.wait(timeout=60)
    assert not (tmp_path / "planted").exists()


@pytest.mark.slow
def test_a_worker_that_freezes_with_nothing_to_do_is_replaced(
    places: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "BEAT", 0.5)
    monkeypatch.setattr(worker_process, "IDLE_SECONDS", 5.0)
    with InpaintCallback(*places) as callback:
        until(lambda: has_started(callback))
        time.sleep(6)  # an idle one that isn't frozen stays
        frozen = callback.status().worker
        assert frozen is not None
        assert callback.status().restarts == 0
        os.kill(frozen, signal.SIGSTOP)
        until(lambda: callback.status().restarts == 1 and has_started(callback))
        assert callback.status().worker != frozen


@pytest.mark.slow
def test_a_worker_that_freezes_while_it_starts_is_replaced(
    places: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen: list[subprocess.Popen[bytes]] = []

    def start(connection: Connection, limits: Limits) -> subprocess.Popen[bytes]:
        if frozen:
            monkeypatch.undo()
            return start_process(connection, limits)
        sleep = ["/bin/sleep", "600"]
        frozen.append(subprocess.Popen(sleep, pass_fds=[connection.fileno()]))
        return frozen[0]

    monkeypatch.setattr(worker_process, "START_SECONDS", 0.5)
    monkeypatch.setattr(worker_process, "start_process", start)
    with InpaintCallback(*places) as callback:
        until(lambda: callback.status().restarts == 1 and has_started(callback))
