"""Commands for scans in files: fill, finetune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bcdi_inpaint.progress import progress_bar

from . import options as opt
from .root import app, console

FORMATS = "npz, npy, nexus, cxi, pynx, pynx-npz, cdiutils, cohere or tif"


@app.command()
def fill(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="npz, npy; HDF5 (NeXus, CXI, Dectris); tif, EDF or CBF: a file, a folder, 'scan_*.tif'.",
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="npz, npy, tif, h5 (NeXus) or cxi (PyNX); or what --format says."
        ),
    ],
    *,
    detector: opt.DetectorKey = None,
    mask: opt.MaskFile = None,
    keep_ones: opt.MaskKeeps = False,
    flags_only: opt.FlagsOnly = False,
    no_own_mask: opt.NoOwnMask = False,
    fill_saturated: Annotated[
        bool,
        typer.Option(
            "--fill-saturated",
            help="Fill saturated voxels, where IN says what those are.",
            rich_help_panel=opt.MISSING,
        ),
    ] = False,
    roi: opt.Roi = None,
    binning: opt.Binning = None,
    dataset: opt.Dataset = None,
    angles: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Rocking angles in IN.", rich_help_panel=opt.READING),
    ] = None,
    frames_per_point: Annotated[
        str | None,
        typer.Option(
            metavar="sum|mean|separate",
            help="With several frames a point.",
            rich_help_panel=opt.READING,
        ),
    ] = None,
    counts_per_unit: Annotated[
        float | None,
        typer.Option(
            metavar="COUNTS",
            help="How many counts 1 is, of frames that were normalised.",
            rich_help_panel=opt.READING,
        ),
    ] = None,
    energy: Annotated[
        float | None,
        typer.Option(
            metavar="EV",
            help="Photon energy in eV, if IN doesn't say it.",
            rich_help_panel=opt.READING,
        ),
    ] = None,
    distance: Annotated[
        float | None,
        typer.Option(
            metavar="M",
            help="Sample to detector in m, if IN doesn't say it.",
            rich_help_panel=opt.READING,
        ),
    ] = None,
    method: opt.Method = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Network of the method, if not the shipped one.",
            rich_help_panel=opt.FILLING,
        ),
    ] = None,
    option: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE",
            help="Option of the method; repeatable.",
            rich_help_panel=opt.FILLING,
        ),
    ] = [],  # noqa: B006 (typer reads it, nobody writes to it)
    device: opt.Device = "auto",
    no_self_check: Annotated[
        bool,
        typer.Option(
            "--no-self-check",
            help="Quicker, and nothing says how far to trust it.",
            rich_help_panel=opt.FILLING,
        ),
    ] = False,
    no_twin: Annotated[
        bool,
        typer.Option(
            "--no-twin",
            help="Without what was measured opposite, through the peak.",
            rich_help_panel=opt.FILLING,
        ),
    ] = False,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help=f"{FORMATS}; for pynx, cdiutils and cohere OUT is a folder. Else by OUT's ending.",
            rich_help_panel=opt.WRITING,
        ),
    ] = None,
    gaps: Annotated[
        str | None,
        typer.Option(
            metavar="auto|hard|soft|free",
            help="In cxi, pynx, pynx-npz and cdiutils: whether phase retrieval takes the fill for measured; "
            "auto: by how far it is to be trusted.",
            rich_help_panel=opt.WRITING,
        ),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="[=FILE]",
            help="A picture too, beside OUT or in FILE.",
            rich_help_panel=opt.WRITING,
        ),
    ] = None,
    show: Annotated[
        bool,
        typer.Option("--show", help="The picture on the screen.", rich_help_panel=opt.WRITING),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace OUT.", rich_help_panel=opt.WRITING)
    ] = False,
) -> None:
    """Fill the scan in a file, without any server."""
    from bcdi_inpaint.console.printing import say, summary
    from bcdi_inpaint.export.conversion import FillingOptions, Target, fill_file
    from bcdi_inpaint.filling.methods import DEFAULT
    from bcdi_inpaint.scans import ReadingOptions

    from .terminal import check_screen, of_scan, show_figure

    if show:
        check_screen()
    options = opt.parse_options(option)
    reading = ReadingOptions(
        detector=detector,
        mask=opt.missing_pixels(mask, keep_ones, flags_only, detector),
        roi=roi,
        binning=binning,
        frames_per_point=frames_per_point,  # type: ignore[arg-type]  # checked there
        energy=energy,
        distance=distance,
        own_mask=not no_own_mask,
        fill_saturated=fill_saturated,
        counts_per_unit=counts_per_unit,
    )
    with progress_bar(console, transient=True) as progress:
        scan, treatment = fill_file(
            source,
            Target(target, kind, opt.parse_gaps(gaps), replace=force),
            FillingOptions(
                method or DEFAULT,
                device,
                twin=not no_twin,
                self_check=not no_self_check,
                options=options if model is None else {**options, "model": model},
            ),
            reading,
            dataset=dataset,
            angles=angles,
            progress=progress,
        )
    console.print(summary(scan.filled, of_scan(scan.metadata, scan.angles, treatment)))
    say(console, f"written to {target}")
    if plot is not None:
        picture = Path(plot) if plot else target.with_name(f"{target.name}.png")
        scan.filled.plot(picture)
        say(console, f"picture: {picture}")
    if show:
        show_figure(scan.filled)


@app.command()
def finetune(
    scan: Annotated[Path, typer.Argument(help="The scan, in what 'fill' reads.")],
    weights: Annotated[Path, typer.Argument(help="The tuned weights, .safetensors.")],
    *,
    detector: opt.DetectorKey = None,
    mask: opt.MaskFile = None,
    keep_ones: opt.MaskKeeps = False,
    flags_only: opt.FlagsOnly = False,
    roi: opt.Roi = None,
    binning: opt.Binning = None,
    dataset: opt.Dataset = None,
    model: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="What to begin with.")
    ] = "patching",
    seconds: Annotated[
        float, typer.Option(min=1, metavar="S", help="End after about this time.")
    ] = 55.0,
    device: opt.Device = "auto",
) -> None:
    """Tune the patching network to one scan; then: fill --model WEIGHTS."""
    from bcdi_inpaint.filling.patching import finetune
    from bcdi_inpaint.scans import ReadingOptions, from_file

    if weights.suffix != ".safetensors":
        raise typer.BadParameter(f"{weights} must end in .safetensors", param_hint="WEIGHTS")
    missing = opt.missing_pixels(mask, keep_ones, flags_only, detector)
    reading = ReadingOptions(detector=detector, mask=missing, roi=roi, binning=binning)
    read = from_file(scan, reading, dataset=dataset)
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
