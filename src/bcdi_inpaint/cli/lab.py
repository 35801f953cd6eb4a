"""Commands for those who train and judge: simulate, compare-simulation, train, evaluate."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer looks at annotations)
from typing import Annotated, Any

import typer

from bcdi_inpaint.progress import progress_bar

from .options import Device, parse_pixel
from .root import app, console


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Gets one HDF5 file a scan.")],
    count: Annotated[int, typer.Option(min=1, help="How many scans.")] = 16,
    *,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first scan.")] = 0,
    evaluation: Annotated[
        bool, typer.Option("--evaluation", help="Draw from the evaluation families and seeds.")
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="How many work in parallel.")] = 2,
) -> None:
    """Simulate rocking scans: counts, noise-free rate, truth."""
    from bcdi_inpaint.lab.simulate.sets import generate

    split: Any = "evaluation" if evaluation else "training"
    with progress_bar(console) as progress:
        paths = generate(
            folder,
            count,
            first_seed=first_seed,
            split=split,
            processes=processes,
            progress=progress,
        )
    typer.echo(f"{len(paths)} scans in {folder}")


@app.command(name="compare-simulation")
def compare_simulation(
    scan: Annotated[Path, typer.Argument(help="A measured scan without gaps.")],
    figure: Annotated[Path, typer.Argument(help="The picture, png or svg.")],
    *,
    periods: Annotated[
        tuple[float, float, float],
        typer.Option(metavar="FRAME ROW COL", help="Periods of the scan's fringes in voxels."),
    ],
    count: Annotated[int, typer.Option(min=1, help="How many scans to simulate.")] = 60,
) -> None:
    """Draw a measured scan's statistics over the spread of simulated ones."""
    from bcdi_inpaint.lab.simulate.realism import compare

    with progress_bar(console, transient=True) as progress:
        compare(scan, figure, periods, count=count, progress=progress)
    typer.echo(f"written to {figure}")


@app.command()
def train(
    folder: Annotated[Path, typer.Argument(help="Gets checkpoint, curve, weights; resumes there.")],
    *,
    recipe: Annotated[
        Path | None,
        typer.Option(help="TOML file; without it the folder's, or the default recipe."),
    ] = None,
    scan: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A measured scan to learn from too; repeatable."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="End after this time at the latest.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Train the patching network (or the published one) on simulated (and measured) patches."""
    from bcdi_inpaint.lab.training import read_recipe, train, write_artefacts

    kept = folder / "recipe.json"
    if recipe is None and kept.is_file():
        recipe = kept
    chosen = read_recipe(recipe, **({"real": scan} if scan else {}))
    with progress_bar(console) as bar:
        said = ""

        def progress(what: str, done: float, total: float = 1.0) -> None:
            nonlocal said
            if what != said:
                console.print(what, highlight=False)  # each validation stays to be read
                said = what
            bar("training", done, total)

        network = train(chosen, folder, device=device, minutes=minutes, progress=progress)
    typer.echo(f"weights: {write_artefacts(network, chosen, folder)}")


@app.command()
def evaluate(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Five patterns, single gaps, in minutes.")
    ] = False,
    method: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this method; repeatable.")
    ] = None,
    scan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Measured, instead of simulated patterns.")
    ] = None,
    avoid: Annotated[
        list[str] | None,
        typer.Option("--avoid", metavar="ROW,COL", help="Another crystal's peak in the scan."),
    ] = None,
    width: Annotated[
        list[int] | None, typer.Option(metavar="PX", help="Gap width in px; repeatable.")
    ] = None,
    patterns: Annotated[int | None, typer.Option(min=1, help="Of each simulated set.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help="Weights of the patching model; repeatable."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Weights of the reference networks, from 'train'."),
    ] = None,
    skip: Annotated[
        int,
        typer.Option(min=0, help="Positions between the reference's windows; the paper's is 4."),
    ] = 4,
    out: Annotated[Path | None, typer.Option(help="Folder for CSV, JSON, tables, figures.")] = None,
    downstream: Annotated[
        bool,
        typer.Option("--downstream", help="Reconstruct the filled scans; go on where OUT stands."),
    ] = False,
    device: Device = "auto",
) -> None:
    """Compare the methods: tables with noise ceilings and baselines."""
    from bcdi_inpaint.lab.evaluate import evaluate, requested
    from bcdi_inpaint.lab.evaluate.downstream import QUICK, WHOLE, report

    request = requested(
        quick=quick,
        methods=tuple(method or ()),
        models=model or (),
        patterns=patterns,
        widths=tuple(width or ()),
        skip=skip,
        reference=reference,
        data=scan,
        avoid=tuple(map(parse_pixel, avoid or ())),
        device=device,
        out=out,
    )
    if downstream:
        report(request, console, QUICK if quick else WHOLE)
    else:
        evaluate(request, console)
