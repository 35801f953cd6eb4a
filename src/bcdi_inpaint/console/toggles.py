"""What an operator has chosen: checked, remembered in one small file, turned into settings."""

from __future__ import annotations

import difflib
import fcntl
import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bcdi_inpaint import geometry
from bcdi_inpaint.atomic_writing import whole_file
from bcdi_inpaint.filling import METHODS
from bcdi_inpaint.filling.methods import REGISTRY
from bcdi_inpaint.live import AroundPeak, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bcdi_inpaint.live.region import Region

HEAD = "# What %inpaint remembers. Changed by hand, it counts from the next scan on.\n"
AUTO = ("", "auto", "default", "none")
"""Texts that let the program decide."""
ALL = ("", "all", "auto", "none")
TRUE, FALSE = ("on", "yes", "true", "1"), ("off", "no", "false", "0")


def nearest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean x or y?)``, or nothing if no known word is like it."""
    near = difflib.get_close_matches(word.casefold(), list(known), n=2)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def models() -> tuple[str, ...]:
    """Names of the networks in the package."""
    # With torch, which takes seconds to import; a session may never ask.
    from bcdi_inpaint.filling.patching.weights import shipped_models

    return shipped_models()


class Toggles(BaseModel):
    """What an operator has chosen. Fields take the words that are typed, too.

    Raises
    ------
    ValueError
        In one line, for a value that can't be used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: bool = Field(default=True, description="new scans are filled")
    paused: bool = Field(default=False, description="scans wait to be filled")
    method: str = Field(default=Settings().method, description="how gaps are filled")
    model: str = Field(
        default="", description="network of the methods that have one; empty = theirs"
    )
    detector: str = Field(default="", description="whose gaps; empty = as the run says")
    roi: str = Field(default="", description="part of the frames that is filled; empty = all of it")
    mask: str = Field(default="", description="file of missing pixels; empty = the detector's gaps")
    own_mask: bool = Field(default=True, description="the mask in the detector's files counts, too")
    saturated: bool = Field(default=False, description="saturated voxels are filled, too")
    finetune: bool = Field(
        default=False, description="tune the model on scans whose self-check is poor"
    )
    threshold: float | None = Field(
        default=None,
        description="self-check PCC below which a fill is doubtful; absent = by its ceiling",
    )

    @field_validator("on", "paused", "own_mask", "saturated", "finetune", mode="before")
    @classmethod
    def _switch(cls, value: object) -> bool:
        word = str(value).casefold()
        if word not in TRUE + FALSE:
            raise ValueError(f"{value!r} is neither on nor off{nearest(word, ('on', 'off'))}")
        return word in TRUE

    @field_validator("method")
    @classmethod
    def _method(cls, value: str) -> str:
        return _known(value, METHODS, "method")

    @field_validator("detector")
    @classmethod
    def _detector(cls, value: str) -> str:
        return "" if value.casefold() in AUTO else geometry.detector(value).key

    @field_validator("model")
    @classmethod
    def _model(cls, value: str) -> str:
        if value.casefold() in AUTO:
            return ""
        if Path(value).suffix:
            return _existing(value)
        return _known(value, models(), "model")

    @field_validator("roi", mode="before")
    @classmethod
    def _roi(cls, value: Any) -> str:
        return format_region(value if not isinstance(value, str) else parse_region(value))

    @field_validator("mask", mode="before")
    @classmethod
    def _mask(cls, value: object) -> str:
        return "" if str(value).casefold() in AUTO else _existing(str(value))

    @field_validator("threshold", mode="before")
    @classmethod
    def _threshold(cls, value: Any) -> float | None:
        if value is None or str(value).casefold() in AUTO:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{value!r} is no number: takes a PCC from 0 to 1, or auto") from None
        if not 0 <= number <= 1:
            raise ValueError(f"{value!r} is no PCC: takes 0 to 1, or auto")
        return number

    def changed(self, **changes: object) -> Toggles:
        """A copy with these fields changed.

        Raises
        ------
        ValueError
            In one line, for a value that can't be used.
        """
        return checked({**self.model_dump(), **changes})

    def settings(self, base: Settings) -> Settings:
        """`base` with what was chosen; the mask is read from its file."""
        options = {**base.options, "model": self.model} if self.model else dict(base.options)
        takes = REGISTRY[self.method].options
        return replace(
            base,
            method=self.method,
            options={name: value for name, value in options.items() if name in takes},
            detector=self.detector or base.detector,
            region=parse_region(self.roi) or base.region,
            mask=geometry.read_mask(self.mask) if self.mask else base.mask,
            own_mask=self.own_mask and base.own_mask,
            fill_saturated=self.saturated or base.fill_saturated,
            notes=(*base.notes, *self._notes()),
        )

    def _notes(self) -> list[str]:
        """Choices that the result's metadata would not show otherwise."""
        notes = [f"the mask was read from {self.mask}"] if self.mask else []
        if self.threshold is not None:
            notes.append(f"below a self-check PCC of {self.threshold:g} the operator has doubts")
        return notes

    def to_toml(self) -> str:
        """Text of the file that remembers them."""
        lines = [HEAD]
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value is not None:
                lines.append(f"{name} = {_toml(value)}  # {field.description}\n")
        return "".join(lines)


