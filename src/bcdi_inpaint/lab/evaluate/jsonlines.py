"""Files of JSON lines that results are appended to, so that a run that was killed can go on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bcdi_inpaint.atomic_writing import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    Entry = dict[str, Any]


def read(path: Path) -> list[Entry]:
    """Entries of a file, none where there is no file.

    A last line that was cut off by a kill is left out: `rewrite` the file before more is appended.
    """
    if not path.is_file():
        return []
    *whole, _cut_off = path.read_text().split("\n")
    return [json.loads(line) for line in whole]


def append(path: Path, entries: Iterable[Entry]) -> None:
    """Add entries that belong together, at once."""
    with path.open("a") as file:
        file.write(_text(entries))


def rewrite(path: Path, entries: Iterable[Entry]) -> None:
    """Let a file hold these entries alone, atomically; its folder is made if it isn't there."""
    with whole_file(path) as part:
        part.write_text(_text(entries))


def _text(entries: Iterable[Entry]) -> str:
    return "".join(f"{json.dumps(entry)}\n" for entry in entries)
