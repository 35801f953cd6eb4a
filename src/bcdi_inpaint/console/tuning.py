"""Fine-tuning the network on a scan, in a process of its own so that the RunEngine's stays free."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from queue import Queue
from typing import TYPE_CHECKING, TypedDict

from bcdi_inpaint.live.guard import GuardedLogger, going_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bcdi_inpaint.live import Settings
    from bcdi_inpaint.live.worker.pipeline import Catalogs

    Done = Callable[["Job", "Outcome"], None]

logger = GuardedLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A network to be tuned.

    Attributes
    ----------
    catalogs
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

    catalogs: Catalogs
    uid: str
    settings: Settings
    model: Path
    seconds: float


class Outcome(TypedDict, total=False):
    """What came of tuning: the deviance on held-out gaps `before` and `after`, or an `error`."""

    before: float
    after: float
    improved: bool
    error: str


class Tuner:
    """Tunes one network after the other.

    Attributes
    ----------
    uid
        The run on which a network is being tuned; empty if none is.
    doing, share
        What is being done for that, and how much of all is done, 0 to 1.
    """

    def __init__(self) -> None:
        self.uid = ""
        self.doing = ""
        self.share = 0.0
        self._jobs: Queue[tuple[Job, Done]] = Queue()
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        # A daemon: the end of the session doesn't wait for it.
        threading.Thread(target=self._run, name="bcdi-inpaint tuning", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether something is being tuned or waits for it."""
        return bool(self._jobs.unfinished_tasks)

    def tune(self, job: Job, done: Done) -> None:
        """Tune when its turn comes, then call `done` with what came of it (see `bcdi_inpaint.console.tune`)."""
        self._jobs.put((job, done))

    def wait(self) -> None:
        """Wait until nothing is left to be tuned."""
        self._jobs.join()

    def close(self) -> None:
        """End what is being tuned, and begin nothing more."""
        self._closing.set()
        if self._process is not None:
            self._process.kill()

    def _run(self) -> None:
        while True:
            job, done = self._jobs.get()
            with going_on(logger, f"run {job.uid} could not be tuned on"):
                if not self._closing.is_set():
                    self._tune(job, done)
            self._process, self.uid = None, ""
            self._jobs.task_done()

    def _tune(self, job: Job, done: Done) -> None:
        self.uid, self.doing, self.share = job.uid, "reading the run", 0.0
        outcome: Outcome = {"error": "the process that tunes was lost"}
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "bcdi_inpaint.console.tune"],
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
                if "share" in said:
                    self.doing, self.share = said["doing"], said["share"]
                else:
                    outcome = said
        self._process, self.uid = None, ""
        if not self._closing.is_set():
            done(job, outcome)
