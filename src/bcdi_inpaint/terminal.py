"""Tables that the commands print."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

PACKAGES = (
    "bcdi-inpaint", "numpy", "scipy", "torch", "bluesky", "bluesky-tiled-plugins", "ophyd", "tiled",
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rich.console import Console

    from .filling import Inpainted, SelfCheck
    from .geometry import Detector
    from .learning import Progress, TrainingRecipe
    from .live import RunStatus


def say(console: Console, line: str) -> None:
    """Print a line as it is, so that names in it can be copied."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def summary(filled: Inpainted, more: Mapping[str, str] | None = None) -> Table:
    """What was filled, how, and how far it can be trusted; then the rows in `more`."""
    report = filled.report
    table = _sheet()
    frames, rows, cols = filled.intensity.shape
    table.add_row("stack", f"{frames} frames of {rows} x {cols}, {filled.intensity.dtype}")
    table.add_row("gap", f"{report.gap_share:.2%} ({report.voxels_missing} voxels)")
    table.add_row("method", f"{report.method} on {report.device}, {report.seconds:.1f} s")
    if report.model_name:
        table.add_row("model", f"{report.model_name} ({report.model_hash[:12]})")
    if report.self_check is not None:
        table.add_row("self-check", _told(report.self_check))
    for note in report.notes:
        table.add_row("note", note)
    for name, value in (more or {}).items():
        table.add_row(name, value)
    return table


def _told(check: SelfCheck) -> str:
    return (
        f"{check.verdict}: on artificial gaps PCC {check.pcc:.3f} "
        f"(kriging {check.pcc_kriging:.3f}, linear {check.pcc_linear:.3f}, "
        f"at best {check.pcc_ceiling:.3f}), counts x {check.counts_ratio:.2f} "
        f"(kriging {check.counts_ratio_kriging:.2f}, linear {check.counts_ratio_linear:.2f})"
    )


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
    table = _sheet()
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

    from .filling import METHODS

    table = _sheet()
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


def _sheet() -> Table:
    """A table of names and values."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


@contextmanager
def share_progress(console: Console, what: str) -> Iterator[Callable[[float], None]]:
    """A progress bar for work that tells the share that is done, 0 to 1."""
    from rich.progress import Progress as Bars

    with Bars(console=console) as bars:
        task = bars.add_task(what, total=1.0)
        yield lambda share: bars.update(task, completed=share)


@contextmanager
def count_progress(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for work that tells how many are done, of how many."""
    from rich.progress import MofNCompleteColumn
    from rich.progress import Progress as Bars

    with Bars(*Bars.get_default_columns(), MofNCompleteColumn(), console=console) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def runs(done: Iterable[RunStatus]) -> Table:
    """One line for each run that was filled or failed."""
    table = Table("scan", "run", "state", "where, or why not", box=None, padding=(0, 2, 0, 0))
    for run in done:
        scan = "" if run.scan_id is None else str(run.scan_id)
        table.add_row(scan, run.uid[:8], run.state, escape(run.path or run.reason))
    return table


@contextmanager
def training_progress(
    console: Console, recipe: TrainingRecipe, minutes: float | None
) -> Iterator[Callable[[Progress], None]]:
    """A progress bar with time left, and a line for each validation."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from .learning.course import course

    taught = course(recipe)
    columns = (TextColumn("training"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console) as bars:
        task = bars.add_task("training", total=1.0)

        def report(row: Progress) -> None:
            by_time = row.seconds / (60 * minutes) if minutes else 0.0
            bars.update(task, completed=max(row.step / recipe.steps, by_time))
            bars.console.print(
                f"step {row.step:>6}  portions {row.portions:>8}  "
                f"{taught.shown}: training {row.training:.3f}, "
                f"held out {row.validation:.3f} ({taught.start} {row.start:.3f})",
                highlight=False,
            )

        yield report
