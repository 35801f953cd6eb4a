"""The command behind ``bcdi-inpaint evaluate``: run the bench, print the tables, write them down."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bcdi_inpaint.progress import progress_bar

from .cases import SEEDS
from .config import method_of
from .journal import Journal
from .measuring import run, run_measured, unable
from .networks import learned
from .origin import origin
from .patterns import read_scan
from .tables import make_tables, summary
from .writing import write

if TYPE_CHECKING:
    from rich.console import Console

    from .config import Config
    from .markdown import Table
    from .origin import Provenance
    from .records import Results
    from .request import Request


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
        named = request.methods + (("patching",) if request.models else ())
        if method_of(method) in named:
            raise ValueError(reason)
        remarks.append(f"{method} is left out: {reason}")
        config = replace(config, methods=tuple(m for m in config.methods if m != method))
    remarks += learned(config)
    provenance = origin(request, config, _seeds(request, config))
    journal = None
    if request.out is not None:
        decisive = f"{config} {request.data} {request.avoid} {remarks} {provenance.versions}"
        journal = Journal(request.out / "unfinished.jsonl", decisive, provenance.commit)
        if journal.begun != provenance.commit:
            remarks.append(f"the run began with commit {journal.begun}")
    with progress_bar(console, transient=True) as progress:
        if request.data is None:
            results = run(config, progress, journal)
        else:
            scan = read_scan(request.data, request.avoid)
            results = run_measured(config, scan, progress, journal)
        remarks += [
            f"{refusal.method} refused {number} gaps: {refusal.words}"
            for refusal, number in Counter(results.refusals).items()
        ]
        tables = [*make_tables(results), summary(results)]
        evaluation = Evaluation(tables, results, config, provenance, tuple(remarks))
        if request.out is not None and journal is not None:
            progress("figures", 1.0)
            write(evaluation, request.out, measured=request.data is not None)
            journal.discard()
    *detailed, brief = evaluation.tables
    for table in detailed:
        if not table.figure:
            table.show(console)
    for remark in (*remarks, evaluation.provenance.line()):
        console.print(remark, markup=False, highlight=False)
    brief.show(console)
    where = (
        "above; --out FOLDER writes them, with figures"
        if request.out is None
        else request.out / "tables.md"
    )
    console.print(f"all tables: {where}", markup=False, highlight=False, soft_wrap=True)
    return evaluation


def _seeds(request: Request, config: Config) -> str:
    if request.data is not None:
        return f"data {request.data.name}"
    seeds = ", ".join(
        f"{which} from {SEEDS[which]} on ({number} patterns)"
        for which, number in config.patterns.items()
        if number
    )
    return f"seeds {seeds}"
