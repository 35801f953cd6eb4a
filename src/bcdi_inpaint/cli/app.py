"""The command ``bcdi-inpaint``: each subcommand hands its arguments to one function of a room.

A new subcommand is a function under ``@app.command()`` that imports what it calls, so that ``--help``
stays quick. What it raises about its input becomes one line on stderr and exit code 2.
"""

from __future__ import annotations

import ast
import warnings
from contextlib import suppress
from datetime import datetime  # noqa: TC003 (typer looks at annotations)
from pathlib import Path  # noqa: TC003 (typer looks at annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

if TYPE_CHECKING:
    from bcdi_inpaint.scans import Span

console = Console()


class OneLineErrors(TyperGroup):
    """Turns exceptions into one line on stderr, unless ``--debug`` is given.

    Exit code 2 for input that can't be used, 1 for a defect of this package.
    """

    def invoke(self, ctx: Any) -> Any:
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("click", "typer"):
                raise  # usage errors, which show themselves
            code, line = _explain(error)
            typer.echo(f"error: {line}", err=True)
            raise typer.Exit(code) from None


def _explain(error: Exception) -> tuple[int, str]:
    """Exit code and one line for an exception."""
    import httpx

    line = _one_line(error)
    if isinstance(error, httpx.HTTPError):
        where = ""
        with suppress(RuntimeError):  # it knows no request
            url = error.request.url
            where = f" at {url.scheme}://{url.netloc.decode()}"
        return 2, f"Tiled{where} can't be reached or refuses: {line}"
    if isinstance(error, ValueError | TypeError | OSError | ImportError):
        return 2, line or type(error).__name__
    return 1, f"{type(error).__name__}: {line} (a defect; --debug shows where)"


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"warning: {_one_line(message)}", err=True)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


