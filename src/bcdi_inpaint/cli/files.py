"""Commands for scans in files: fill, finetune."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer looks at annotations)
from typing import Annotated, Any

import typer

from bcdi_inpaint.progress import progress_bar

from .options import DetectorKey, Device, Method, parse_options, parse_roi
from .root import app, console


@app.command()
def fill(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="npz, npy, tif, or HDF5 (NeXus, CXI).")
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="npz, npy, tif, h5 (NeXus) or cxi (PyNX).")
    ],
    *,
    detector: DetectorKey = None,
    mask: Annotated[
        Path | None, typer.Option(help="File of missing pixels: npy, npz, tif, edf, HDF5.")
    ] = None,
    keep_ones: Annotated[
        bool, typer.Option("--mask-keeps", help="In the mask, 1 marks pixels to keep.")
    ] = False,
    flags_only: Annotated[
        bool, typer.Option("--flags-only", help="Only NaN, -1, 65535 and the like are missing.")
    ] = False,
    no_own_mask: Annotated[
        bool, typer.Option("--no-own-mask", help="Leave out the mask that IN holds itself.")
    ] = False,
    fill_saturated: Annotated[
        bool,
        typer.Option(
            "--fill-saturated", help="Fill saturated voxels, where IN says what those are."
        ),
    ] = False,
    counts_per_unit: Annotated[
        float | None, typer.Option(help="How many counts 1 is, of frames that were normalised.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Name of the frames in IN.")] = None,
    angles: Annotated[str | None, typer.Option(help="Name of the rocking angles in IN.")] = None,
    roi: Annotated[
        Any,
        typer.Option(
            parser=parse_roi,
            metavar="R0:R1,C0:C1",
            help="The part of the detector's full frame that IN shows.",
        ),
    ] = None,
    frames_per_point: Annotated[
        str | None, typer.Option(help="With several frames a point: sum, mean or separate.")
    ] = None,
    method: Method = None,
    device: Device = "auto",
    option: Annotated[
        list[str], typer.Option(metavar="NAME=VALUE", help="Option of the method; repeatable.")
    ] = [],  # noqa: B006 (typer reads it, nobody writes to it)
    no_self_check: Annotated[
        bool, typer.Option("--no-self-check", help="Quicker, and nothing says how far to trust it.")
    ] = False,
    no_twin: Annotated[
        bool,
        typer.Option("--no-twin", help="Without what was measured opposite, through the peak."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT.")] = False,
) -> None:
    """Fill the scan in a file, without any server."""
    from bcdi_inpaint.console.printing import say, summary
    from bcdi_inpaint.export.conversion import fill_file
    from bcdi_inpaint.geometry import read_mask

    if flags_only and (detector or mask):
        raise typer.BadParameter("goes without --detector and --mask", param_hint="--flags-only")
    missing = None
    if mask is not None:
        missing = read_mask(mask, missing="zero" if keep_ones else "nonzero")
    with progress_bar(console, transient=True) as progress:
        filled = fill_file(
            source,
            target,
            method=method,
            device=device,
            options=parse_options(option),
            self_check=not no_self_check,
            twin=not no_twin,
            force=force,
            progress=progress,
            dataset=dataset,
            angles=angles,
            detector=detector,
            roi=roi,
            mask=False if flags_only else missing,
            frames_per_point=frames_per_point,
            own_mask=not no_own_mask,
            fill_saturated=fill_saturated,
            counts_per_unit=counts_per_unit,
        )
    console.print(summary(filled))
    say(console, f"written to {target}")


@app.command()
def finetune(
    scan: Annotated[Path, typer.Argument(help="npz, npy, tif or HDF5 with the scan's frames.")],
    weights: Annotated[Path, typer.Argument(help="The tuned weights, .safetensors.")],
    *,
    detector: DetectorKey = None,
    roi: Annotated[
        Any,
        typer.Option(
            parser=parse_roi, metavar="R0:R1,C0:C1", help="The part of the full frame shown."
        ),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Name of the frames in SCAN.")] = None,
    model: Annotated[str, typer.Option(help="What to begin with.")] = "patching",
    seconds: Annotated[float, typer.Option(min=1, help="End after about this time.")] = 55.0,
    device: Device = "auto",
) -> None:
    """Tune the patching network to one scan; then: fill --option model=WEIGHTS."""
    from bcdi_inpaint.filling.patching import finetune
    from bcdi_inpaint.scans import from_file

    if weights.suffix != ".safetensors":
        raise typer.BadParameter(f"{weights} must end in .safetensors", param_hint="WEIGHTS")
    read = from_file(scan, dataset=dataset, detector=detector, roi=roi)
    with progress_bar(console) as progress:
        tuned = finetune(
            read.frames, read.mask, model=model, seconds=seconds, device=device, progress=progress
        )
    figures = (
        f"deviance {tuned.before:.4f} -> {tuned.after:.4f} on held-out patches "
        f"({tuned.patches} patches, {tuned.epochs} epochs, {tuned.seconds:.0f} s)"
    )
    if not tuned.improved:
        typer.echo(f"no better than before, so nothing is written: {figures}", err=True)
        raise typer.Exit(1)
    tuned.save(weights, scan=scan.name)
    typer.echo(f"{weights}: {figures}")
