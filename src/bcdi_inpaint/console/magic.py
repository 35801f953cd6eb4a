"""``%inpaint``, in IPython."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import commands

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from .handle import Inpaint


def register(shell: InteractiveShell, inpaint: Inpaint) -> None:
    """Give a shell the magic, and completion of what follows it; in place of an earlier one."""
    from IPython.core.error import UsageError

    def magic(line: str) -> Any:
        try:
            return commands.call(inpaint, line)
        except (ValueError, OSError) as error:
            raise UsageError(f"inpaint: {' '.join(str(error).split())}") from None

    def completer(_shell: InteractiveShell, event: Any) -> list[str]:
        return commands.complete(inpaint, event.text_until_cursor.partition("inpaint")[2].lstrip())

    magic.__doc__ = "\n".join(
        ["Inpainting: status, toggles, results.", ""]
        + [f"%inpaint {c.name} {c.takes}: {c.help}" for c in commands.COMMANDS.values()]
    )
    # IPython's own annotations are amiss here.
    shell.register_magic_function(magic, "line", "inpaint")  # type: ignore[arg-type]
    shell.set_hook("complete_command", completer, str_key="%inpaint")  # type: ignore[no-untyped-call]
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
