"""The command behind ``bcdi-inpaint evaluate``: run the bench, print the tables, write them down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bcdi_inpaint.progress import progress_bar

from .cases import SEEDS
from .figures import draw_fringes, draw_rows
from .measuring import able, run
from .patterns import read_scan
from .store import Store
from .weights import patches_seen
from .writing import Provenance, show, write_tables

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from .markdown import Table
    from .records import Results
    from .request import Request


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Tables, the summary last, the records they are made from, and where they come from."""

    tables: list[Table]
    results: Results
    provenance: Provenance
    remarks: list[str]


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
        If a method that was asked for can't run, none can fill any of the gaps, or the data can't be used.
    OSError
        If the data can't be read.
    """
    from .records import Results  # with pandas, which the metrics do without
    from .tables import make_tables

    request, remarks = able(request)
    remarks += patches_seen(request)
    made = Provenance.of(request, _seeds(request))
    store = _unfinished(request, remarks, made)
    with progress_bar(console, transient=True) as progress:
        scan = None if request.data is None else read_scan(request.data, request.avoid)
        run(request, progress, store, scan)
        results = Results.of(store.entries)
        if len(results.refusals):
            counted = results.refusals.value_counts(["method", "words"], sort=False)
            remarks += [f"{name} refused {n} gaps: {words}" for (name, words), n in counted.items()]
        if results.records.empty:
            raise ValueError("; ".join(remarks))
        evaluation = Evaluation(make_tables(results), results, made, remarks)
        if request.out is not None:
            progress("figures", 1.0)
            _write(evaluation, request, request.out)
            store.discard()
    *detailed, summary = evaluation.tables
    show(console, detailed, remarks, made)
    summary.show(console)
    where = (
        request.out / "tables.md"
        if request.out
        else "above; --out FOLDER writes them, with figures"
    )
    console.print(f"all tables: {where}", markup=False, highlight=False, soft_wrap=True)
    return evaluation


def _unfinished(request: Request, remarks: list[str], made: Provenance) -> Store:
    """What a run that was killed has finished; the first entry says what it was, and with which source."""
    if request.out is None:
        return Store()
    run = f"{replace(request, out=None, command='')} {remarks} {made.versions}"
    path = request.out / "unfinished.jsonl"
    store = Store(path)
    if not store.entries:
        store.add({"run": run, "commit": made.commit})
    begun = store.entries[0]
    if begun.get("run") != run:
        raise ValueError(
            f"{path} is of an unfinished evaluation of something else: take another folder, or delete "
            "the file"
        )
    if begun["commit"] != made.commit:
        remarks.append(f"the run began with commit {begun['commit']}")
    return store


def _seeds(request: Request) -> str:
    if request.data is not None:
        return f"data {request.data.name}"
    drawn = (f"{s} from {SEEDS[s]} on ({n} patterns)" for s, n in request.patterns.items() if n)
    return f"seeds {', '.join(drawn)}"


def _write(evaluation: Evaluation, request: Request, folder: Path) -> None:
    from .records import SCORES

    write_tables(folder, evaluation.tables, evaluation.remarks, evaluation.provenance)
    scores, bands = evaluation.results.records[SCORES], evaluation.results.bands()
    for name, frame in (("scores", scores), ("bands", bands)):
        frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", na_rep="nan")
    for table in evaluation.tables:
        if table.figure:
            draw_rows(table, folder / f"{table.figure}.png")
    if request.data is None:
        draw_fringes(request, folder / "fringes.png")
