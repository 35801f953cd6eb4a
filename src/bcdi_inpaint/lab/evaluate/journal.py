"""What a run has finished, on disk, so that a run that was killed goes on where it was."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from . import jsonlines
from .records import Results

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
        head, *finished = jsonlines.read(path) or [{"run": run, "commit": commit}]
        if head.get("run") != run:
            raise ValueError(
                f"{path} is of an unfinished evaluation of something else: take another folder, or "
                "delete the file"
            )
        self.begun: str = head["commit"]
        of_entry = TypeAdapter(Results).validate_python
        # dict's own way of adding, which writes nothing down.
        self.update({entry["name"]: of_entry(entry["results"]) for entry in finished})
        jsonlines.rewrite(path, [head, *finished])

    def __setitem__(self, name: str, results: Results) -> None:
        super().__setitem__(name, results)
        entry: dict[str, Any] = {"name": name, "results": asdict(results)}
        jsonlines.append(self._path, [entry])

    def discard(self) -> None:
        """Remove the file: the run is complete and its tables are written."""
        self._path.unlink()
