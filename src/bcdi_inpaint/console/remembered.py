"""The toggles that are in force: set here, remembered in a file, followed when others change that."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bcdi_inpaint.live.errors import reason

from .toggles import Toggles, change, load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bcdi_inpaint.live import InpaintCallback, Settings

    from .saying import Say


class RememberedToggles:
    """Toggles in a file, which apply from the next scan on; programs may share it.

    `value` are those in force; `changed` is called when others have come into force.
    """

    def __init__(
        self, file: Path, callback: InpaintCallback, say: Say, changed: Callable[[Toggles], None]
    ) -> None:
        self.file = file
        self.value = Toggles(method=callback.settings.method)
        self._callback = callback
        self._base: Settings = callback.settings
        self._say = say
        self._changed = changed
        self._changing = threading.RLock()
        self._stamp: int | None = None
        self._unwritten: dict[str, object] = {}
        """What was changed while the file could not be written."""

    def set(self, **changes: object) -> None:
        """Change a toggle, in the file and in force, and say so.

        While the file can't be written, as on a full disk, it comes into force all the same, and is
        remembered with the next one that can be.
        """
        with self._changing:
            wanted = {**self._unwritten, **changes}
            try:
                new = change(self.file, self.value, **wanted)
                self._unwritten, where = {}, f"remembered in {self.file}"
            except OSError as error:
                new = self.value.changed(**wanted)
                self._unwritten, where = wanted, f"for this session only: {reason(error)}"
            self.take(new)
        (name,) = changes
        value = getattr(new, name)
        if isinstance(value, bool):
            value = "on" if value else "off"
        shown = "auto" if value in (None, "") else value
        name = "inpainting" if name == "on" else name
        said = f"{name}: {shown}, from the next scan on ({where})"
        self._say(said, bad=bool(self._unwritten))

    def take(self, toggles: Toggles) -> None:
        """Put toggles in force; all of them or none."""
        with self._changing:
            settings = toggles.settings(self._base)
            self.value = toggles
            self._callback.settings = settings
            self._callback.enabled = toggles.on
            if toggles.paused:
                self._callback.pause()
            else:
                self._callback.resume()
        self._changed(toggles)

    def follow(self) -> None:
        """Take what another program or an editor has written to the file."""
        with self._changing:
            stamp = _stamp(self.file)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            try:
                self.take(load(self.file, self.value).changed(**self._unwritten))
            except (ValueError, OSError) as error:
                self._say(f"toggles stay as they are: {error}", bad=True)


def _stamp(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None
