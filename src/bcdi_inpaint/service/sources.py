"""Sources of documents and finished runs, and what takes them."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from tiled.queries import Key

from bcdi_inpaint.catalog.listing import listing
from bcdi_inpaint.live.guard import GuardedLogger, repeat
from bcdi_inpaint.live.status import GOING_ON, State
from bcdi_inpaint.scans import RunStart, RunStop, is_rocking_scan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tiled.client.container import Container

    from bcdi_inpaint.live.callback import InpaintCallback
    from bcdi_inpaint.scans import RockingScanRule

logger = GuardedLogger(__name__)

REST = 5.0
"""Seconds between attempts to listen, when that fails."""
OVERDUE = 30.0
"""Seconds after which a stop document that did not come is taken from Tiled."""


class Source(ABC):
    """A source of documents or of runs, with threads that go on, whatever fails, until it is closed.

    Parameters
    ----------
    steps
        What each thread does again and again, by what is said when that fails.
    rest
        Seconds to wait then, at first.
    """

    name = ""

    def __init__(self, steps: Mapping[str, Callable[[], None]], rest: float | None = None) -> None:
        self._closing = threading.Event()
        said_by = GuardedLogger(type(self).__module__)
        self._threads = [
            threading.Thread(
                target=repeat,
                args=(step, self._closing, said_by, doing),
                kwargs={"rest": rest or REST},
                name=f"{self.name}-source",
                daemon=True,
            )
            for doing, step in steps.items()
        ]

    @property
    @abstractmethod
    def trouble(self) -> str:
        """Why nothing arrives at the moment; empty while the source works."""

    def start(self) -> None:
        """Open it."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Shut it, within a second or two."""
        self._closing.set()
        for thread in self._threads:
            thread.join(2.0)


class Intake:
    """Passes on to the callback what is to be filled, each run once, from all sources."""

    def __init__(
        self, callback: InpaintCallback, processed: Container, rule: RockingScanRule
    ) -> None:
        self._callback = callback
        self._processed = processed
        self._rule = rule
        self._stopped: dict[str, float] = {}
        """When runs were first seen to have stopped whose stop document has not come, by our clock."""

    def document(self, name: str, doc: Mapping[str, object]) -> None:
        """Take a document of a run that goes on."""
        self._callback(name, doc)

    def is_new(self, start: Mapping[str, object]) -> bool:
        """Whether nothing is known yet of a run whose start document has come, perhaps once more.

        Raises
        ------
        httpx.HTTPError
            If Tiled can't be asked whether it is filled already.
        """
        uid, status = RunStart.of(start).uid, self._callback.status()
        if any(run.uid == uid for run in (*status.runs, *status.last)):
            return False
        return not (uid and is_rocking_scan(start, self._rule) and self._is_settled(uid))

    def followed(self) -> set[str]:
        """Uids of runs that are not done and are filled from their documents, not from Tiled."""
        return {run.uid for run in self._callback.status().runs if run.state is not State.LEFT}

    def run(self, start: Mapping[str, object], stop: Mapping[str, object] | None) -> bool:
        """Take a run that was seen in Tiled; whether there is nothing more to do about it.

        A run without a uid can't be found again, and is none.

        Raises
        ------
        httpx.HTTPError
            If Tiled can't be asked whether it is filled already.
        """
        uid, stopped = RunStart.of(start).uid, RunStop.of(stop).time
        if not uid or not is_rocking_scan(start, self._rule):
            return True
        if not stop:
            return False
        status = self._callback.status()
        if any(run.uid == uid for run in status.skipped):
            return True
        known = next((run for run in status.runs if run.uid == uid), None)
        if known is not None and known.state in GOING_ON:
            now = time.monotonic()
            if now - self._stopped.setdefault(uid, now) < OVERDUE:
                return False
            logger.warning("run %s: its stop document did not come; taken from Tiled", uid)
            self._callback("stop", {**stop, "run_start": uid})
        elif known is None and not self._is_settled(uid):
            logger.info("run %s has finished", uid)
            self._callback.submit(uid, stopped=stopped)
        self._stopped.pop(uid, None)
        return True

    def _is_settled(self, uid: str) -> bool:
        """Whether there is a complete node, or one that failed because of the run itself."""
        nodes = listing(self._processed.search(Key("raw_uid") == uid))
        return any(
            (known.get("complete") and not known.get("superseded_by")) or known.get("failures")
            for known in (node.metadata for node in nodes)
        )
