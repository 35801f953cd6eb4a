"""Fine-tuning the network on a scan, in a process of its own so that the RunEngine's stays free."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bcdi_inpaint.live import Settings
    from bcdi_inpaint.live.road import Desk


@dataclass(frozen=True, slots=True)
class Job:
    """A network to be tuned.

    Attributes
    ----------
    desk
        Where the run is.
    uid
        The run.
    settings
        How it is read, and the model to begin with.
    model
        File of the tuned network.
    seconds
        End after about this time.
    """

    desk: Desk
    uid: str
    settings: Settings
    model: Path
    seconds: float


class Tuner:
    """Tunes one network after the other.

    Attributes
    ----------
    uid
        The run on which a network is being tuned; empty if none is.
    share
        How much of that is done, 0 to 1.
    """

    def __init__(self) -> None:
        self.uid = ""
        self.share = 0.0
        self._threads = ThreadPoolExecutor(1, "bcdi-inpaint tuning")
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: set[Future[None]] = set()
        self._closing = threading.Event()

    @property
    def busy(self) -> bool:
        """Whether something is being tuned or waits for it."""
        return bool(self._waiting)

    def tune(self, job: Job, done: Callable[[Job, dict[str, Any]], None]) -> None:
        """Tune when its turn comes, then call `done` with what came of it (see `bcdi_inpaint.console.tune`)."""
        future = self._threads.submit(self._tune, job, done)
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)

    def close(self) -> None:
        """End what is being tuned."""
        self._closing.set()
        if self._process is not None:
            self._process.kill()
        self._threads.shutdown(cancel_futures=True)

    def _tune(self, job: Job, done: Callable[[Job, dict[str, Any]], None]) -> None:
        self.uid, self.share = job.uid, 0.0
        outcome = {"error": "the process that tunes was lost"}
        with subprocess.Popen(
            [sys.executable, "-m", "bcdi_inpaint.console.tune"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            self._process = process
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(OSError):
                pickle.dump(job, process.stdin)
                process.stdin.close()
            for line in process.stdout:
                said = json.loads(line)
                self.share = said.get("share", self.share)
                outcome = said if "share" not in said else outcome
        self._process, self.uid = None, ""
        if not self._closing.is_set():
            done(job, outcome)
