"""Fine-tuning the network on scans, in a process of its own so that the RunEngine's stays free."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Queue
from typing import TYPE_CHECKING, TypedDict

from bcdi_inpaint.export.layout import path_segment
from bcdi_inpaint.filling.methods import REGISTRY
from bcdi_inpaint.live.guard import GuardedLogger, going_on
from bcdi_inpaint.live.worker.pipeline import Catalogs

if TYPE_CHECKING:
    from pathlib import Path

    from tiled.client.container import Container

    from bcdi_inpaint.live import InpaintCallback, Settings

    from .saying import Say

logger = GuardedLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A network to be tuned on a run, beginning with the model in `settings`; `model` is the tuned one's file."""

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


class FineTuning:
    """Tunes one network after the other, and has the callback fill a scan again if that helped.

    Tuned networks are kept in `folder`; each takes about so many `seconds`.

    Attributes
    ----------
    uid
        The run on which a network is being tuned; empty if none is.
    doing, share
        What is being done for that, and how much of all is done, 0 to 1.
    """

    def __init__(self, callback: InpaintCallback, folder: Path, seconds: float, say: Say) -> None:
        self.uid = ""
        self.doing = ""
        self.share = 0.0
        self._callback = callback
        self._folder = folder
        self._seconds = seconds
        self._say = say
        self._begun: set[str] = set()
        self._jobs: Queue[Job] = Queue()
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        # A daemon: the end of the session doesn't wait for it.
        threading.Thread(target=self._run, name="bcdi-inpaint tuning", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether something is being tuned or waits for it."""
        return bool(self._jobs.unfinished_tasks)

    def __str__(self) -> str:
        """What is being done, in a line; empty if nothing is."""
        return f"on run {self.uid}: {self.doing}, {self.share:.0%}" if self.uid else ""

    def has_begun(self, uid: str) -> bool:
        """Whether a network has been tuned on a run, or is to be."""
        return uid in self._begun

    def begin(self, run: Container, model: str) -> None:
        """Tune a network on a run when its turn comes; an empty name is the shipped one."""
        start, callback = run.metadata["start"], self._callback
        self._begun.add(start["uid"])
        tuned = self._folder / f"tuned-{path_segment(start['uid'])}.safetensors"
        self._folder.mkdir(exist_ok=True)
        options = {"model": model or REGISTRY["patching"].options["model"]}
        settings = replace(callback.settings, method="patching", options=options)
        catalogs = Catalogs(callback.raw, callback.processed)
        self._say(f"scan {start.get('scan_id')}: the network is being tuned on it")
        self._jobs.put(Job(catalogs, start["uid"], settings, tuned, self._seconds))

    def close(self) -> None:
        """End what is being tuned, and begin nothing more."""
        self._closing.set()
        if self._process is not None:
            self._process.kill()

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            with going_on(logger, f"run {job.uid} could not be tuned on"):
                if not self._closing.is_set():
                    self._tune(job)
            self._process, self.uid = None, ""
            self._jobs.task_done()

    def _tune(self, job: Job) -> None:
        """Tune in another process, see `bcdi_inpaint.console.tune`."""
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
        if not self._closing.is_set():
            self._use(job, outcome)

    def _use(self, job: Job, outcome: Outcome) -> None:
        """Say what came of it, and fill the scan again if that helped."""
        scan = f"scan {self._callback.raw[job.uid].metadata['start'].get('scan_id')}"
        if "error" in outcome:
            self._say(f"{scan}: the network could not be tuned: {outcome['error']}", bad=True)
            return
        figures = f"deviance {outcome['before']:.4g} before, {outcome['after']:.4g} after"
        if not outcome["improved"]:
            self._say(f"{scan}: tuning made the network no better ({figures}); its fill stays")
            return
        self._say(f"{scan}: the network is tuned ({figures}) and fills it again")
        notes = (*job.settings.notes, f"the network was tuned on this scan: {figures}")
        settings = replace(job.settings, options={"model": str(job.model)}, notes=notes)
        self._callback.submit(job.uid, again=True, settings=settings)
