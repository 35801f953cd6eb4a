"""A configuration file that says what every field means."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from .config import PREFIX, ServiceConfig

if TYPE_CHECKING:
    from collections.abc import Iterator


def example() -> str:
    """A configuration file with every field at its default, commented out, and its meaning."""
    lines = [
        "# Configuration of `bcdi-inpaint serve`. Every field may also be set in the environment:",
        f"# {PREFIX}TILED__URI is uri of [tiled]. Lists there are written as JSON;",
        "# the lists of [scans] can only be written here.",
    ]
    for section, meaning, entries in _sections():
        lines += [
            "",
            *(_comment(meaning) if section else ()),
            *([f"[{section}]"] if section else ()),
        ]
        for name, default, means in entries:
            lines += [*_comment(means), f"# {name} = {_toml(default)}"]
    return "\n".join(lines) + "\n"


def _sections() -> Iterator[tuple[str, str, list[tuple[str, object, str]]]]:
    """Name, meaning and fields (name, default, meaning) of each section; first the top level."""
    top, sections = [], []
    for name, field in ServiceConfig.model_fields.items():
        if isinstance(field.default, BaseModel):
            model = type(field.default)
            known = [(key, f.default, f.description or "") for key, f in model.model_fields.items()]
            sections.append((name, _first_line(model), known))
        elif is_dataclass(field.default):
            meanings = _attributes(type(field.default))
            known = [
                (f.name, getattr(field.default, f.name), meanings[f.name])
                for f in fields(field.default)
            ]
            sections.append((name, _first_line(type(field.default)), known))
        else:
            default = "bcdi-inpaint@HOST" if field.default_factory else field.default
            top.append((name, default, field.description or ""))
    yield "", "", top
    yield from sections


def _attributes(dataclass: type) -> dict[str, str]:
    """What the numpydoc docstring of a dataclass says of each attribute."""
    _, _, listed = (dataclass.__doc__ or "").partition("Attributes\n    ----------\n")
    meanings: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \w)", listed.rstrip()):
        names, _, meaning = entry.partition("\n")
        meanings |= dict.fromkeys(re.findall(r"\w+", names), " ".join(meaning.split()))
    return meanings


def _first_line(documented: type) -> str:
    return (documented.__doc__ or "").partition("\n")[0]


def _comment(text: str) -> list[str]:
    from textwrap import wrap

    return [f"## {line}" for line in wrap(text, 90)]


def _toml(value: object) -> str:
    match value:
        case None:
            return "(not set)"
        case bool():
            return str(value).lower()
        case frozenset():
            return _toml(tuple(sorted(value)))
        case tuple() | list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return "{}"
        case str():
            return f'"{value}"'
        case _:
            return str(value)
