"""The handle that `install` returns: toggles, status, pictures, in Python and behind ``%inpaint``."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from bcdi_inpaint import catalog, geometry
from bcdi_inpaint.filling import METHODS
from bcdi_inpaint.filling.methods import REGISTRY
from bcdi_inpaint.live import InpaintCallback, Settings, wording
from bcdi_inpaint.live.errors import reason
from bcdi_inpaint.live.guard import GuardedLogger, going_on
from bcdi_inpaint.live.logs import LogFile
from bcdi_inpaint.live.worker.pipeline import Catalogs

from . import commands, status_lines
from .commands import command
from .toggles import Toggles, change, load, models
from .tuning import Job, Tuner

if TYPE_CHECKING:
    from bluesky import RunEngine
    from matplotlib.figure import Figure
    from tiled.client.container import Container

    from bcdi_inpaint.live import Limits, RunStatus
    from bcdi_inpaint.scans import RockingScanRule

logger = GuardedLogger("bcdi_inpaint")

LOOK_EVERY = 0.5
"""Seconds between looks at the file of toggles and at results."""
SILENT = "the console could not say what happened"
LOGGED = 20
"""Lines that `log` shows."""
SWITCH = ("on", "off")


class Inpaint:
    """Toggles of a running inpainting, its status and its results.

    Methods are the commands of ``%inpaint``: they take the words that are typed there, or the same
    as Python values, and count from the next scan on.

    Parameters
    ----------
    RE
        Whose scans are filled.
    raw, processed
        Tiled clients, as `bcdi_inpaint.live.InpaintCallback` takes them.
    folder
        Where toggles are remembered and the log and pictures are written.
    settings
        What the toggles leave open.
    rule, limits
        As `bcdi_inpaint.live.InpaintCallback` takes them.
    tuning_seconds
        Time for fine-tuning the network on a scan.
    """

    def __init__(
        self,
        RE: RunEngine,  # noqa: N803 (its name everywhere)
        raw: Container,
        processed: Container,
        *,
        folder: Path,
        settings: Settings | None = None,
        rule: RockingScanRule | None = None,
        limits: Limits | None = None,
        tuning_seconds: float = 55.0,
    ) -> None:
        self._raw, self._processed = raw, processed
        self._base = settings or Settings()
        self._console = Console(highlight=False)
        self._changing = threading.RLock()
        self._folder = folder
        self._file, self._log_file = folder / "inpaint.toml", folder / "inpaint.log"
        self._log = _log_to(self._log_file)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._say(f"nothing can be remembered or logged: {reason(error)}", bad=True)
        self._toggles = Toggles(method=self._base.method)
        self._stamp: int | None = None
        self.callback = InpaintCallback(
            raw, processed, settings=self._base, rule=rule, limits=limits
        )
        self._follow_file()
        self._unsubscribe = partial(RE.unsubscribe, RE.subscribe(self.callback))  # type: ignore[no-untyped-call]
        self._tuner = Tuner()
        self._tuning_seconds = tuning_seconds
        self._tuned: set[str] = set()
        self._announced: set[tuple[str, float | None]] = set()
        self._last_error = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, name="bcdi-inpaint console", daemon=True
        )
        self._thread.start()

    # Toggles. Each is checked, remembered and in force from the next start document on.

    @command()
    def on(self) -> None:
        """Fill new scans."""
        self._set(on=True)

    @command()
    def off(self) -> None:
        """Leave new scans alone; what is being filled is finished."""
        self._set(on=False)

    @command()
    def pause(self) -> None:
        """Let scans wait; what is being filled is finished."""
        self._set(paused=True)

    @command()
    def resume(self) -> None:
        """Go on after pause."""
        self._set(paused=False)

    @command("NAME", lambda _: METHODS)
    def method(self, name: str) -> None:
        """Choose how gaps are filled."""
        self._set(method=name)

    @command("NAME | FILE | default", lambda _: (*models(), "default"))
    def model(self, name: str) -> None:
        """Choose the network, for methods that have one."""
        self._set(model=name)

    @command("NAME | auto", lambda _: (*geometry.detectors(), "auto"))
    def detector(self, name: str) -> None:
        """Say whose gaps the frames have, where the run doesn't."""
        self._set(detector=name)

    @command("R0:R1,C0:C1 | around N [M] | all", lambda _: ("around", "all"))
    def roi(self, *region: Any) -> None:
        """Choose the part of the frames that is filled: rows, columns, or N x M about the peak."""
        texts = all(isinstance(part, str) for part in region)
        self._set(roi=" ".join(region) if texts else region if len(region) > 1 else region[0])

    @command("FILE | none", lambda _: ("none",))
    def mask(self, file: str | Path) -> None:
        """Take missing pixels from a file instead of the detector's gaps."""
        if str(file) != "none":
            geometry.read_mask(Path(file).expanduser())
        self._set(mask=str(file))

    @command("PCC | auto", lambda _: ("0.9", "auto"))
    def threshold(self, pcc: float | str) -> None:
        """Set the self-check PCC below which a fill is doubtful."""
        self._set(threshold=pcc)

    @command("on | off | now [SCAN]", lambda _: ("on", "off", "now"))
    def finetune(self, what: str | bool, scan: int | str | None = None) -> None:
        """Tune the network on scans whose self-check is poor, or on one scan now; then fill again."""
        if what == "now":
            self._tune(self._run(scan))
        else:
            self._set(finetune=what)

    # What has been filled.

    @command("[SCAN]")
    def redo(self, scan: int | str | None = None) -> None:
        """Fill a scan again, with what is chosen now."""
        run = self._run(scan)
        self.callback.submit(run.metadata["start"]["uid"], again=True)
        self._say(
            f"scan {run.metadata['start'].get('scan_id')} is filled again, by {self._toggles.method}"
        )

    @command()
    def last(self) -> Container:
        """Give the newest filled scan, as Tiled's client."""
        found: Container | None = next(iter(catalog.current(self._processed).values()), None)
        if found is None:
            raise ValueError("no scan has been filled yet")
        return found

    @command("[SCAN]")
    def show(self, scan: int | str | None = None) -> Figure:
        """Draw a filled scan: raw, filled, uncertainty and the rocking curve."""
        from .pictures import draw

        node = self.last() if scan is None else self._filled(scan)
        return draw(node, self._folder, self._console)

    @command()
    def log(self) -> None:
        """Show what has happened."""
        try:
            with self._log_file.open(encoding="utf-8") as file:
                lines = deque(file, LOGGED)
        except (FileNotFoundError, NotADirectoryError):
            lines = deque()
        self._console.print("".join(lines), end="", markup=False, soft_wrap=True)
        self._console.print(f"all of it: {self._log_file}", markup=False, soft_wrap=True)

    @command()
    def status(self) -> None:
        """Show what is going on; %inpaint alone does the same."""
        where = {"toggles": str(self._file), "log": str(self._log_file)}
        self._console.print(status_lines.table(self.callback.status(), self._toggles, where))
        if self._tuner.uid:
            self._console.print(f"tuning on run {self._tuner.uid}: {self._tuner.share:.0%}")

    @command()
    def help(self) -> None:
        """Show these lines."""
        self._console.print(commands.overview())

    # For programs.

    @property
    def toggles(self) -> Toggles:
        """What is chosen."""
        return self._toggles

    def to_dict(self) -> dict[str, Any]:
        """What is going on, as plain values."""
        return {
            "toggles": self._toggles.model_dump(),
            "toggles_file": str(self._file),
            "log_file": str(self._log_file),
            **self.callback.status().to_dict(),
        }

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, with a bar, until finished scans are tuned on and filled; whether in time."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        deadline = None if timeout is None else time.monotonic() + timeout
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task("", total=None, visible=False)
            while not self._settled(LOOK_EVERY):
                if deadline is not None and time.monotonic() > deadline:
                    return False
                if self._tuner.uid:
                    time.sleep(LOOK_EVERY)
                    done, of = round(100 * self._tuner.share), 100
                    bar.update(task, description="tuning", completed=done, total=of, visible=True)
                for run in self.callback.status().runs[:1]:
                    words = f"filling scan {run.scan_id or run.uid[:8]}"
                    done, total = run.filled, run.frames or None
                    bar.update(task, description=words, completed=done, total=total, visible=True)
        return True

    def _settled(self, timeout: float) -> bool:
        """Whether, within `timeout` seconds, all is filled and said, and nothing is tuned for it."""
        if self._tuner.busy or not self.callback.wait(timeout):
            return False
        self._announce()
        return not self._tuner.busy and self.callback.wait(0.0)

    def leave(self) -> None:
        """Let go at the end of a session: wait for finished scans first, but not after Ctrl-C."""
        self._tuner.close()
        if not self._toggles.paused and not self.callback.wait(0.0):
            self._say("a finished scan is being filled; Ctrl-C leaves without it")
            with suppress(KeyboardInterrupt):
                self.wait()
        for run in self.callback.status().runs:
            scan = run.scan_id or run.uid
            self._say(f"scan {scan} is not filled; %inpaint redo {scan} does it another time")
        self.close(0.0)

    def close(self, timeout: float = 30.0) -> bool:
        """Let go of the RunEngine; wait for finished scans, as the callback's `close` does."""
        self._unsubscribe()
        self._tuner.close()
        done = self.callback.close(timeout)
        self._closing.set()
        self._thread.join()
        with going_on(logger, SILENT):
            self._announce()
        logger.logger.removeHandler(self._log)
        self._log.close()
        return done

    def _set(self, **changes: Any) -> None:
        """Change a toggle, in the file and in force."""
        with self._changing:
            new = change(self._file, self._toggles, **changes)
            self._take(new)
        (name,) = changes
        value = getattr(new, name)
        name = {"on": "inpainting"}.get(name, name)
        shown = (
            SWITCH[not value]
            if isinstance(value, bool)
            else "auto"
            if value in (None, "")
            else value
        )
        self._say(f"{name}: {shown}, from the next scan on (remembered in {self._file})")

    def _take(self, toggles: Toggles) -> None:
        """Put toggles in force; all of them or none."""
        settings = toggles.settings(self._base)
        self._toggles = toggles
        self.callback.settings = settings
        self.callback.enabled = toggles.on
        if toggles.paused:
            self.callback.pause()
        else:
            self.callback.resume()

    def _follow_file(self) -> None:
        """Take what another program or an editor has written to the file."""
        with self._changing:
            stamp = _stamp(self._file)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            try:
                self._take(load(self._file, self._toggles))
            except (ValueError, OSError) as error:
                self._say(f"toggles stay as they are: {error}", bad=True)

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_EVERY):
            # A line that can't be written must not cost the lines after it.
            with going_on(logger, SILENT):
                self._follow_file()
                self._announce()

    def _announce(self) -> None:
        """Say what is done since the last look."""
        with self._changing:
            known = self.callback.status()
            for run in reversed(known.last):
                mark = (run.uid, run.completed)
                if mark not in self._announced:
                    self._announced.add(mark)
                    self._announce_run(run)
            if known.last_error != self._last_error:
                self._last_error = known.last_error
                self._say(known.last_error, bad=True)

    def _announce_run(self, run: RunStatus) -> None:
        text = wording.line(run, self._toggles.threshold)
        logger.info(text.plain)
        self._console.print(text, soft_wrap=True)
        doubtful = run.result and wording.verdict(run.result, self._toggles.threshold) != "trusted"
        if doubtful and run.uid not in self._tuned and self._toggles.finetune:
            self._tune(self._raw[run.uid])
        elif doubtful and run.uid not in self._tuned:
            scan = run.result.get("scan_id", run.uid)
            self._say(f"%inpaint finetune now {scan}: tunes the network on this scan")

    def _tune(self, run: Container) -> None:
        """Tune the network on a run, then fill it with that."""
        start = run.metadata["start"]
        self._tuned.add(start["uid"])
        model = self._folder / "models" / f"tuned-{start['uid']}.safetensors"
        model.parent.mkdir(exist_ok=True)
        options = {"model": self._toggles.model or REGISTRY["patching"].options["model"]}
        begin = replace(self.callback.settings, method="patching", options=options)
        catalogs = Catalogs(self._raw, self._processed)
        self._say(f"scan {start.get('scan_id')}: the network is being tuned on it")
        job = Job(catalogs, start["uid"], begin, model, self._tuning_seconds)
        self._tuner.tune(job, self._tuning_done)

    def _tuning_done(self, job: Job, outcome: dict[str, Any]) -> None:
        scan = self._raw[job.uid].metadata["start"].get("scan_id")
        if "error" in outcome:
            self._say(f"scan {scan}: the network could not be tuned: {outcome['error']}", bad=True)
            return
        figures = f"deviance {outcome['before']:.4g} before, {outcome['after']:.4g} after"
        if not outcome["improved"]:
            self._say(f"scan {scan}: tuning made the network no better ({figures}); its fill stays")
            return
        self._say(f"scan {scan}: the network is tuned ({figures}) and fills it again")
        notes = (*job.settings.notes, f"the network was tuned on this scan: {figures}")
        options = {"model": str(job.model)}
        settings = replace(job.settings, options=options, notes=notes)
        self.callback.submit(job.uid, again=True, settings=settings)

    def _say(self, text: str, *, bad: bool = False) -> None:
        logger.log(logging.WARNING if bad else logging.INFO, text)
        self._console.print(
            escape(f"inpaint: {text}"), style=wording.BAD if bad else None, soft_wrap=True
        )

    def _run(self, scan: int | str | None) -> Container:
        """The raw run of a scan id or (part of a) uid; the newest one if None."""
        from tiled.queries import Key

        raw = self._raw.sort(("start.time", -1))
        if scan is None:
            found = next(iter(raw.values()), None)
        elif str(scan).isdecimal():
            found = next(iter(raw.search(Key("start.scan_id") == int(scan)).values()), None)
        else:
            found = self._raw.get(str(scan))
        if found is None:
            raise ValueError(f"no scan {'' if scan is None else scan} in {self._raw.uri}")
        return found

    def _filled(self, scan: int | str) -> Container:
        run = self._run(scan)
        found = catalog.find(self._processed, run.metadata["start"]["uid"])
        if not found:
            raise ValueError(f"scan {scan} is not filled; %inpaint redo {scan} does it")
        return found[0]


def _stamp(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


def _log_to(file: Path) -> logging.Handler:
    handler = LogFile(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.logger.addHandler(handler)
    logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
    return handler
