"""The command behind ``bcdi-inpaint evaluate``: run the bench, print the tables, write them down."""

from __future__ import annotations

import csv
import json
import os
import platform
import shlex
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..filling import METHODS
from ..filling.reference import weights_name
from ..filling.reference_network import WIDTHS
from ..filling.weights import SHIPPED
from ..provenance import source_commit
from . import figures
from .bench import Case, Config, Measures, Results, run, run_measured, unable
from .cases import NARROW, SEEDS
from .journal import Journal
from .metrics import BAND_NAMES
from .tables import Table, make_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from rich.console import Console

    from .bench import Tell
    from .cases import PatternSet

TRAINING_FREE = ("kriging", "biharmonic", "linear", "cubic", "nearest", "inverse_distance")

FULL: dict[PatternSet, int] = {"plain": 8, "held-out": 12, "bright": 6}
QUICK: dict[PatternSet, int] = {"plain": 2, "held-out": 2, "bright": 1}

AVOIDED_RADIUS = 16
"""Pixels around another crystal's peak that are not judged."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the bench.

    Attributes
    ----------
    methods
        Names of ``bcdi_inpaint.filling.METHODS``; empty for all that can run (with `quick`, those that
        need no training).
    quick
        A few patterns and widths, in minutes.
    data
        A measured scan without gaps (npz, npy, tif, HDF5) instead of simulated ones.
    avoid
        (row, col) on the detector of other crystals' peaks in `data`; 16 px around them are not judged.
    widths
        Of gaps, in pixels; empty for 3, 6, 9, 12, 38 and (not with `quick`) 41.
    patterns
        Of each simulated set; None for the sets' own numbers.
    shape
        Voxels of a simulated pattern, or of the region around the peak of a measured one.
    model
        Weights of the patching model other than the shipped ones.
    reference
        Folder of the reference networks' weights; None for the package's own, where none are shipped.
    skip
        Positions left out between the reference's windows; 4 is the paper's fast road.
    device
        For methods with a network.
    out
        Folder for tables and figures; None writes none. A run that was killed goes on there.
    command
        As the tables say it.
    """

    methods: tuple[str, ...] = ()
    quick: bool = False
    data: Path | None = None
    avoid: tuple[tuple[int, int], ...] = ()
    widths: tuple[int, ...] = ()
    patterns: int | None = None
    shape: tuple[int, int, int] = (128, 128, 128)
    model: str | None = None
    reference: Path | None = None
    skip: int = 4
    device: str = "auto"
    out: Path | None = None
    command: str = field(
        default_factory=lambda: shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    )

    def config(self) -> Config:
        """The bench's configuration.

        Raises
        ------
        ValueError
            If a method is unknown or a width impossible.
        """
        for method in self.methods:
            if method not in METHODS:
                raise ValueError(f"method {method!r} is unknown; there are {', '.join(METHODS)}")
        if any(not 1 <= width < min(self.shape[1:]) // 2 for width in self.widths):
            raise ValueError(
                f"widths {self.widths}: takes 1 to {min(self.shape[1:]) // 2 - 1} px in a {self.shape} pattern"
            )
        options: dict[str, dict[str, Any]] = {
            "reference": {"skip": self.skip, "weights": self.reference or ""}
        }
        if self.model is not None:
            options["patching"] = {"model": self.model}
        numbers = QUICK if self.quick else FULL
        if self.patterns is not None:
            numbers = {which: self.patterns for which, number in numbers.items() if number}
        config = Config(
            methods=self.methods or (TRAINING_FREE if self.quick else METHODS),
            patterns=numbers,
            shape=self.shape,
            device=self.device,
            options=options,
        )
        if self.quick:
            config = replace(config, wide=(38,), kinds=("vertical",))
        if self.widths:
            narrow = tuple(w for w in self.widths if w <= max(NARROW))
            config = replace(
                config, narrow=narrow, wide=tuple(w for w in self.widths if w not in narrow)
            )
        return config


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a table must say of itself, so that it can be made again."""

    command: str
    seeds: str
    date: str
    commit: str
    versions: str
    machine: str

    def line(self) -> str:
        """One line for a caption."""
        return (
            f"`{self.command}`; {self.seeds}; {self.date}; commit {self.commit}; "
            f"{self.versions}; {self.machine}"
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Tables, the records they are made from, and where they come from."""

    tables: list[Table]
    results: Results
    config: Config
    provenance: Provenance
    remarks: tuple[str, ...]


def evaluate(request: Request, console: Console) -> Evaluation:
    """Run the bench with a progress bar, print the tables and write them to ``request.out``.

    Parameters
    ----------
    request
        What.
    console
        Where to print.

    Raises
    ------
    ValueError
        If a method that was asked for can't run, or the data can't be used.
    OSError
        If the data can't be read.
    """
    config = request.config()
    remarks = []
    for method, reason in unable(config).items():
        if method in request.methods:
            raise ValueError(reason)
        remarks.append(f"{method} is left out: {reason}")
        config = replace(config, methods=tuple(m for m in config.methods if m != method))
    remarks += networks(config)
    provenance = origin(request, config, _seeds(request, config))
    journal = None
    if request.out is not None:
        decisive = f"{config} {request.data} {request.avoid} {remarks} {provenance.versions}"
        journal = Journal(request.out / "unfinished.jsonl", decisive, provenance.commit)
        if journal.begun != provenance.commit:
            remarks.append(f"the run began with commit {journal.begun}")
    with progress(console) as tell:
        if request.data is None:
            results = run(config, tell, journal)
        else:
            counts, unjudged = measured_scan(request)
            results = run_measured(
                config,
                counts,
                tell,
                name=request.data.stem,
                unjudged=unjudged,
                finished=journal,
            )
        remarks += [
            f"{refusal.method} refused {number} gaps: {refusal.words}"
            for refusal, number in Counter(results.refusals).items()
        ]
        evaluation = Evaluation(make_tables(results), results, config, provenance, tuple(remarks))
        if request.out is not None and journal is not None:
            tell("figures", 1.0)
            write(evaluation, request.out, measured=request.data is not None)
            journal.discard()
    for table in evaluation.tables:
        if not table.figure:
            table.show(console)
    for remark in (*remarks, evaluation.provenance.line()):
        console.print(remark, markup=False, highlight=False)
    return evaluation


@contextmanager
def progress(console: Console) -> Iterator[Tell]:
    """A progress bar with the time left, for work that may have been half done before."""
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # One fill may take minutes: the speed is that of the last ten.
    with Progress(*columns, console=console, transient=True, speed_estimate_period=600) as bars:
        task = bars.add_task("", total=None)

        def tell(what: str, share: float) -> None:
            if bars.tasks[0].total is None:
                # What was done by an earlier run says nothing of the speed of this one.
                bars.reset(task, total=1.0, completed=share)  # type: ignore[arg-type]
            bars.update(task, description=what, completed=share)

        yield tell


def write(evaluation: Evaluation, folder: Path, *, measured: bool = False) -> None:
    """Write ``tables.md``, ``tables.json``, ``scores.csv``, ``bands.csv`` and figures.

    Parameters
    ----------
    evaluation
        From `evaluate`.
    folder
        Made if it isn't there.
    measured
        Leave out the picture of simulated fringes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    line = evaluation.provenance.line()
    sections = [f"{table.markdown()}\n<sub>{line}</sub>\n" for table in evaluation.tables]
    remarks = "".join(f"- {remark}\n" for remark in evaluation.remarks)
    (folder / "tables.md").write_text("\n".join([*sections, remarks]))
    (folder / "tables.json").write_text(
        json.dumps(
            {
                "provenance": asdict(evaluation.provenance),
                "remarks": evaluation.remarks,
                "tables": [table.plain() for table in evaluation.tables],
            },
            indent=1,
        )
    )
    _write_csv(folder / "scores.csv", _scores(evaluation.results))
    _write_csv(folder / "bands.csv", _bands(evaluation.results))
    for table in evaluation.tables:
        if table.figure:
            figures.draw_rows(table, folder / f"{table.figure}.png")
    if not measured:
        figures.draw_fringes(evaluation.config, folder / "fringes.png")


def _scores(results: Results) -> Iterator[dict[str, Any]]:
    plain = [f.name for f in fields(Measures) if not f.name.startswith("by_")]
    for r in results.records:
        yield {
            **_case(r.case),
            "method": r.method,
            "scope": r.scope,
            "index": r.index,
            **{name: getattr(r.measures, name) for name in plain},
            "seconds": r.seconds,
            "cpu_seconds": r.cpu_seconds,
        }


def _bands(results: Results) -> Iterator[dict[str, Any]]:
    for r in results.records:
        for by, sums in (("fill", r.measures.by_fill), ("rate", r.measures.by_rate)):
            if sums is None:
                continue
            for band, voxels, filled, true in zip(
                BAND_NAMES, sums.voxels, sums.filled, sums.true, strict=True
            ):
                row = {"by": by, "band": band, "voxels": voxels, "filled": filled, "true": true}
                yield {**_case(r.case), "method": r.method, **row}


def _case(case: Case) -> dict[str, Any]:
    row = asdict(case)
    over = row.pop("oversampling") or (np.nan, np.nan, np.nan)
    row |= dict(zip(("over_frame", "over_row", "over_col"), over, strict=True))
    return row


def _write_csv(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def measured_scan(request: Request) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Frames of a scan without gaps, and the pixels that are not judged."""
    from ..geometry import dead_pixels, flagged, hot_pixels
    from ..scans import from_file

    assert request.data is not None
    frames = from_file(request.data, mask=False).frames
    flags = int(np.count_nonzero(flagged(frames)))
    if flags:
        raise ValueError(
            f"data {request.data.name} has {flags} flagged voxels (gaps or saturation): the bench needs "
            "a region that was measured everywhere"
        )
    unjudged = hot_pixels(frames=frames) | dead_pixels(frames)
    rows, cols = np.ogrid[: frames.shape[1], : frames.shape[2]]
    for row, col in request.avoid:
        unjudged |= (rows - row) ** 2 + (cols - col) ** 2 <= AVOIDED_RADIUS**2
    return frames, unjudged


def networks(config: Config) -> Iterator[str]:
    """How much the networks have learned from: only at equal numbers is a comparison one of methods."""
    seen: dict[str, Mapping[str, str]] = {}
    if "patching" in config.methods:
        import torch

        from ..filling.weights import DEFAULT, load_model

        name = (config.options or {}).get("patching", {}).get("model", DEFAULT)
        model = load_model(name, torch.device("cpu"))
        seen[f"patching ({model.name}, sha256 {model.sha256[:12]})"] = model.metadata
    if "reference" in config.methods:
        from safetensors import safe_open

        folder = (config.options or {}).get("reference", {}).get("weights") or SHIPPED
        for width in WIDTHS:
            path = Path(folder) / weights_name(width)
            if path.is_file():
                with safe_open(path, framework="pt") as file:
                    seen[f"reference, {width} px"] = file.metadata() or {}
    for name, metadata in seen.items():
        portions = metadata.get("portions", "an unknown number of")
        yield f"{name}: the network has seen {portions} portions"


def _seeds(request: Request, config: Config) -> str:
    if request.data is not None:
        return f"data {request.data.name}"
    seeds = ", ".join(
        f"{which} from {SEEDS[which]} on ({number} patterns)"
        for which, number in config.patterns.items()
        if number
    )
    return f"seeds {seeds}"


def origin(request: Request, config: Config, seeds: str) -> Provenance:
    """What is known of this run, its seeds in words."""
    return Provenance(
        command=request.command,
        seeds=seeds,
        date=datetime.now(UTC).date().isoformat(),
        commit=source_commit(),
        versions=", ".join(f"{p} {version(p)}" for p in ("bcdi-inpaint", "numpy", "torch")),
        machine=f"{os.cpu_count()} "
        f"{platform.machine()} cores, {_processor()}, device {config.device}",
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
