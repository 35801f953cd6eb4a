"""The demonstration: a rocking scan, filled while it is measured, and found again in Tiled.

Every part is the one that a beamline has: a Tiled server, a RunEngine with ``TiledWriter`` and
`bcdi_inpaint.live.InpaintCallback`, a motor, and a detector whose files another process writes.
Only the photons are simulated, or replayed from a real scan.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bcdi_inpaint import catalog, geometry
from bcdi_inpaint.console.printing import say, summary
from bcdi_inpaint.export.picture import draw
from bcdi_inpaint.filling import inpaint
from bcdi_inpaint.filling.methods import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from rich.console import Console
    from tiled.client.container import Container

    from bcdi_inpaint.filling import Inpainted
    from bcdi_inpaint.scans import Span

FRAMES = (64, 128, 128)
"""Shape of the simulated scan."""

FROM_PEAK = 7
"""Pixels from the Bragg peak to the gap, along rows and columns: near enough that there are fringes
to be lost."""

BASELINES = ("linear", "biharmonic")

PICTURE = "bcdi-inpaint-demo.png"

PATIENCE = 300.0
"""Seconds to wait for the fill after the last frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Experiment:
    """What the beamline is going to measure, and what its detector will not see.

    Attributes
    ----------
    sample
        Its name.
    counts
        ``(frame, row, col)`` what a detector without gaps measures.
    angles
        ``(frame,)`` of the rocking motor in degrees.
    detector, roi
        The detector's key, and the part of its full frame that is recorded.
    mask
        ``(row, col)`` True = missing.
    rate
        The noise-free expectation of `counts`; None for a real scan.
    """

    sample: str
    counts: NDArray[Any]
    angles: NDArray[np.floating[Any]]
    detector: str
    roi: tuple[Span, Span]
    mask: NDArray[np.bool_]
    rate: NDArray[np.float32] | None = None


def simulated(detector: str) -> Experiment:
    """A strained Wulff crystal whose fringes reach far out."""
    from bcdi_inpaint.lab.simulate import simulate_scan

    scan = simulate_scan(
        100,
        FRAMES,
        family="wulff",
        strain="smooth",
        oversampling=(6.0, 5.5, 6.5),
        peak_offset=(0.0, 0.0, 0.0),
        peak_counts=2e5,
        rounding=0.2,
        roughness=0.0,
        curvature=0.0,
        background=0.02,
        scatter=0.0,
        aliens=0,
        streaks=0,
        hot_pixels=0,
        dead_pixels=0,
        saturation=2**31 - 1,
    )
    return _behind_gaps("simulated crystal", scan.counts, scan.angles, detector, scan.rate)


def replayed(path: Path, detector: str, dataset: str | None = None) -> Experiment:
    """A real scan without gaps, recorded once more by a detector that has them.

    Raises
    ------
    ValueError, OSError
        If the file can't be read, or the detector's frame is smaller than the scan's.
    """
    from bcdi_inpaint.scans import from_file

    scan = from_file(path, dataset=dataset, mask=False)
    counts = np.where(scan.mask, 0, scan.frames)
    angles = np.arange(len(counts)) * 1.0 if scan.angles is None else scan.angles
    return _behind_gaps(path.name, counts, angles, detector)


def _behind_gaps(
    sample: str,
    counts: NDArray[Any],
    angles: NDArray[np.floating[Any]],
    detector: str,
    rate: NDArray[np.float32] | None = None,
) -> Experiment:
    """Let the detector's gaps begin `FROM_PEAK` pixels from the brightest voxel."""
    known = geometry.detector(detector)
    peak = np.unravel_index(int(counts.argmax()), counts.shape)[1:]
    roi = tuple(
        _span_with_gap(lines, length, n, int(middle) + FROM_PEAK)
        for lines, length, n, middle in zip(
            known.lines(), known.shape, counts.shape[1:], peak, strict=True
        )
    )
    if any(stop > length for (_, stop), length in zip(roi, known.shape, strict=True)):
        raise ValueError(
            f"frames of {counts.shape[1]} x {counts.shape[2]} don't fit on {known.key}, "
            f"which has {known.shape[0]} x {known.shape[1]} pixels"
        )
    mask = known.mask(roi=(roi[0], roi[1]))
    if not mask.any():
        raise ValueError(f"{known.key} has no gap: choose a detector that has one")
    return Experiment(sample, counts, angles, known.key, (roi[0], roi[1]), mask, rate)


