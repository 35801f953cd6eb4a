"""Commands beside a beamline: tiled, serve, catch-up, backfill."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime  # noqa: TC003 (typer looks at annotations)
from pathlib import Path  # noqa: TC003 (typer looks at annotations)
from typing import Annotated

import typer

from bcdi_inpaint.progress import progress_bar

from .root import app, console


@app.command()
def tiled(
    folder: Annotated[Path, typer.Argument(help="Where its data, key and configuration are kept.")],
    *,
    files: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Folder of detector files; repeatable.")
    ] = None,
    port: Annotated[int, typer.Option(help="Where it listens, on this machine only.")] = 8000,
) -> None:
    """Serve Tiled for one person, with a catalogue of runs and a configuration for 'serve'."""
    from bcdi_inpaint.console.printing import say
    from bcdi_inpaint.service.one_person import serve_tiled

    serve_tiled(folder, files or [], port, lambda line: say(console, line))


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
    from bcdi_inpaint.service import example as examples
    from bcdi_inpaint.service.config import load

    from .terminal import findings

    if example:
        typer.echo(examples.example(), nl=False)
        return
    chosen = load(config, tiled=tiled, zmq=zmq)
    if check:
        found = list(checks.check(chosen))
        console.print(findings(found))
        if not all(finding.works for finding in found):
            raise typer.Exit(2)
        return
    from bcdi_inpaint.service.process import serve as serve_until_stopped

    serve_until_stopped(chosen)


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

    from .terminal import outcomes

    chosen = load(config)
    uids = filling.matching(
        *connect(chosen.tiled),
        chosen,
        since=None if since is None else since.timestamp(),
        until=None if until is None else until.timestamp(),
        sample=sample,
        detector=detector,
        plan=plan,
    )
    console.print(f"{len(uids)} runs are to be filled")
    if not uids or dry_run:
        return
    done = []
    with (
        filling.cluster(scheduler=scheduler, workers=workers, gpus=gpus) as client,
        progress_bar(console) as progress,
    ):
        for outcome in filling.backfill(uids, chosen, client):
            done.append(outcome)
            progress("filling", len(done), len(uids))
    console.print(outcomes(done))
    if any(outcome.state is filling.Ending.FAILED for outcome in done):
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
    from bcdi_inpaint.live.status import State
    from bcdi_inpaint.service import catch_up
    from bcdi_inpaint.service.config import load
    from bcdi_inpaint.service.connection import connect

    from .terminal import runs

    chosen = load(config)
    with progress_bar(console) as progress:
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
    if any(run.state is State.FAILED for run in done):
        raise typer.Exit(1)


@app.command()
def tags(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="TOML file, as for 'serve'.")
    ] = None,
) -> None:
    """Give filled scans the access tags that their raw runs have by now; nothing is filled."""
    from bcdi_inpaint.catalog.access import follow_tags
    from bcdi_inpaint.service.config import load
    from bcdi_inpaint.service.connection import connect

    raw, processed = connect(load(config).tiled)
    with closing(raw.context):
        changed = follow_tags(raw, processed)
    typer.echo(f"{len(changed)} filled scans got the access tags of their raw runs")
    for key in changed:
        typer.echo(key)
