"""Measure, fill, find again, compare."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint import catalog
from bcdi_inpaint.catalog.links import download, in_browser
from bcdi_inpaint.console.printing import say, summary
from bcdi_inpaint.export.picture import draw
from bcdi_inpaint.filling.methods import DEFAULT

from .comparison import compare
from .measuring import measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from tiled.client.container import Container
    from tiled.server import SimpleTiledServer

    from bcdi_inpaint.filling import Inpainted

    from .experiment import Experiment

PICTURE = "bcdi-inpaint-demo.png"


def demonstrate(
    experiment: Experiment,
    console: Console,
    *,
    folder: Path | None = None,
    method: str | None = None,
    fly: bool = False,
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
        Where Tiled, the detector's files and the picture go. If None, these go to a temporary folder,
        and the picture to the working directory.
    method
        As `bcdi_inpaint.inpaint` takes it.
    fly
        Scan at constant speed with a triggered detector, instead of in steps.
    keep
        Leave the server running until it is interrupted.

    Raises
    ------
    ImportError
        If Tiled's server, or ophyd-async for a fly scan, is not installed.
    RuntimeError
        If the result can't be found or measured voxels aren't the raw ones.
    """
    with _kept_or_temporary(folder) as place, _server(place) as server:
        uid, seconds_after = measure(
            experiment, server.uri, place, console, method or DEFAULT, fly=fly
        )
        node, filled = _look_up(server.uri, uid)
        picture = (folder or Path()) / PICTURE
        draw(filled, experiment.counts).savefig(picture, bbox_inches="tight")
        more = {
            "after the last frame": f"{seconds_after:.1f} s until it was in Tiled",
            "measured voxels": "identical to the raw run's",
        }
        console.print(summary(filled, more), compare(experiment, filled))
        say(console, f"in Tiled: {'/'.join(node.path_parts)}")
        say(console, f"picture:  {picture.resolve()}")
        if keep:
            _stay(server, node, console)


@contextmanager
def _kept_or_temporary(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()
    else:
        with TemporaryDirectory(prefix="bcdi-inpaint-", ignore_cleanup_errors=True) as temporary:
            yield Path(temporary)


@contextmanager
def _server(folder: Path) -> Iterator[SimpleTiledServer]:
    try:
        from bcdi_inpaint.catalog.local_server import local_server
    except ImportError as error:
        raise ImportError(
            f"the demonstration needs a Tiled server: pip install 'bcdi-inpaint[server]' ({error})"
        ) from error

    files = folder / "detector-files"
    files.mkdir(parents=True, exist_ok=True)
    with local_server(folder / "tiled", files) as server:
        yield server


def _look_up(uri: str, uid: str) -> tuple[Container, Inpainted]:
    """Find the fill as somebody else would, and hold it against the raw run."""
    from tiled.client import from_uri

    beamline = from_uri(uri)["demo"]
    beamline.context.show_progress = False
    found = catalog.find(catalog.open_processed(beamline["raw"], create=False), uid)
    if not found:
        raise RuntimeError(f"no filled scan of run {uid} is in Tiled")
    filled = catalog.read(found[0])
    raw = np.asarray(beamline["raw"][uid]["primary"][found[0].metadata["data_key"]].read())
    raw = raw.reshape(filled.intensity.shape)
    if not np.array_equal(filled.intensity[~filled.mask], raw[~filled.mask]):
        raise RuntimeError("the filled scan's measured voxels differ from the raw run's")
    return found[0], filled


def _stay(server: SimpleTiledServer, node: Container, console: Console) -> None:
    """Leave the server running, and say what can be done with it."""
    say(console, f"the filled scan: {in_browser(node, server.api_key)}")
    say(console, f"for PyNX: curl -o scan.cxi '{download(node, 'cxi', server.api_key)}'")
    say(console, "in Python:")
    say(console, "  from tiled.client import from_uri")
    say(console, f'  demo = from_uri("{server.uri}")["demo"]')
    say(console, "Ctrl-C ends it.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("ended")
