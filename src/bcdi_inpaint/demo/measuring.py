"""A scan on the demonstration's beamline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bcdi_inpaint import catalog

from .scanning import in_steps, on_the_fly

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from tiled.client.container import Container
    from tiled.structures.core import Spec

    from .experiment import Experiment

PATIENCE = 300.0
"""Seconds to wait for the fill after the last frame."""


def measure(
    experiment: Experiment,
    uri: str,
    folder: Path,
    console: Console,
    method: str,
    *,
    fly: bool = False,
) -> tuple[str, float]:
    """Scan; return the run's uid and the seconds from the last frame to the finished fill."""
    from tiled.client import from_uri
    from tiled.structures.core import Spec

    from bcdi_inpaint.live import InpaintCallback, Settings

    files = folder / "detector-files"
    beamline = _child(from_uri(uri), "demo")
    beamline.context.show_progress = False
    raw = _child(beamline, "raw", Spec("CatalogOfBlueskyRuns", version="3.0"))
    processed = catalog.open_processed(raw)
    total = len(experiment.counts)
    scan = on_the_fly if fly else in_steps
    settings = Settings(method=method, file_roots=(files,))
    # The worker starts at once, and loads its libraries while this process loads others.
    with (
        InpaintCallback(raw, processed, settings=settings) as inpainting,
        scan(experiment, files) as plan,
        _progress(console) as progress,
    ):
        from bluesky import RunEngine
        from bluesky_tiled_plugins import TiledWriter

        measuring = progress.add_task("measuring", total=total)
        filling = progress.add_task("filling", total=total)

        def show(name: str, doc: dict[str, Any]) -> None:
            if name == "event":
                progress.update(measuring, completed=doc["seq_num"])
            elif name == "stream_datum":
                progress.update(measuring, completed=doc["indices"]["stop"])
            for run in inpainting.status().runs:
                progress.update(filling, completed=run.filled)

        run_engine: Any = RunEngine({}, call_returns_result=True)
        for callback in (TiledWriter(raw), inpainting, show):
            run_engine.subscribe(callback)
        result = run_engine(plan, sample=experiment.sample, roi=experiment.roi)
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


def _child(parent: Container, key: str, *specs: Spec) -> Container:
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
