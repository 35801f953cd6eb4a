"""What a run has finished, on disk, so that a run that was killed goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from .bench import Results

if TYPE_CHECKING:
    from pathlib import Path


class Journal(dict[str, Results]):
    """Results of finished patterns and gaps by their names; each is written down as it is added.

    Parameters
    ----------
    path
        Of the file: one JSON line that names the run, then one for each entry.
    run
        Everything that decides the figures.
    commit
        Of the source.

    Attributes
    ----------
    begun
        The commit with which the run began.

    Raises
    ------
    ValueError
        If the file is of another run.
    """

    def __init__(self, path: Path, run: str, commit: str) -> None:
        super().__init__()
        self._path = path
        self.begun = commit
        if path.exists():
            # A line that was cut off by a kill has no end; what it held is measured again.
            first, *others = path.read_text().split("\n")[:-1] or [""]
            held = json.loads(first or "{}")
            if held.get("run") != run:
                raise ValueError(
                    f"{path} is of an unfinished evaluation of something else: take another folder, or "
                    "delete the file"
                )
            self.begun = held["commit"]
            read = TypeAdapter(Results)
            for line in others:
                entry = json.loads(line)
                super().__setitem__(entry["name"], read.validate_python(entry["results"]))
        path.parent.mkdir(parents=True, exist_ok=True)
        head: dict[str, object] = {"run": run, "commit": self.begun}
        path.write_text("".join(map(_line, [head, *map(self._entry, self)])))

    def __setitem__(self, name: str, results: Results) -> None:
        super().__setitem__(name, results)
        with self._path.open("a") as file:
            file.write(_line(self._entry(name)))

    def _entry(self, name: str) -> dict[str, object]:
        return {"name": name, "results": asdict(self[name])}

    def discard(self) -> None:
        """Remove the file: the run is complete and its tables are written."""
        self._path.unlink()


def _line(entry: dict[str, object]) -> str:
    return json.dumps(entry) + "\n"
