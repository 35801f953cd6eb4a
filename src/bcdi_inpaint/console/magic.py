"""``%inpaint``, in IPython."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from . import commands

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

    from .handle import Inpaint

COMPLETER = "bcdi_inpaint"
FIRST = 1000
"""Above the priorities of IPython's own completers."""
AFTER_MAGIC = re.compile(r"(?s)(?:.*\n)?\s*(?:[\w, ]+=\s*)?%?inpaint(?=\s)(.*)")
"""What is typed behind ``%inpaint``, also where its answer is assigned."""


def register(shell: InteractiveShell, inpaint: Inpaint) -> None:
    """Give a shell the magic, and completion of what follows it; in place of an earlier one."""
    from IPython.core.completer import SimpleCompletion, context_matcher
    from IPython.core.error import UsageError

    def magic(line: str) -> object:
        try:
            return commands.call(inpaint, line)
        except (ValueError, OSError) as error:
            raise UsageError(f"inpaint: {' '.join(str(error).split())}") from None

    # Python's own words and the folder's files don't belong here: the others are suppressed, for which
    # there must be a completion, be it of what is there already.
    @context_matcher(identifier=COMPLETER, priority=FIRST)  # type: ignore[untyped-decorator]
    def completer(context: CompletionContext) -> SimpleMatcherResult:
        typed = AFTER_MAGIC.fullmatch(context.text_until_cursor)
        if typed is None:
            return {"completions": []}
        words = commands.complete(inpaint, typed[1].lstrip()) or [context.token]
        return {
            "completions": list(map(SimpleCompletion, words)),
            "suppress": True,
            "ordered": True,
        }

    magic.__doc__ = "\n".join(
        ["Inpainting: status, toggles, results.", ""]
        + [f"%inpaint {c.name} {c.takes}: {c.help}" for c in commands.COMMANDS.values()]
    )
    # IPython's own annotations are wrong here.
    shell.register_magic_function(magic, "line", "inpaint")  # type: ignore[arg-type]
    ours = shell.Completer.custom_matchers
    ours[:] = [one for one in ours if getattr(one, "matcher_identifier", "") != COMPLETER]
    ours.append(completer)
    _before_leaving(shell, inpaint.leave)


def _before_leaving(shell: Any, leave: Callable[[], None]) -> None:
    """Call `leave` when the user leaves, while threads and a Tiled server among them still run.

    IPython has no hook for that, and `atexit` comes too late.
    """
    ask_exit = getattr(type(shell), "ask_exit", None)
    if ask_exit is None:  # a shell without a user
        return

    def leave_and_exit() -> None:
        leave()
        ask_exit(shell)

    shell.ask_exit = leave_and_exit
