"""What a command raises becomes one line on stderr and an exit code."""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperGroup

OPTIONS = {
    r"give (\w+=( or )?)+, or name the detector": "name the detector",
    r"^(detector|roi|binning|energy|distance)(?= (is|must be) )": r"--\1",
    r"mask=False": "--flags-only",
    r"mask=missing": "--mask",
    r"with missing='zero'": "with --mask-keeps",
    r"with missing='nonzero'": "without --mask-keeps",
    r"\b(detector|roi|binning|dataset|angles|energy|distance|device|gaps|method|model)=": r"--\1 ",
    r"\bframes_per_point=": "--frames-per-point ",
    r" (?=[)])": "",
}
"""What messages call arguments in Python, as patterns, and what options are called here."""


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
    for in_python, option in OPTIONS.items():
        line = re.sub(in_python, option, line)
    if isinstance(error, httpx.HTTPError):
        where = ""
        with suppress(RuntimeError):  # it knows no request
            url = error.request.url
            where = f" at {url.scheme}://{url.netloc.decode()}"
        return 2, f"Tiled{where} can't be reached or refuses: {line}"
    if isinstance(error, ValueError | TypeError | OSError | ImportError):
        return 2, line or type(error).__name__
    return 1, f"{type(error).__name__}: {line} (a defect; --debug shows where)"


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    typer.echo(f"warning: {_one_line(message)}", err=True)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
