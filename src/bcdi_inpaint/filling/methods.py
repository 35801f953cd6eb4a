"""Every method by its name, and the options it takes."""

from __future__ import annotations

import difflib
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import interpolation
from .method import Fill, Method

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from .estimation import Estimate, Surroundings

    Counts = NDArray[np.float32]
    Bools = NDArray[np.bool_]


MARGIN = 24
"""Voxels of surroundings that kriging and the network see around a gap, in training as in use."""

MAX_VOXELS = 2**21
"""Of one of their bands: more at a time takes memory and is no faster."""

# Torch takes a second to import: what needs it is imported when it is first used.


def _estimate(stack: NDArray[np.floating], mask: Bools, *, twin: bool) -> Estimate:
    from .estimation import estimate

    return estimate(stack, mask, twin=twin)


def _kriging(stack: Counts, mask: Bools, *, surroundings: Surroundings, iterations: int) -> Fill:
    from . import kriging

    return kriging.fill(stack, mask, surroundings=surroundings, iterations=iterations)


def _patching(
    stack: Counts, mask: Bools, *, surroundings: Surroundings, model: str, device: str
) -> Fill:
    from .patching import bands as patching

    return patching.fill(stack, mask, surroundings=surroundings, model=model, device=device)


REGISTRY: dict[str, Method] = {
    "patching": Method(
        _patching,
        margin=MARGIN,
        estimate=_estimate,
        options={"model": "patching"},
        learned=True,
        voxels=MAX_VOXELS,
        at_once=2,
    ),
    "kriging": Method(
        _kriging,
        margin=MARGIN,
        estimate=_estimate,
        options={"iterations": 40},
        voxels=MAX_VOXELS,
        at_once=2,
    ),
    "biharmonic": Method(interpolation.biharmonic, margin=8),
    "linear": Method(interpolation.linear, margin=8),
    "cubic": Method(interpolation.cubic, margin=8),
    "nearest": Method(interpolation.nearest, margin=8),
    "inverse_distance": Method(
        interpolation.inverse_distance,
        margin=interpolation.REACH_MAX,
        options={"reach": 8, "exponent": 2},
    ),
}
"""Every method of the package by its name; a new one is one entry here."""

METHODS = tuple(REGISTRY)

PLUGINS = "bcdi_inpaint.methods"
"""Entry points of this group are methods too: name -> `Method`. The published network is one, for it
works only where weights for it are given."""

DEFAULT = "patching"
"""The method that fills when none is named."""


def method_named(name: str) -> Method:
    """A method.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those there are.
    """
    if isinstance(name, str) and name in REGISTRY:
        return REGISTRY[name]
    for plugin in entry_points(group=PLUGINS):
        if plugin.name == name:
            method: Method = plugin.load()
            return method
    raise ValueError(
        f"method={name!r} is unknown{_like(name, METHODS)}; there are {', '.join(METHODS)}"
    )


def settings_of(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a method takes, with some options in the place of its defaults.

    Raises
    ------
    ValueError
        For an unknown method or option, and for text in the place of a number or the reverse.
    """
    defaults = method_named(name).options
    for option, value in options.items():
        if option not in defaults:
            takes = ", ".join(f"{key}={value!r}" for key, value in defaults.items()) or "no options"
            raise ValueError(
                f"option {option!r} is unknown to method {name!r}{_like(option, defaults)}; "
                f"it takes {takes}"
            )
        text = isinstance(defaults[option], str)
        if text != isinstance(value, str | Path):
            raise ValueError(
                f"option {option!r} of method {name!r} is {value!r}: takes "
                + ("text" if text else f"a number, as {defaults[option]}")
            )
    return {**defaults, **options}


def _like(name: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name).lower(), known, n=2)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def network_of(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Name and sha256 of the network that filled, empty if none did."""
    if "model" not in settings:
        return "", ""
    import torch

    from .patching.weights import load_model

    model = load_model(settings["model"], torch.device(settings["device"]))
    return model.name, model.sha256
