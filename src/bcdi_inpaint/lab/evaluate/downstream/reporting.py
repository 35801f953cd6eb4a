"""The command behind ``bcdi-inpaint evaluate --downstream``: the study, its tables and pictures."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bcdi_inpaint.progress import progress_bar

from ..measuring import able
from ..patterns import read_scan
from ..request import method_of
from ..weights import digests, patches_seen
from ..writing import Provenance, show, write_tables
from . import cohere_runs as cohere
from .figures import draw_ratios, draw_scatter
from .fills import FILLS
from .ranking import make_tables
from .results import StudyStore
from .scenes import WHOLE, measured_view
from .study import Study

if TYPE_CHECKING:
    from rich.console import Console

    from ..request import Request
    from ..store import Entry
    from .scenes import Plan


def report(request: Request, console: Console, plan: Plan = WHOLE) -> StudyStore:
    """Run the study (or what is missing of it), print its tables and write them down.

    Interrupted (Ctrl-C), it makes the tables of what is there.

    Parameters
    ----------
    request
        ``out`` gets everything and is where a stopped run goes on; ``data``, a measured scan without
        gaps, adds a section.
    console
        Where to print.
    plan
        How much.

    Raises
    ------
    ValueError
        If the data can't be used, or a method that was asked for can't run.
    OSError
        If the data can't be read.
    """
    if any(name != method_of(name) for name in request.methods or request.usual):
        raise ValueError("--downstream takes one --model: run it once for each, with an --out each")
    used = {fill.method for fill in FILLS.values()}
    request, remarks = able(replace(request, usual=tuple(m for m in request.usual if m in used)))
    packages = ["cohere-core"] if cohere.available() else []
    if not packages:
        remarks.append(
            "cohere: no tables, it is not installed (pip install bcdi-inpaint[downstream])"
        )
    holder = tempfile.TemporaryDirectory() if request.out is None else nullcontext(request.out)
    with holder as place:
        folder = Path(place)
        store = StudyStore(folder / "ledger.jsonl", plan.starts, partial(_current, request))
        try:
            with progress_bar(console, transient=True) as progress:
                measured = None
                if request.data is not None and plan.measured:
                    progress("reconstructing the whole measured scan", 0.0)
                    measured = measured_view(plan, read_scan(request.data, request.avoid))
                Study(plan, request, store, folder, measured).run(progress)
        except KeyboardInterrupt:
            remarks.append("stopped early: the same command goes on")
        remarks += patches_seen(request)
        seeds = f"objects {plan.objects}, starts {plan.starts}"
        made = Provenance.of(request, seeds, *packages)
        tables = make_tables(store)
        write_tables(folder, tables, remarks, made)
        draw_scatter(store.of("Reconstruction"), folder / "scatter.png")
        if len(inverse := store.of("Inverse")):
            draw_ratios(inverse, folder / "true-phases.png")
    show(console, tables, remarks, made)
    return store


def _current(request: Request, entry: Entry) -> bool:
    """Whether a result is of the weights that fill now, or of none."""
    return entry["weights"] in digests(request, FILLS[entry["fill"]].method)