app = typer.Typer(
    name="bcdi-inpaint",
    cls=OneLineErrors,
    help="Fill detector gaps in Bragg coherent diffraction scans.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from bcdi_inpaint import __version__

        typer.echo(f"bcdi-inpaint {__version__}")
        raise typer.Exit


@app.callback()
def main(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options of all commands; what they do is done elsewhere."""
    del debug, version


def _roi(text: str) -> tuple[Span, Span]:
    """``"190:318,190:318"`` -> ``((190, 318), (190, 318))``."""
    try:
        rows, cols = (tuple(map(int, part.split(":"))) for part in text.split(","))
        (row0, row1), (col0, col1) = rows, cols
    except ValueError:
        raise typer.BadParameter(f"{text!r}: takes ROW0:ROW1,COL0:COL1") from None
    return (row0, row1), (col0, col1)


def _pixel(text: str) -> tuple[int, int]:
    """``"60,100"`` -> ``(60, 100)``."""
    try:
        row, col = map(int, text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r}: takes ROW,COL") from None
    return row, col


def _options(texts: list[str]) -> dict[str, Any]:
    """``["reach=4"]`` -> ``{"reach": 4}``; what is no Python literal stays text."""
    options: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text!r}: takes NAME=VALUE", param_hint="--option")
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    return options


Method = Annotated[
    str | None, typer.Option(help="How to fill; 'bcdi-inpaint info' lists the methods.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
DetectorKey = Annotated[
    str | None,
    typer.Option("--detector", help="The detector, as in 'bcdi-inpaint detectors'."),
]


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
    dataset: Annotated[str | None, typer.Option(help="Name of the frames in IN.")] = None,
    angles: Annotated[str | None, typer.Option(help="Name of the rocking angles in IN.")] = None,
    roi: Annotated[
        Any,
        typer.Option(
            parser=_roi,
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
    with console.status("") as status:
        filled = fill_file(
            source,
            target,
            method=method,
            device=device,
            options=_options(option),
            force=force,
            step=lambda word: status.update(f"{word} ..."),
            dataset=dataset,
            angles=angles,
            detector=detector,
            roi=roi,
            mask=False if flags_only else missing,
            frames_per_point=frames_per_point,
        )
    console.print(summary(filled))
    say(console, f"written to {target}")


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
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep data and picture here; else in a temporary folder."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the Tiled server running.")] = False,
) -> None:
    """Scan, fill and find the result in Tiled, on a simulated beamline."""
    from bcdi_inpaint.demo import demonstrate, replayed, simulated

    experiment = simulated(detector) if scan is None else replayed(scan, detector, dataset)
    demonstrate(experiment, console, folder=output, method=method, keep=keep)


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


@app.command()
def serve(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="TOML file; see --example.")
    ] = None,
    *,
    tiled: Annotated[
        str | None, typer.Option(metavar="URI", help="The Tiled server, instead of CONFIG's.")
    ] = None,
    zmq: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Also take documents from this 0MQ proxy."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Explain the configuration, try everything, exit.")
    ] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a configuration with every field, exit.")
    ] = False,
) -> None:
    """Fill what is measured, as a service beside the beamline."""
    from bcdi_inpaint.service import checks
    from bcdi_inpaint.service import config as configuration
    from bcdi_inpaint.service.tables import findings

    if example:
        typer.echo(configuration.example(), nl=False)
        return
    chosen = configuration.load(config, tiled=tiled, zmq=zmq)
    if check:
        found = list(checks.check(chosen))
        console.print(findings(found))
        if not all(finding.works for finding in found):
            raise typer.Exit(2)
        return
    from bcdi_inpaint.service.page import page
    from bcdi_inpaint.service.process import serve as serve_until_stopped

    serve_until_stopped(chosen, page)


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Gets one HDF5 file a scan.")],
    count: Annotated[int, typer.Option(min=1, help="How many scans.")] = 16,
    *,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first scan.")] = 0,
    evaluation: Annotated[
        bool, typer.Option("--evaluation", help="Draw from the evaluation families and seeds.")
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="How many work side by side.")] = 2,
) -> None:
    """Simulate rocking scans: counts, noise-free rate, truth."""
    from bcdi_inpaint.lab.simulate.sets import generate

    split: Any = "evaluation" if evaluation else "training"
    paths = generate(folder, count, first_seed=first_seed, split=split, processes=processes)
    typer.echo(f"{len(paths)} scans in {folder}")


@app.command()
def train(
    folder: Annotated[Path, typer.Argument(help="Gets checkpoint, curve, weights; resumes there.")],
    *,
    recipe: Annotated[
        Path | None, typer.Option(help="TOML file; the default recipe without it.")
    ] = None,
    real: Annotated[
        list[Path] | None, typer.Option(help="A measured scan to learn from too; repeatable.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="End after this time at the latest.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Train the patching network (or the published one) on simulated (and measured) portions."""
    from bcdi_inpaint.lab.training import read_recipe, train, write_outcome

    from .terminal import training_progress

    chosen = read_recipe(recipe, **({"real": real} if real else {}))
    with training_progress(console, chosen, minutes) as report:
        network = train(chosen, folder, device=device, minutes=minutes, report=report)
    typer.echo(f"weights: {write_outcome(network, chosen, folder)}")


@app.command()
def finetune(
    scan: Annotated[Path, typer.Argument(help="npz, npy, tif or HDF5 with the scan's frames.")],
    weights: Annotated[Path, typer.Argument(help="The tuned weights, .safetensors.")],
    *,
    detector: DetectorKey = None,
    roi: Annotated[
        Any,
        typer.Option(parser=_roi, metavar="R0:R1,C0:C1", help="The part of the full frame shown."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Name of the frames in SCAN.")] = None,
    model: Annotated[str, typer.Option(help="What to begin with.")] = "patching",
    seconds: Annotated[float, typer.Option(min=1, help="End after about this time.")] = 55.0,
    device: Device = "auto",
) -> None:
    """Tune the patching network to one scan; then: fill --option model=WEIGHTS."""
    from bcdi_inpaint.console.printing import share_progress
    from bcdi_inpaint.filling.patching import finetune
    from bcdi_inpaint.scans import from_file

    read = from_file(scan, dataset=dataset, detector=detector, roi=roi)
    with share_progress(console, "fine-tuning") as progress:
        tuned = finetune(
            read.frames, read.mask, model=model, seconds=seconds, device=device, progress=progress
        )
    tuned.save(weights, scan=scan.name)
    verdict = "better than before" if tuned.improved else "no better: the old weights are kept"
    typer.echo(
        f"{weights}: deviance {tuned.before:.4f} -> {tuned.after:.4f} on held-out portions, {verdict} "
        f"({tuned.portions} portions, {tuned.epochs} epochs, {tuned.seconds:.0f} s)"
    )


@app.command()
def backfill(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="TOML file, as for 'serve'.")
    ] = None,
    *,
    since: Annotated[datetime | None, typer.Option(help="Runs that began then or later.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Runs that began before.")] = None,
    sample: Annotated[str | None, typer.Option(help="Name of the sample.")] = None,
    detector: Annotated[str | None, typer.Option(help="A device that took part.")] = None,
    plan: Annotated[str | None, typer.Option(help="Name of the plan.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 2,
    gpus: Annotated[int, typer.Option(min=0, help="Instead, one process for each GPU.")] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Dask scheduler of a cluster, instead of processes."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many runs.")] = False,
) -> None:
    """Fill the runs of an archive that are not filled, several at a time."""
    from bcdi_inpaint.service import backfill as filling
    from bcdi_inpaint.service.config import load
    from bcdi_inpaint.service.connection import connect
    from bcdi_inpaint.service.tables import outcomes, track

    chosen = load(config)
    query = filling.Query(
        since=None if since is None else since.timestamp(),
        until=None if until is None else until.timestamp(),
        sample=sample,
        detector=detector,
        plan=plan,
    )
    uids = filling.matching(*connect(chosen.tiled), query, chosen)
    console.print(f"{len(uids)} runs are to be filled")
    if not uids or dry_run:
        return
    with filling.cluster(scheduler=scheduler, workers=workers, gpus=gpus) as client:
        done = list(track(filling.backfill(uids, chosen, client), len(uids), console))
    console.print(outcomes(done))
    if any(outcome.state == filling.FAILED for outcome in done):
        raise typer.Exit(1)


@app.command(name="catch-up")
def catch_up(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="TOML file, as for 'serve'.")
    ] = None,
    *,
    newest_first: Annotated[
        bool, typer.Option("--newest-first", help="Else the oldest run is filled first.")
    ] = False,
    failed_too: Annotated[
        bool, typer.Option("--failed-too", help="Try runs again that were marked failed.")
    ] = False,
) -> None:
    """Fill the runs that the live pipeline has missed."""
    from bcdi_inpaint.console.printing import count_progress
    from bcdi_inpaint.service import catch_up
    from bcdi_inpaint.service.config import load
    from bcdi_inpaint.service.connection import connect

    from .terminal import runs

    chosen = load(config)
    with count_progress(console, "catching up") as progress:
        done = catch_up(
            *connect(chosen.tiled),
            settings=chosen.filling.settings(),
            rule=chosen.scans,
            limits=chosen.limits,
            owner=chosen.name,
            newest_first=newest_first,
            failed_too=failed_too,
            progress=progress,
        )
    console.print(runs(done))
    if any(run.state == "failed" for run in done):
        raise typer.Exit(1)


@app.command()
def evaluate(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A few patterns, in minutes.")] = False,
    method: Annotated[list[str] | None, typer.Option(help="Only this method; repeatable.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="A measured gapless scan instead of simulated ones.")
    ] = None,
    avoid: Annotated[
        list[str] | None,
        typer.Option("--avoid", metavar="ROW,COL", help="Another crystal's peak in the data."),
    ] = None,
    width: Annotated[list[int] | None, typer.Option(help="Gap width in px; repeatable.")] = None,
    patterns: Annotated[int | None, typer.Option(min=1, help="Of each simulated set.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Weights of the patching model, if not the shipped ones.")
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
    """Judge the methods: tables with noise ceilings and baselines."""
    from bcdi_inpaint.lab.evaluate import Request, evaluate
    from bcdi_inpaint.lab.evaluate.downstream.reporting import report

    request = Request(
        methods=tuple(method or ()),
        quick=quick,
        data=data,
        avoid=tuple(map(_pixel, avoid or ())),
        widths=tuple(width or ()),
        patterns=patterns,
        model=model,
        reference=reference,
        skip=skip,
        device=device,
        out=out,
    )
    if downstream:
        report(request, console)
    else:
        evaluate(request, console)
