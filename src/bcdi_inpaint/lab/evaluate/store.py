"""Results in a file of JSON lines, so that a run that was killed goes on where it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bcdi_inpaint.atomic_writing import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    Entry = dict[str, Any]


class Store:
    """Entries, each written down as it is added, in order and as JSON gives them back; without a path in memory alone.

    Of those of earlier runs, `keep` picks what is still wanted; the others leave the file. A last line that was cut
    off by a kill is no entry.
    """

    def __init__(
        self, path: Path | None = None, keep: Callable[[list[Entry]], list[Entry]] = list
    ) -> None:
        self._path = path
        there = path is not None and path.is_file()
        self.entries = keep(_entries(path.read_text() if path is not None and there else ""))
        if path is not None:
            with whole_file(path) as part:
                part.write_text(_text(self.entries))

    def add(self, *entries: Entry) -> None:
        """Append entries that belong together, at once."""
        text = _text(entries)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(text)
        self.entries += _entries(text)

    def discard(self) -> None:
        """Remove the file: nothing is unfinished any more."""
        if self._path is not None:
            self._path.unlink()


def _text(entries: Iterable[Entry]) -> str:
    return "".join(f"{json.dumps(entry)}\n" for entry in entries)


def _entries(text: str) -> list[Entry]:
    return [json.loads(line) for line in text.split("\n")[:-1]]
