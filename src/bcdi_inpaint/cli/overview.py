"""Commands that show what there is: demo, detectors, info."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer looks at annotations)
from typing import Annotated

import typer

from .options import Method  # noqa: TC001 (typer looks at annotations)
from .root import app, console


@app.command()
def demo(
    *,
    scan: Annotated[
        Path | None,
        typer.Option(help="A real scan to replay (npz, HDF5, ...) instead of a simulated one."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Name of the frames in --scan.")] = None,
    detector: Annotated[
        str, typer.Option(help="Whose gaps are laid over the scan.")
    ] = "maxipix_2x2",
    method: Method = None,
    hard_case: Annotated[
        bool, typer.Option("--hard-case", help="Let the gap hide the Bragg peak itself.")
    ] = False,
    fly: Annotated[
        bool,
        typer.Option(
            "--fly", help="Scan at constant speed with a triggered detector, not in steps."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep data and picture here; else only the picture is kept, in this folder.",
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the Tiled server running.")] = False,
) -> None:
    """Scan, fill and find the result in Tiled, on a simulated beamline."""
    from bcdi_inpaint.demo import demonstrate, replayed, simulated

    experiment = (
        simulated(detector, hard=hard_case)
        if scan is None
        else replayed(scan, detector, dataset, hard=hard_case)
    )
    demonstrate(experiment, console, folder=out, method=method, fly=fly, keep=keep)


@app.command()
def detectors(
    key: Annotated[str | None, typer.Argument(help="Show this one; else all are listed.")] = None,
) -> None:
    """List the detectors that are known, or show one's gaps."""
    from bcdi_inpaint import geometry

    from .terminal import detector_list, detector_sheet

    if key is None:
        console.print(detector_list(map(geometry.detector, geometry.detectors())))
    else:
        console.print(detector_sheet(geometry.detector(key)))


@app.command()
def info() -> None:
    """Show versions, methods and devices."""
    from .terminal import installation

    console.print(installation())