def checked(values: dict[str, object]) -> Toggles:
    """Toggles of these values.

    Raises
    ------
    ValueError
        In one line, naming the first that can't be used.
    """
    for name in values:
        if name not in Toggles.model_fields:
            raise ValueError(f"{name!r} is unknown{nearest(name, Toggles.model_fields)}")
    try:
        return Toggles(**values)
    except ValidationError as error:
        first = error.errors()[0]
        text = str(first["msg"]).removeprefix("Value error, ")
        raise ValueError(f"{first['loc'][0]}: {text}") from None


def load(path: Path, default: Toggles) -> Toggles:
    """Read what was remembered; `default` if there is no file.

    Raises
    ------
    ValueError
        If the file can't be understood; it is left as it is.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if not text:  # an editor is about to write it
            raise ValueError("the file is empty")
        return checked(tomllib.loads(text))
    except FileNotFoundError:
        return default
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: {error}; mend or remove it") from error


def change(path: Path, default: Toggles, **changes: object) -> Toggles:
    """Change what is remembered; what other programs change at the same time is kept.

    Returns
    -------
    Toggles
        All that is now remembered.

    Raises
    ------
    ValueError
        For a value that can't be used, or a file that can't be understood; nothing is changed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        new = load(path, default).changed(**changes)
        save(path, new)
    return new


def save(path: Path, toggles: Toggles) -> None:
    """Remember `toggles`: the file is the old one or the new one, never half of it."""
    with whole_file(path) as part:
        part.write_text(toggles.to_toml(), encoding="utf-8")


def parse_region(text: str) -> Region | None:
    """``all``, ``around ROWS [COLS]`` or ``ROW0:ROW1,COL0:COL1`` as `Settings.region` takes it."""
    words = text.casefold().replace(",", " ").split()
    if not words or (len(words) == 1 and words[0] in ALL):
        return None
    if words[0] == "around" and 2 <= len(words) <= 3 and all(w.isdecimal() for w in words[1:]):
        rows, cols = int(words[1]), int(words[-1])
        if rows and cols:
            return AroundPeak(rows, cols)
    spans = [re.fullmatch(r"(\d+):(\d+)", word) for word in words]
    if len(spans) == 2 and spans[0] and spans[1]:
        (row0, row1), (col0, col1) = (tuple(map(int, span.groups())) for span in spans if span)
        if row0 < row1 and col0 < col1:
            return (row0, row1), (col0, col1)
    raise ValueError(
        f"{text!r}: takes ROW0:ROW1,COL0:COL1 of the recorded frames, around ROWS COLS, or all"
    )


def format_region(region: Region | None) -> str:
    """The inverse of `parse_region`."""
    if region is None:
        return ""
    if isinstance(region, AroundPeak):
        return f"around {region.rows} {region.cols}"
    return ",".join(f"{start}:{stop}" for start, stop in region)


def _known(value: str, names: tuple[str, ...], what: str) -> str:
    if value not in names:
        there = ", ".join(names) or "none"
        raise ValueError(f"no {what} {value!r}{nearest(value, names)}; there are {there}")
    return value


def _existing(value: str) -> str:
    path = Path(value).expanduser()
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return str(path.resolve())


def _toml(value: str | float | bool) -> str:
    # TOML's strings, numbers and truth values are JSON's, but for this one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
