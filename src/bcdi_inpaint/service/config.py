"""The service's configuration: a TOML file, the environment, and what every field means."""

from __future__ import annotations

import os
import re
import socket
import stat
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path  # noqa: TC003 (pydantic looks at annotations)
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bcdi_inpaint.live.region import AroundPeak
from bcdi_inpaint.live.settings import Limits, Settings
from bcdi_inpaint.scans import RockingScanRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_settings import PydanticBaseSettingsSource

KEY_VARIABLE = "TILED_API_KEY"
"""Tiled's own name for it."""
PREFIX = "BCDI_INPAINT_"
DEFAULTS = Settings()


def _known_names(dataclass: type) -> BeforeValidator:
    """Refuses names that a dataclass doesn't have; pydantic would drop them."""

    def check(value: Any) -> Any:
        if isinstance(value, dict):
            names = [field.name for field in fields(dataclass)]
            for name in value:
                if name not in names:
                    raise ValueError(f"{name} is unknown; there are {', '.join(names)}")
        return value

    return BeforeValidator(check)


class Section(BaseModel):
    """Part of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TiledSection(Section):
    """Where runs come from and filled scans go."""

    uri: str = "http://localhost:8000"
    """Address of the Tiled server."""
    raw: str = "raw"
    """Path of the catalogue of runs in that server."""
    processed: str = ""
    """Path of the container of filled scans; processed/bcdi_inpaint beside raw if empty."""
    api_key_file: Path | None = None
    """File that holds the API key, not readable by others. Without it TILED_API_KEY counts. The
    key itself can't be written here."""
    poll_seconds: Annotated[float, Field(gt=0)] = 5.0
    """Between looks at the catalogue while the server streams nothing."""
    look_back: Annotated[int, Field(gt=0)] = 100
    """So many of the latest runs are looked at when the service starts."""


class ZmqSection(Section):
    """Documents from bluesky.callbacks.zmq.Publisher, by way of bluesky-0MQ-proxy."""

    address: str = ""
    """HOST:PORT of the proxy's outgoing side; empty = this source is off."""
    prefix: str = ""
    """Only documents that were published with this prefix; empty = all."""
    max_bytes: Annotated[int, Field(gt=0)] = 256 * 2**20
    """A larger message is refused before memory is taken for it."""


class FillingSection(Section):
    """With what runs are filled."""

    method: str = DEFAULTS.method
    """As in 'bcdi-inpaint info'."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    options: dict[str, Any] = {}
    """What the method takes beside, such as model for patching."""
    model_sha256: str = ""
    """Refuse to start if options.model is not the network with this sha256 (hexadecimal)."""
    detector: str | None = None
    """The detector, as in 'bcdi-inpaint detectors'; else it is told from the run."""
    data_key: str | None = None
    """The detector's key in the documents; needed only if several record frames."""
    motor: str | None = None
    """The rocking motor; else it is told from the run."""
    mask: Path | None = None
    """File of missing pixels (non-zero), as bcdi_inpaint.geometry.read_mask reads it."""
    roi: tuple[tuple[int, int], tuple[int, int]] | None = None
    """Rows and columns of the detector's full frame that are recorded; else told from the run."""
    around_peak: tuple[int, int] | None = None
    """Fill only so many rows and columns around the Bragg peak."""
    frames_per_point: Literal["sum", "mean", "separate"] | None = None
    """What to do with several frames at a point."""
    file_roots: tuple[Path, ...] = ()
    """Folders below which detector files may be read directly; others are refused."""
    largest_stack: Annotated[int, Field(gt=0)] = DEFAULTS.largest_stack
    """Bytes that the frames of a run may take; larger ones are refused before they are read."""
    final_seconds: Annotated[float, Field(ge=0)] = DEFAULTS.final_seconds
    """When a run stops, all of it is filled anew if that takes no longer than this."""

    def settings(self) -> Settings:
        """The same as live filling takes it.

        Raises
        ------
        ValueError, OSError
            If the mask can't be read, or the network is another one.
        """
        from bcdi_inpaint.geometry import read_mask

        if self.model_sha256:
            self._check_model()
        return Settings(
            method=self.method,
            device=self.device,
            options=self.options,
            data_key=self.data_key,
            detector=self.detector,
            roi=self.roi,
            mask=None if self.mask is None else read_mask(self.mask),
            frames_per_point=self.frames_per_point,
            motor=self.motor,
            region=None if self.around_peak is None else AroundPeak(*self.around_peak),
            file_roots=self.file_roots,
            largest_stack=self.largest_stack,
            final_seconds=self.final_seconds,
        )

    def _check_model(self) -> None:
        import torch

        from bcdi_inpaint.filling.patching.weights import load_model

        model = load_model(str(self.options.get("model", "")), torch.device("cpu"))
        if model.sha256 != self.model_sha256.lower():
            raise ValueError(
                f"filling.model_sha256 is {self.model_sha256}, but {model.name} has {model.sha256}"
            )


