"""How commands are called: flags shown as flags, options that go without a value, old names."""

from __future__ import annotations

from typing import Any

from .errors import OneLineErrors

OLD_NAMES = {"--data": "--scan", "--real": "--scan"}
"""Options that were renamed -> what they are called now; the old names are still taken."""
WITHOUT_VALUE = "[="
"""Begins the metavar of an option that may go without its value."""


class Commands(OneLineErrors):
    """The commands of ``bcdi-inpaint``."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        for parameter in command.get_params(ctx) if command is not None else ():
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""  # it takes no value, so its type says nothing
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        options = {
            option: parameter
            for parameter in (command.get_params(ctx) if command is not None else ())
            for option in parameter.opts
        }
        return name, command, [_as_now(argument, options) for argument in rest]


def _as_now(argument: str, options: dict[str, Any]) -> str:
    """An argument by its present name, and with the ``=`` of an option that may go without a value."""
    word, equals, value = argument.partition("=")
    if word not in options and OLD_NAMES.get(word) in options:
        word = OLD_NAMES[word]
    if not equals and word in options and (options[word].metavar or "").startswith(WITHOUT_VALUE):
        equals = "="
    return word + equals + value
