"""An evaluation on disk: tables, figures, and the records behind them."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from . import figures as pictures
from .metrics import BAND_NAMES
from .records import Measures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .evaluation import Evaluation
    from .records import Case, Results


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
            pictures.draw_rows(table, folder / f"{table.figure}.png")
    if not measured:
        pictures.draw_fringes(evaluation.config, folder / "fringes.png")


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