class HttpSection(Section):
    """Where /healthz, /metrics and the status page are served; all are read-only."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 = all networks, for which a proxy with a login is advised."""
    port: Annotated[int, Field(ge=0, lt=2**16)] = 8090
    """0 = any that is free, which is logged."""


class ServiceConfig(BaseSettings):
    """All that ``bcdi-inpaint serve`` is told."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
    )

    name: str = Field(default_factory=lambda: f"bcdi-inpaint@{socket.gethostname()}")
    """In whose name nodes are claimed; a restarted service that keeps it goes on at once. Two
    services need two names."""
    stop_seconds: Annotated[float, Field(ge=0)] = 60.0
    """On SIGTERM, finished runs are filled for so long; what is left then is handed back."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Of the JSON lines on stderr."""
    tiled: TiledSection = TiledSection()
    zmq: ZmqSection = ZmqSection()
    filling: FillingSection = FillingSection()
    scans: Annotated[RockingScanRule, _known_names(RockingScanRule)] = RockingScanRule()
    limits: Annotated[Limits, _known_names(Limits)] = Limits()
    http: HttpSection = HttpSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (pydantic passes it)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment comes before the file."""
        return env_settings, init_settings


def load(path: Path | None, *, tiled: str | None = None, zmq: str | None = None) -> ServiceConfig:
    """Read the configuration.

    Parameters
    ----------
    path
        The TOML file; None = defaults and the environment only.
    tiled, zmq
        The server's and the proxy's address, before all others.

    Raises
    ------
    OSError
        If it can't be read.
    ValueError
        If it, or a variable of the environment, is wrong; the message names each field.
    """
    where = "the environment" if path is None else f"{path} and the environment"
    try:
        written = {} if path is None else tomllib.loads(path.read_text())
        config = ServiceConfig(**written)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    except ValidationError as error:
        # The values are left out: somebody may have tried to write a key where none belongs.
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ValueError(f"in {where}: {'; '.join(problems)}") from None
    given = {
        "tiled": config.tiled.model_copy(update={"uri": tiled} if tiled else {}),
        "zmq": config.zmq.model_copy(update={"address": zmq} if zmq else {}),
    }
    return config.model_copy(update=given)


def api_key(tiled: TiledSection) -> str:
    """The key, from its file or the environment; empty if there is none.

    Raises
    ------
    OSError, ValueError
        If the file can't be read, or others could read it.
    """
    if tiled.api_key_file is not None:
        return read_secret(tiled.api_key_file)
    return os.environ.get(KEY_VARIABLE, "").strip()


def read_secret(path: Path) -> str:
    """What a file holds that only its owner, and perhaps its group, may read.

    Raises
    ------
    PermissionError
        If others may read it, or somebody else may write it.
    ValueError
        If it is empty.
    OSError
        If it can't be read.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise PermissionError(f"{path} has mode {mode:03o}: others could use the key; chmod 400 it")
    if not (secret := path.read_text().strip()):
        raise ValueError(f"{path} is empty: it should hold a key")
    return secret


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


def _sections() -> Iterator[tuple[str, str, list[tuple[str, Any, str]]]]:
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


def _toml(value: Any) -> str:
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
