"""The networks that a run fills with: which weights they have, and how much they have learned from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open

from bcdi_inpaint.filling.patching.weights import DEFAULT, SHIPPED, Model, load_model, trainings
from bcdi_inpaint.lab.reference.filler import weights_name
from bcdi_inpaint.lab.reference.network import WIDTHS

from .config import method_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .config import Config


def digest(config: Config, method: str, width: int) -> str:
    """First digits of the sha256 of the weights that a method fills a gap of this width with.

    Empty for a method without a network, ``"none"`` for a network without weights.
    """
    if method_of(method) == "patching":
        return _patching(config, method).sha256[:12]
    if method == "reference":
        path = _reference(config, width)
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else "none"
    return ""


def digests(config: Config, method: str) -> set[str]:
    """All that `digest` can be."""
    return {digest(config, method, width) for width in WIDTHS}


def learned(config: Config) -> Iterator[str]:
    """How much the networks have learned from: only at equal numbers is a comparison one of methods."""
    seen: dict[str, Mapping[str, str]] = {}
    for method in config.methods:
        if method_of(method) == "patching":
            model = _patching(config, method)
            label = method.partition(" (")[2].removesuffix(")") or model.name
            seen[f"patching ({label}, sha256 {model.sha256[:12]})"] = model.metadata
    if "reference" in config.methods:
        for width in WIDTHS:
            path = _reference(config, width)
            if path.is_file():
                with safe_open(path, framework="pt") as file:
                    seen[f"reference, {width} px"] = file.metadata() or {}
    for name, metadata in seen.items():
        patches = sum(training["patches"] for training in trainings(metadata))
        yield f"{name}: the network has seen {patches or 'an unknown number of'} patches"


def _patching(config: Config, name: str) -> Model:
    return load_model(config.options.get(name, {}).get("model", DEFAULT), torch.device("cpu"))


def _reference(config: Config, width: int) -> Path:
    return Path(config.options.get("reference", {}).get("weights") or SHIPPED, weights_name(width))
