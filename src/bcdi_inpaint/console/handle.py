"""The handle that `install` returns: toggles, status, pictures, in Python and behind ``%inpaint``."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bcdi_inpaint import geometry
from bcdi_inpaint.filling import METHODS
from bcdi_inpaint.live import InpaintCallback
from bcdi_inpaint.live.errors import reason
from bcdi_inpaint.live.guard import going_on
from bcdi_inpaint.scans import RockingScanRule

from . import commands, look_up, status_lines
from .commands import command
from .remembered import RememberedToggles
from .saying import Announcements, Say, last_lines, logger, write_log
from .toggles import models
from .tuning import FineTuning
from .waiting import wait_with_bar

if TYPE_CHECKING:
    from bluesky import RunEngine
    from matplotlib.figure import Figure
    from tiled.client.container import Container

    from bcdi_inpaint.live import Limits, RunStatus, Settings

    from .toggles import Toggles

LOOK_EVERY = 0.5
"""Seconds between looks at the file of toggles and at results."""
SILENT = "the console could not say what happened"


def _numbers(inpaint: Inpaint) -> list[str]:
    return look_up.numbers(inpaint.callback.status())


class Inpaint:
    """Settings, status and results of inpainting.

    Methods are the commands of ``%inpaint``: they take the words that are typed there, or the same
    as Python values, and count from the next scan on.

    Its parameters are those of `bcdi_inpaint.console.install`, which makes it.
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
        self._rule = rule or RockingScanRule()
        self._say = Say(Console(highlight=False))
        self._announcements = Announcements(self._say, self._tune_on)
        self._announcing = threading.Lock()
        self._folder = folder
        self._log = write_log(folder / "inpaint.log")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._say(f"nothing can be remembered or logged: {reason(error)}", bad=True)
        self.callback = InpaintCallback(
            raw, processed, settings=settings, rule=self._rule, limits=limits
        )
        self._toggles = RememberedToggles(
            folder / "inpaint.toml", self.callback, self._say, self._announcements.toggled
        )
        self._tuning = FineTuning(self.callback, folder / "models", tuning_seconds, self._say)
        self._toggles.follow()
        self._announcements.begin(self.toggles)
        self._unsubscribe = partial(RE.unsubscribe, RE.subscribe(self.callback))  # type: ignore[no-untyped-call]
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, name="bcdi-inpaint console", daemon=True
        )
        self._thread.start()

    # Toggles. Each is checked, remembered and in force from the next start document on.

    @command()
    def on(self) -> None:
        """Fill new scans."""
        self._toggles.set(on=True)

    @command()
    def off(self) -> None:
        """Leave new scans alone; what is being filled is finished."""
        self._toggles.set(on=False)

    @command()
    def pause(self) -> None:
        """Let scans wait; what is being filled is finished."""
        self._toggles.set(paused=True)

    @command()
    def resume(self) -> None:
        """Go on after pause."""
        self._toggles.set(paused=False)

    @command("NAME", lambda _: METHODS)
    def method(self, name: str) -> None:
        """Choose how gaps are filled."""
        self._toggles.set(method=name)

    @command("NAME | FILE | default", lambda _: (*models(), "default"))
    def model(self, name: str) -> None:
        """Choose the network, for methods that have one."""
        self._toggles.set(model=name)

    @command("NAME | auto", lambda _: (*geometry.detectors(), "auto"))
    def detector(self, name: str) -> None:
        """Say whose gaps the frames have, where the run doesn't."""
        self._toggles.set(detector=name)

    @command("R0:R1,C0:C1 | around N [M] | all", lambda _: ("around", "all"))
    def roi(self, *region: object) -> None:
        """Choose the part of the frames that is filled: rows, columns, or N x M about the peak."""
        texts = [part for part in region if isinstance(part, str)]
        whole = " ".join(texts) if len(texts) == len(region) else None
        self._toggles.set(roi=whole or (region if len(region) > 1 else region[0]))

    @command("FILE | none", lambda _: ("none",))
    def mask(self, file: str | Path) -> None:
        """Take missing pixels from a file instead of the detector's gaps."""
        if str(file) != "none":
            geometry.read_mask(Path(file).expanduser())
        self._toggles.set(mask=str(file))

    @command("on | off", lambda _: ("on", "off"))
    def own_mask(self, switch: str | bool) -> None:
        """Count the mask in the detector's files, too."""
        self._toggles.set(own_mask=switch)

    @command("on | off", lambda _: ("on", "off"))
    def saturated(self, switch: str | bool) -> None:
        """Fill saturated voxels, too."""
        self._toggles.set(saturated=switch)

    @command("PCC | auto", lambda _: ("0.9", "auto"))
    def threshold(self, pcc: float | str) -> None:
        """Set the self-check PCC below which a fill is doubtful."""
        self._toggles.set(threshold=pcc)

    @command("on | off | now [SCAN]", lambda _: ("on", "off", "now"))
    def finetune(self, what: str | bool, scan: int | str | None = None) -> None:
        """Tune the network on scans whose self-check is poor, or on one scan now; then fill again."""
        if what == "now":
            self._tuning.begin(look_up.raw_run(self._raw, scan), self.toggles.model)
        else:
            self._toggles.set(finetune=what)

    # What has been filled.

    @command("[SCAN]", _numbers)
    def redo(self, scan: int | str | None = None) -> None:
        """Fill a scan again, with what is chosen now."""
        start = look_up.raw_run(self._raw, scan).metadata["start"]
        self.callback.submit(start["uid"], again=True)
        self._say(f"scan {start.get('scan_id')} is filled again, by {self.toggles.method}")

    @command()
    def last(self) -> Container:
        """Give the newest filled scan, as Tiled's client."""
        return look_up.last_filled(self._processed)

    @command("[SCAN]", _numbers)
    def show(self, scan: int | str | None = None) -> Figure:
        """Draw a filled scan: raw, filled, uncertainty and the rocking curve."""
        from .pictures import draw

        found = partial(look_up.filled_scan, self._raw, self._processed)
        node = self.last() if scan is None else found(scan)
        return draw(node, self._folder, self._say.console)

    @command("[SCAN]", _numbers)
    def why(self, scan: int | str | None = None) -> None:
        """Say why a scan is not filled."""
        status = self.callback.status()
        answer = look_up.why(self._raw, self._processed, status, self._rule, scan)
        self._say.console.print(answer, markup=False, soft_wrap=True)

    @command()
    def log(self) -> None:
        """Show what has happened."""
        lines = [*last_lines(self._log.path), f"all of it: {self._log.path}\n"]
        self._say.console.print("".join(lines), end="", markup=False, soft_wrap=True)

    @command()
    def status(self) -> None:
        """Show what is going on; %inpaint alone does the same."""
        where = {"toggles": str(self._toggles.file), "log": str(self._log.path)}
        if tuning := str(self._tuning):
            where = {"tuning": tuning, **where}
        status_lines.show(self._say.console, self.callback.status(), self.toggles, where)

    @command()
    def help(self) -> None:
        """Show these lines."""
        self._say.console.print(commands.overview())

    # For programs.

    @property
    def toggles(self) -> Toggles:
        """What is chosen."""
        return self._toggles.value

    def to_dict(self) -> dict[str, object]:
        """What is going on, as plain values."""
        return {
            "toggles": self.toggles.model_dump(),
            "toggles_file": str(self._toggles.file),
            "log_file": str(self._log.path),
            **self.callback.status().to_dict(),
        }

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, with a bar, until finished scans are tuned on and filled; whether in time."""
        return wait_with_bar(
            self._settled, self.callback.status, self._tuning, self._say.console, timeout
        )

    def _settled(self, timeout: float) -> bool:
        """Whether, within `timeout` seconds, all is filled and said, and nothing is tuned for it."""
        if self._tuning.busy or not self.callback.wait(timeout):
            return False
        self._announce()
        return not self._tuning.busy and self.callback.wait(0.0)

    def leave(self) -> None:
        """Close at the end of a session: wait for finished scans first, but not after Ctrl-C."""
        self._tuning.close()
        if not self.toggles.paused and not self.callback.wait(0.0):
            self._say("a finished scan is being filled; Ctrl-C leaves without it")
            with suppress(KeyboardInterrupt):
                self.wait()
        for run in self.callback.status().runs:
            scan = run.uid if run.scan_id is None else run.scan_id
            self._say(f"scan {scan} is not filled; %inpaint redo {scan} does it another time")
        self.close(0.0)

    def close(self, timeout: float = 30.0) -> bool:
        """Unsubscribe from the RunEngine; wait for finished scans, as the callback's `close` does."""
        self._unsubscribe()
        self._tuning.close()
        done = self.callback.close(timeout)
        self._closing.set()
        self._thread.join()
        with going_on(logger, SILENT):
            self._announce()
        logger.logger.removeHandler(self._log)
        self._log.close()
        return done

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_EVERY):
            # A line that can't be written must not cost the lines after it.
            with going_on(logger, SILENT):
                self._toggles.follow()
                self._announce()

    def _announce(self) -> None:
        """Report what was finished since the last check."""
        with self._announcing:
            self._announcements.announce(self.callback.status(), self.toggles)

    def _tune_on(self, run: RunStatus) -> None:
        """Tune the network on a doubtful scan, once, if that is wanted; it isn't offered, since it gains little."""
        if self.toggles.finetune and not self._tuning.has_begun(run.uid):
            self._tuning.begin(self._raw[run.uid], self.toggles.model)