def _span_with_gap(gaps: tuple[Span, ...], length: int, n: int, where: int) -> Span:
    """``(start, start + n)`` such that the gap in the middle of the detector begins at `where`."""
    gap = min((start for start, _ in gaps), key=lambda s: abs(s - length / 2), default=length // 2)
    start = min(max(gap - where, 0), max(length - n, 0))
    return start, start + n


def demonstrate(
    experiment: Experiment,
    console: Console,
    *,
    folder: Path | None = None,
    method: str | None = None,
    keep: bool = False,
) -> None:
    """Measure, fill and show an experiment.

    Parameters
    ----------
    experiment
        From `simulated` or `replayed`.
    console
        Where progress and results are printed.
    folder
        Where Tiled, the detector's files and the picture go. If None, a temporary one, of which only
        the picture is left.
    method
        As `bcdi_inpaint.inpaint` takes it.
    keep
        Leave the server running until it is interrupted.

    Raises
    ------
    RuntimeError
        If the result can't be found or measured voxels aren't the raw ones.
    """
    with _kept_or_temporary(folder) as place, _server(place) as server:
        say(console, f"Tiled is at {server.web_ui_link}")
        uid, seconds_after = _measure(experiment, server.uri, place, console, method or DEFAULT)
        node, filled = _look_up(server.uri, uid)
        picture = (folder or Path()) / PICTURE
        draw(filled, experiment.counts).savefig(picture, bbox_inches="tight")
        more = {
            "after the last frame": f"{seconds_after:.1f} s until it was in Tiled",
            "measured voxels": "identical to the raw run's",
        }
        console.print(summary(filled, more), compare(experiment, filled))
        say(console, f"in Tiled: {'/'.join(node.path_parts)}")
        say(console, f"picture:  {picture}")
        if keep:
            _stay(server, console)


@contextmanager
def _kept_or_temporary(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()
    else:
        with TemporaryDirectory(prefix="bcdi-inpaint-", ignore_cleanup_errors=True) as temporary:
            yield Path(temporary)


@contextmanager
def _server(folder: Path) -> Iterator[Any]:
    try:
        from tiled.server import SimpleTiledServer
    except ImportError as error:
        raise ImportError(
            f"the demonstration needs a Tiled server: pip install 'bcdi-inpaint[server]' ({error})"
        ) from error

    files = folder / "detector-files"
    files.mkdir(parents=True, exist_ok=True)
    with SimpleTiledServer(folder / "tiled", readable_storage=[files]) as server:
        yield server


def _measure(
    experiment: Experiment, uri: str, folder: Path, console: Console, method: str
) -> tuple[str, float]:
    """Scan; return the run's uid and the seconds from the last frame to the finished fill."""
    from bluesky import RunEngine
    from bluesky.plans import scan
    from bluesky_tiled_plugins import TiledWriter
    from ophyd.sim import SynAxis
    from tiled.client import from_uri
    from tiled.structures.core import Spec

    from bcdi_inpaint.live import InpaintCallback, Settings
    from bcdi_inpaint.testing.devices import AreaDetector, at_motor, with_gaps

    files = folder / "detector-files"
    beamline = _child(from_uri(uri), "demo")
    beamline.context.show_progress = False
    raw = _child(beamline, "raw", Spec("CatalogOfBlueskyRuns", version="3.0"))
    processed = catalog.open_processed(raw)
    recorded = with_gaps(experiment.counts, experiment.mask)
    angles, total = experiment.angles, len(experiment.angles)
    motor = SynAxis(name="eta", egu="deg", value=float(angles[0]))
    exposure = at_motor(recorded, angles, motor)
    settings = Settings(method=method, file_roots=(files,))
    with (
        AreaDetector(exposure, files, name="det", model=experiment.detector) as detector,
        InpaintCallback(raw, processed, settings=settings) as inpainting,
        _progress(console) as progress,
    ):
        measuring = progress.add_task("measuring", total=total)
        filling = progress.add_task("filling", total=total)

        def show(name: str, doc: dict[str, Any]) -> None:
            if name == "event":
                progress.update(measuring, completed=doc["seq_num"])
            for run in inpainting.status().runs:
                progress.update(filling, completed=run.filled)

        run_engine: Any = RunEngine({}, call_returns_result=True)
        for callback in (TiledWriter(raw), inpainting, show):
            run_engine.subscribe(callback)
        result = run_engine(
            scan([detector], motor, angles[0], angles[-1], total),
            sample=experiment.sample,
            roi=experiment.roi,
        )
        last_frame = time.monotonic()
        while not inpainting.wait(0.1):
            show("", {})
            if time.monotonic() - last_frame > PATIENCE:
                raise TimeoutError(f"the fill isn't there {PATIENCE:.0f} s after the last frame")
        seconds = time.monotonic() - last_frame
        if inpainting.status().failed:
            raise RuntimeError(f"the fill failed: {inpainting.status().last_error}")
        progress.update(filling, completed=total)
    uid: str = result.run_start_uids[0]
    return uid, seconds


def _child(parent: Container, key: str, *specs: Any) -> Container:
    child: Container = (
        parent[key] if key in parent else parent.create_container(key, specs=list(specs))
    )
    return child


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:>9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeElapsedColumn(),
        console=console,
    )


def _look_up(uri: str, uid: str) -> tuple[Container, Inpainted]:
    """Find the fill as somebody else would, and hold it against the raw run."""
    from tiled.client import from_uri

    beamline = from_uri(uri)["demo"]
    beamline.context.show_progress = False
    found = catalog.find(catalog.open_processed(beamline["raw"], create=False), uid)
    if not found:
        raise RuntimeError(f"no filled scan of run {uid} is in Tiled")
    filled = catalog.read(found[0])
    raw = np.asarray(beamline["raw"][uid]["primary"]["det_image"].read())
    raw = raw.reshape(filled.intensity.shape)
    if not np.array_equal(filled.intensity[~filled.mask], raw[~filled.mask]):
        raise RuntimeError("the filled scan's measured voxels differ from the raw run's")
    return found[0], filled


def compare(experiment: Experiment, filled: Inpainted) -> Table:
    """Hold the fill and plain interpolations against what the gap hid."""
    # With the whole bench and torch, which a session with simulated devices doesn't need.
    from bcdi_inpaint.lab.evaluate.metrics import pcc, pcc_ceiling, pcc_ceiling_of_counts

    gap = np.broadcast_to(experiment.mask, experiment.counts.shape)
    truth = experiment.counts[gap]
    rate = None if experiment.rate is None else experiment.rate[gap]
    fills = {filled.report.method: filled.intensity[gap]} | {
        method: _interpolated(experiment, method)[gap]
        for method in BASELINES
        if method != filled.report.method
    }
    table = Table("in the gap", "PCC with counts", title="Against what the gap hid", box=None)
    if rate is not None:
        table.add_column("PCC with the noise-free rate")
    table.add_column("counts, fill / truth")
    for name, fill in fills.items():
        row = [name, f"{pcc(fill, truth):.3f}"]
        row += [] if rate is None else [f"{pcc(fill, rate):.3f}"]
        table.add_row(*row, f"{fill.sum() / truth.sum():.2f}")
    ceiling = pcc_ceiling_of_counts(truth) if rate is None else pcc_ceiling(rate, truth)
    table.add_row("a perfect fill", f"{ceiling:.3f}")
    table.caption = (
        "PCC: Pearson correlation of log(1 + counts). Measured counts scatter around their rate "
        "(Poisson), so that even a perfect fill correlates with them below 1."
    )
    return table


def _interpolated(experiment: Experiment, method: str) -> NDArray[np.floating[Any]]:
    return inpaint(experiment.counts, experiment.mask, method, self_check=False).intensity


def _stay(server: Any, console: Console) -> None:
    say(console, f"The server stays at {server.web_ui_link}")
    say(console, "  from tiled.client import from_uri")
    say(console, f'  demo = from_uri("{server.uri}")["demo"]')
    say(console, "Ctrl-C ends it.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("ended")
