"""Tables that the commands print."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bcdi_inpaint.console.printing import sheet

PACKAGES = (
    "bcdi-inpaint", "numpy", "scipy", "torch", "bluesky", "bluesky-tiled-plugins", "ophyd", "tiled",
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bcdi_inpaint.export.treatment import Gaps
    from bcdi_inpaint.filling import Inpainted
    from bcdi_inpaint.geometry import Detector
    from bcdi_inpaint.live import RunStatus
    from bcdi_inpaint.scans import ScanMetadata
    from bcdi_inpaint.service.backfill import Outcome
    from bcdi_inpaint.service.checks import Finding


def detector_list(detectors: Iterable[Detector]) -> Table:
    """One line for each detector."""
    table = Table("key", "detector", "frame", "pixel", "missing", box=None, padding=(0, 2, 0, 0))
    for known in detectors:
        rows, cols = known.shape
        table.add_row(
            known.key,
            known.name,
            f"{rows} x {cols}",
            f"{known.pixel_size * 1e6:g} µm",
            f"{known.mask().mean():.2%}",
        )
    return table


def detector_sheet(known: Detector) -> Table:
    """All that is known of one detector's gaps."""
    table = sheet()
    rows, cols = known.shape
    table.add_row("key", known.key)
    table.add_row("detector", f"{known.name} ({known.vendor}, {known.sensor})")
    table.add_row("frame", f"{rows} x {cols} pixels of {known.pixel_size * 1e6:g} µm")
    for policy in ("bcdi", "dead", "dead+large", "dead+large+virtual"):
        lines = known.lines(policy)
        for axis, spans in (("rows", lines.rows), ("cols", lines.cols)):
            listed = ", ".join(f"{start}:{stop}" for start, stop in spans) or "none"
            table.add_row(policy if axis == "rows" else "", f"{axis} {listed}")
        missing = known.mask(policy=policy)
        table.add_row("", f"{missing.sum()} pixels, {missing.mean():.2%}")
    return table


def installation() -> Table:
    """Versions, methods and devices."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    from bcdi_inpaint.filling import METHODS

    table = sheet()
    for package in PACKAGES:
        try:
            table.add_row(package, version(package))
        except PackageNotFoundError:
            table.add_row(package, "not installed")
    table.add_row("Python", platform.python_version())
    table.add_row("methods", ", ".join(METHODS))
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    table.add_row("devices", ", ".join([f"CPU ({torch.get_num_threads()} threads)", *gpus]))
    return table


def runs(done: Iterable[RunStatus]) -> Table:
    """One line for each run that was filled or failed."""
    table = Table("scan", "run", "state", "where, or why not", box=None, padding=(0, 2, 0, 0))
    for run in done:
        scan = "" if run.scan_id is None else str(run.scan_id)
        table.add_row(scan, run.uid[:8], run.state, escape(run.path or run.reason))
    return table


def of_scan(
    known: ScanMetadata, angles: NDArray[np.float64] | None, gaps: Gaps | None
) -> dict[str, str]:
    """What a file said of its scan, and how the gap goes on to phase retrieval, as rows of a summary."""
    said = {
        "detector": known.detector,
        "energy": f"{known.energy:g} eV" if known.energy else "",
        "distance": f"{known.distance:g} m" if known.distance else "",
        "angles": ""
        if angles is None
        else f"{known.motor} {angles[0]:g} to {angles[-1]:g} degrees",
        "gap in OUT": TREATMENTS[gaps] if gaps else "",
        "reading": "; ".join(known.notes),
    }
    return {name: value for name, value in said.items() if value}


TREATMENTS = {
    "hard": "hard: phase retrieval takes the filled values for measured",
    "soft": "soft: phase retrieval keeps near the filled values (from PyNX's Python API)",
    "free": "free: phase retrieval leaves it free; the filled values are kept in the file",
}


def check_screen() -> None:
    """Refuse to show a picture where nothing can be shown.

    Raises
    ------
    OSError
        If there is no screen.
    """
    import matplotlib.pyplot as plt

    if plt.get_backend().casefold() == "agg":
        raise OSError("there is no screen to show the picture on: --plot writes it to a file")


def show_figure(filled: Inpainted) -> None:
    """Show a fill on the screen, until the window is closed."""
    import matplotlib.pyplot as plt

    from bcdi_inpaint.filling.plotting import SIZE, draw

    draw(plt.figure(figsize=SIZE, layout="constrained"), filled)
    plt.show()


def findings(found: Iterable[Finding]) -> Table:
    """What ``serve --check`` has found."""
    table = sheet(columns=3)
    for finding in found:
        sign = "[green]ok[/]" if finding.works else "[red]no[/]"
        table.add_row(finding.subject, sign, escape(finding.what))
    return table


def outcomes(done: Sequence[Outcome]) -> Table:
    """What ``backfill`` has done: a line for each state and verdict, and one for each failure."""
    from bcdi_inpaint.service.backfill import Ending  # what it imports takes a second

    table = sheet()
    counts = Counter((outcome.state, outcome.verdict) for outcome in done)
    for (state, verdict), count in sorted(counts.items()):
        table.add_row(state, f"{count}{f', self-check: {verdict}' if verdict else ''}")
    filled = [outcome for outcome in done if outcome.state is Ending.FILLED]
    for part in ("read", "fill", "write"):
        if filled:
            seconds = median(getattr(outcome, f"{part}_seconds") for outcome in filled)
            table.add_row(part, f"{seconds:.2f} s a run (median)")
    for outcome in done:
        if outcome.reason:
            table.add_row(outcome.uid, escape(outcome.reason))
    return table
