"""The command behind ``bcdi-inpaint evaluate --downstream``: the study, its tables and pictures."""

from __future__ import annotations

import json
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bcdi_inpaint.progress import progress_bar

from ..config import METHODS
from ..measuring import unable
from ..networks import digests, learned
from ..origin import origin
from ..patterns import read_scan
from . import cohere_runs as cohere
from .figures import draw_ratios, draw_scatter
from .fills import FILLS
from .ranking import make_tables
from .results import Inverse, Ledger, Reconstruction
from .scenes import QUICK, Plan
from .study import Study
from .views import measured_view

if TYPE_CHECKING:
    from rich.console import Console

    from ..config import Config
    from ..markdown import Table
    from ..origin import Provenance
    from ..request import Request
    from .results import Line


def report(request: Request, console: Console, plan: Plan | None = None) -> Ledger:
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
        How much; by default as ``request.quick`` says.

    Raises
    ------
    ValueError
        If the data can't be used.
    OSError
        If the data can't be read.
    """
    if len(request.models) > 1:
        raise ValueError(
            "--downstream takes one --model: run it once for each, with folders of their own"
        )
    plan = plan or (QUICK if request.quick else Plan())
    asked = request.methods or METHODS
    used = tuple(m for m in METHODS if m in asked and any(m == f.method for f in FILLS.values()))
    config = replace(request, methods=used).config()
    refused = unable(config)
    remarks = [f"{name}: no row, {why.partition(':')[0]}" for name, why in refused.items()]
    config = replace(config, methods=tuple(m for m in used if m not in refused))
    if not cohere.available():
        remarks.append(
            "cohere: no tables, it is not installed (pip install bcdi-inpaint[downstream])"
        )
    holder = tempfile.TemporaryDirectory() if request.out is None else nullcontext(request.out)
    with holder as place:
        folder = Path(place)
        ledger = Ledger(folder / "ledger.jsonl", plan.starts, partial(_current, config))
        try:
            with progress_bar(console, transient=True) as progress:
                measured = None
                if request.data is not None and plan.measured:
                    progress("reconstructing the whole measured scan", 0.0)
                    measured = measured_view(plan, read_scan(request.data, request.avoid))
                Study(plan, config, ledger, folder, measured).run(progress)
        except KeyboardInterrupt:
            remarks.append("stopped early: the same command goes on")
        remarks += learned(config)
        made = origin(request, config, f"objects {plan.objects}, starts {plan.starts}")
        tables = make_tables(ledger)
        _write(folder, tables, remarks, made)
        draw_scatter(ledger.of(Reconstruction), folder / "scatter.png")
        if inverse := ledger.of(Inverse):
            draw_ratios(inverse, folder / "true-phases.png")
    for table in tables:
        table.show(console)
    for remark in (*remarks, made.line()):
        console.print(remark, markup=False, highlight=False)
    return ledger


def _write(folder: Path, tables: list[Table], remarks: list[str], made: Provenance) -> None:
    versions = f"cohere-core {version('cohere-core')}; " if cohere.available() else ""
    line = versions + made.line()
    text = "\n".join([*(t.markdown() for t in tables), *(f"- {r}" for r in remarks)])
    (folder / "tables.md").write_text(f"{text}\n\n<sub>{line}</sub>\n")
    plain = {"provenance": line, "remarks": remarks, "tables": [t.plain() for t in tables]}
    (folder / "tables.json").write_text(json.dumps(plain, indent=1) + "\n")


def _current(config: Config, line: Line) -> bool:
    """Whether a result is of the weights that fill now, or of none."""
    return line.weights in digests(config, FILLS[line.fill].method)
