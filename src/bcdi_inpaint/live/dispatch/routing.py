"""Which run a document belongs to, and which runs are filled."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING

from bcdi_inpaint.scans import RunStart

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

REFERENCES = ("run_start", "descriptor", "resource", "stream_resource")
"""Fields by which documents refer to earlier ones."""


class Router:
    """Follow runs from their start to their stop, interleaved ones too. Safe to use from several threads.

    `wanted` decides by the start document whether a run is followed. Documents are told apart by the uids that they
    refer to, not by their names, so that future kinds of documents find their run, too.
    """

    def __init__(self, wanted: Callable[[Mapping[str, object]], bool]) -> None:
        self.wanted = wanted
        self._run_of: dict[str, str] = {}
        self._lock = RLock()

    def route(self, name: str, doc: Mapping[str, object]) -> str | None:
        """Uid of the run that is followed and that `doc` belongs to, or None."""
        with self._lock:
            return self._route(name, doc)

    def _route(self, name: str, doc: Mapping[str, object]) -> str | None:
        if name == "start":
            run = RunStart.of(doc).uid
            if not run or not self.wanted(doc):
                return None
        else:
            found = self._referred(doc)
            if found is None:
                return None
            run = found
        if name == "stop":
            self._run_of = {uid: of for uid, of in self._run_of.items() if of != run}
        elif not name.startswith(("event", "datum")) and isinstance(uid := doc.get("uid"), str):
            self._run_of[uid] = run
        return run

    def forget_all_but(self, runs: Collection[str]) -> None:
        """Follow only these runs from now on."""
        with self._lock:
            self._run_of = {uid: of for uid, of in self._run_of.items() if of in runs}

    def _referred(self, doc: Mapping[str, object]) -> str | None:
        for field in REFERENCES:
            uid = doc.get(field)
            if isinstance(uid, str) and (run := self._run_of.get(uid)) is not None:
                return run
        return None
