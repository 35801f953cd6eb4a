"""The service's configuration: a TOML file, the environment, and what every field means."""

from __future__ import annotations

import socket
import tomllib
from dataclasses import fields
from pathlib import Path  # noqa: TC003 (pydantic looks at annotations)
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bcdi_inpaint.live.region import AroundPeak
from bcdi_inpaint.live.settings import Limits, Settings
from bcdi_inpaint.scans import FramesPerPoint, RockingScanRule

from .source_sections import KafkaSection, Section, TiledSection, ZmqSection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydantic_settings import PydanticBaseSettingsSource

    from bcdi_inpaint.scans import Span

PREFIX = "BCDI_INPAINT_"
DEFAULTS = Settings()


def _known_names(dataclass: type) -> BeforeValidator:
    """Refuses names that a dataclass doesn't have; pydantic would drop them."""

    def check(value: object) -> object:
        if isinstance(value, dict):
            names = [field.name for field in fields(dataclass)]
            for name in value:
                if name not in names:
                    raise ValueError(f"{name} is unknown; there are {', '.join(names)}")
        return value

    return BeforeValidator(check)


class FillingSection(Section):
    """How runs are filled."""

    method: str = DEFAULTS.method
    """As in 'bcdi-inpaint info'."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    options: dict[str, Any] = {}  # noqa: RUF012 (pydantic copies it)
    """What the method takes beside, such as model for patching."""
    model_sha256: str = ""
    """Refuse to start if options.model is not the network with this sha256 (hexadecimal)."""
    detector: str | None = None
    """The detector, as in 'bcdi-inpaint detectors'; else it is taken from the run."""
    data_key: str | None = None
    """The detector's key in the documents; needed only if several record frames."""
    motor: str | None = None
    """The rocking motor; else it is taken from the run."""
    mask: Path | None = None
    """File of missing pixels (non-zero), as bcdi_inpaint.geometry.read_mask reads it."""
    own_mask: bool = True
    """Take the mask that the detector's HDF5 files hold; they must lie below file_roots."""
    counts_per_unit: Annotated[float, Field(gt=0)] | None = None
    """How many counts 1 is in frames that were normalised; they are multiplied by it."""
    fill_saturated: bool = False
    """Fill voxels at the highest count that the detector can show, where file or run say which that is."""
    roi: tuple[tuple[int, int], tuple[int, int]] | None = None
    """Rows and columns of the detector's full frame that are recorded; else taken from the run."""
    around_peak: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] | None = None
    """Fill only so many rows and columns around the Bragg peak."""
    frames_per_point: FramesPerPoint | None = None
    """What to do with several frames at a point."""
    file_roots: tuple[Path, ...] = ()
    """Folders below which detector files may be read directly; others are refused."""
    largest_stack: Annotated[int, Field(gt=0)] = DEFAULTS.largest_stack
    """Bytes that the frames of a run may take; larger ones are refused before they are read."""
    final_seconds: Annotated[float, Field(ge=0)] = DEFAULTS.final_seconds
    """When a run stops, all of it is filled anew if that takes no longer than this."""

    @field_validator("roi")
    @classmethod
    def _some_pixels(cls, roi: tuple[Span, Span] | None) -> tuple[Span, Span] | None:
        for start, stop in roi or ():
            if not 0 <= start < stop:
                raise ValueError(f"roi: {start}:{stop} holds no pixels")
        return roi

    def settings(self) -> Settings:
        """The same as live filling takes it.

        Raises
        ------
        ValueError, OSError
            If there is no such detector or method, the mask can't be read or doesn't fit, or the network is
            another one.
        """
        self.check_method()
        alike = {name: value for name, value in self if name in Settings.__dataclass_fields__}
        return Settings(
            **alike
            | {
                "mask": self.missing(),
                "region": None if self.around_peak is None else AroundPeak(*self.around_peak),
            }
        )

    def frame(self) -> NDArray[np.bool_] | None:
        """Gaps of the frames of the detector that is named, ``(row, col)``; None if it is told from runs.

        Raises
        ------
        ValueError
            If there is no such detector, or no such region in its frame.
        """
        from bcdi_inpaint import geometry

        return (
            None if self.detector is None else geometry.detector(self.detector).mask(roi=self.roi)
        )

    def missing(self) -> NDArray[np.bool_] | None:
        """What the mask file says; None without one.

        Raises
        ------
        ValueError, OSError
            If it can't be read, or is not of the detector's frames.
        """
        from bcdi_inpaint.geometry import read_mask

        frame = self.frame()
        if self.mask is None:
            return None
        mask = read_mask(self.mask)
        if frame is not None and mask.shape[-2:] != frame.shape:
            raise ValueError(
                f"{self.mask} is {_by(mask.shape[-2:])}, but frames of {self.detector} "
                f"{'' if self.roi is None else 'within filling.roi '}are {_by(frame.shape)}: give the mask "
                "of these frames, or another filling.detector or filling.roi"
            )
        return mask

    def check_method(self) -> None:
        """Refuse a method that isn't there, options that it doesn't take, and another network.

        Raises
        ------
        ValueError
            That says what there is.
        """
        from bcdi_inpaint.filling.methods import settings_of

        settings_of(self.method, self.options)
        if self.model_sha256:
            self._check_model()

    def _check_model(self) -> None:
        import torch

        from bcdi_inpaint.filling.patching.weights import load_model

        model = load_model(str(self.options.get("model", "")), torch.device("cpu"))
        if model.sha256 != self.model_sha256.lower():
            raise ValueError(
                f"filling.model_sha256 is {self.model_sha256}, but {model.name} has {model.sha256}"
            )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


class HttpSection(Section):
    """Where /healthz, /metrics and the status page are served; all are read-only."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 = all networks, for which a proxy with a login is advised."""
    names: tuple[str, ...] = ()
    """Further names by which browsers reach the page where host is this machine, such as that of a proxy before it."""
    port: Annotated[int, Field(ge=0, lt=2**16)] = 8090
    """0 = any that is free, which is logged."""


class ServiceConfig(BaseSettings):
    """The configuration of ``bcdi-inpaint serve``."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
    )

    name: str = Field(default_factory=lambda: f"bcdi-inpaint@{socket.gethostname()}")
    """The owner of claims; a restarted service with the same name goes on at once. Two services need different names."""
    stop_seconds: Annotated[float, Field(ge=0)] = 60.0
    """On SIGTERM, finished runs are filled for so long; then claims on the others are released."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Of the JSON lines on stderr."""
    tiled: TiledSection = TiledSection()
    zmq: ZmqSection = ZmqSection()
    kafka: KafkaSection = KafkaSection()
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
        If it, or a variable of the environment, is wrong; the message names each field. Also if the proxy
        or a broker is on another machine and nothing says that it can be trusted, or if both are configured.
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
    config = config.model_copy(update=given)
    config.zmq.check_trust()
    config.kafka.check_trust()
    if config.zmq.address and config.kafka.servers:
        raise ValueError(
            "zmq.address and kafka.servers: documents would come twice; set one of them"
        )
    return config
