"""The root of the command ``bcdi-inpaint``: each subcommand hands its arguments to one function.

A new subcommand is a function under ``@app.command()`` in the module of its group. It imports what
it calls, so that ``--help`` stays quick. What it raises about its input becomes one line on stderr
and exit code 2.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from .usage import Commands

WIDE = 10_000
"""Columns if the output is no terminal: lines are not wrapped, so that paths stay in one piece."""

console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE)

app = typer.Typer(
    name="bcdi-inpaint",
    cls=Commands,
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
