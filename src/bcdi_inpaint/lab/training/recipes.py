"""How a network is trained: one typed file decides everything."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path  # noqa: TC003  pydantic reads annotations at run time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

PUBLISHED = {"batch": 32, "learning_rate": 1e-4, "weight_decay": 0.0, "averaging": 0.0}
"""Defaults of the reference network, as in its code: Adam, batches of 32, no averaged weights."""


class TrainingRecipe(BaseModel):
    """Everything that decides a training; written into the weights it makes.

    A TOML file with these names; what it leaves out has the default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: Literal["patching", "reference"] = Field(
        "patching", description="Ours, or the published one that it is compared with"
    )
    width: int = Field(
        6, ge=1, le=31, description="Of the reference's gaps in pixels: it knows one width"
    )
    seed: int = Field(
        0, ge=0, description="Of initial weights, gaps, patches; also the first volume's"
    )
    begin: str = Field(
        "", description="Model to begin with: a shipped one's name or a weights file"
    )
    steps: int = Field(20_000, ge=1, description="Optimiser steps")
    batch: int = Field(8, ge=1, description="Patches in a step, on each process")
    learning_rate: float = Field(
        1e-3, gt=0, description="Of AdamW, after warm-up; then a cosine to 0"
    )
    warmup: int = Field(200, ge=0, description="Steps of linear warm-up")
    weight_decay: float = Field(1e-4, ge=0, description="Of AdamW")
    averaging: float = Field(0.999, ge=0, lt=1, description="Decay of the weights' moving average")
    widths: tuple[int, ...] = Field(
        (32, 64, 96, 128), description="Channels of the patching network's levels"
    )
    precision: Literal["bf16", "fp32"] = Field("bf16", description="Of convolutions")
    mixing: int = Field(16, ge=1, description="Volumes whose patches are shuffled together")
    passes: int = Field(1, ge=1, description="How often each patch is used, turned anew each time")
    workers: int = Field(1, ge=0, description="Processes that make data")
    validate_every: int = Field(500, ge=1, description="Steps between validations and checkpoints")
    validation_volumes: int = Field(24, ge=1, description="Held-out volumes, of all families")
    patience: int = Field(
        12, ge=1, description="Validations without progress before training stops"
    )
    real: tuple[Path, ...] = Field(
        (), description="Measured scans, whose regions without gaps are used, too"
    )
    real_share: float = Field(
        0.3, ge=0, le=1, description="Share of volumes that are real, if there are any"
    )

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, entries: dict[str, Any]) -> dict[str, Any]:
        return {**PUBLISHED, **entries} if entries.get("network") == "reference" else entries

    @model_validator(mode="after")
    def _reference_alone(self) -> TrainingRecipe:
        if self.network == "reference" and (self.real or self.begin):
            raise ValueError("the reference network takes neither real scans nor other weights")
        return self


def read_recipe(path: Path | None, **changes: Any) -> TrainingRecipe:
    """Read a recipe from a TOML file, or from a training's ``recipe.json``; None is the default recipe.

    `changes` are entries that take the place of the file's. A `ValueError` names the file and the entry, in one line.
    """
    name = "recipe" if path is None else f"recipe {path}"
    try:
        read = json.loads if path is not None and path.suffix == ".json" else tomllib.loads
        entries = {} if path is None else read(path.read_text())
        return TrainingRecipe(**{**entries, **changes})
    except OSError as error:
        raise ValueError(f"{name} can't be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not JSON: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        entry = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ")
        raise ValueError(": ".join(filter(None, (name, entry, words)))) from error
