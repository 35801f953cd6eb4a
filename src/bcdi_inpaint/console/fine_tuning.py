"""Fine-tuning the network on scans, then filling them with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bcdi_inpaint.export.layout import path_segment
from bcdi_inpaint.filling.methods import REGISTRY
from bcdi_inpaint.live.worker.pipeline import Catalogs

from .tuning import Job, Tuner

if TYPE_CHECKING:
    from pathlib import Path

    from tiled.client.container import Container

    from bcdi_inpaint.live import InpaintCallback

    from .saying import Say
    from .tuning import Outcome


class FineTuning:
    """Tunes in a process of its own, and has the callback fill the scan again if that helped.

    Parameters
    ----------
    callback
        What fills.
    folder
        Where tuned networks are kept.
    seconds
        For each scan.
    say
        Tells the operator.
    """

    def __init__(self, callback: InpaintCallback, folder: Path, seconds: float, say: Say) -> None:
        self.seconds = seconds
        self._callback = callback
        self._folder = folder
        self._say = say
        self._tuner = Tuner()
        self._begun: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether something is being tuned or waits for it."""
        return self._tuner.busy

    @property
    def uid(self) -> str:
        """The run on which a network is being tuned; empty if none is."""
        return self._tuner.uid

    @property
    def doing(self) -> str:
        """What is being done for that."""
        return self._tuner.doing

    @property
    def share(self) -> float:
        """How much of that is done, 0 to 1."""
        return self._tuner.share

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
        self._tuner.tune(Job(catalogs, start["uid"], settings, tuned, self.seconds), self._done)

    def close(self) -> None:
        """End what is being tuned, and begin nothing more."""
        self._tuner.close()

    def _done(self, job: Job, outcome: Outcome) -> None:
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
