"""The commands of ``%inpaint``: one table, from which magic, completion and help are made.

A command is a method of `bcdi_inpaint.console.Inpaint` under ``@command(...)``: its name is the word
that is typed, its parameters are the words that follow, its docstring is the help.
"""

from __future__ import annotations

import inspect
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from rich.table import Table

from .toggles import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .handle import Inpaint

    Words = Callable[[Inpaint], Iterable[str]]
    Method = TypeVar("Method", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Command:
    """One command: the word that is typed, what it `takes` as the help writes it, what it does in a line of `help`.

    `words` gives what may follow, for completion.
    """

    name: str
    takes: str
    help: str
    words: Words


COMMANDS: dict[str, Command] = {}
"""Every command by its name, in the order of the help."""


def command(takes: str = "", words: Words = lambda _: ()) -> Callable[[Method], Method]:
    """Make a method of `Inpaint` a command."""

    def register(method: Method) -> Method:
        name = method.__name__
        text = (inspect.getdoc(method) or "").partition("\n")[0]
        COMMANDS[name] = Command(name, takes, text, words)
        return method

    return register


def call(inpaint: Inpaint, line: str) -> object:
    """Do what a line says.

    Returns
    -------
    Any
        What the method returns; what is printed, it prints itself.

    Raises
    ------
    ValueError
        In one line, if it can't be understood or done.
    """
    words = shlex.split(line)
    name, arguments = (words[0], words[1:]) if words else ("status", [])
    found = COMMANDS.get(name)
    if found is None:
        raise ValueError(
            f"no command {name!r}{nearest(name, COMMANDS)}; there are {', '.join(COMMANDS)}"
        )
    method = getattr(inpaint, name)
    try:
        inspect.signature(method).bind(*arguments)
    except TypeError:
        raise ValueError(f"takes: %inpaint {name} {found.takes}".rstrip()) from None
    return method(*arguments)


def complete(inpaint: Inpaint, line: str) -> list[str]:
    """Words that may stand where `line` (what follows ``%inpaint``) ends."""
    done = line.split()
    begun = "" if not done or line[-1].isspace() else done.pop()
    if not done:
        words: Iterable[str] = COMMANDS
    elif len(done) == 1 and done[0] in COMMANDS:
        words = COMMANDS[done[0]].words(inpaint)
    else:
        words = ()
    return [word for word in words if word.startswith(begun)]


def overview() -> Table:
    """The help."""
    table = Table(
        box=None,
        show_header=False,
        padding=(0, 2, 0, 0),
        title="after %inpaint",
        title_justify="left",
    )
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for known in COMMANDS.values():
        table.add_row(f"{known.name} {known.takes}".rstrip(), known.help)
    return table
