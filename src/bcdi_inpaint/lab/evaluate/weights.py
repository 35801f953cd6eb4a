"""Weights of the networks that a run fills with: which they are, and on how many patches they were trained."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open

from bcdi_inpaint.filling.patching.weights import DEFAULT, SHIPPED, Model, load_model, trainings
from bcdi_inpaint.lab.reference import WIDTHS, weights_name

from .request import method_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .request import Request


def digest(request: Request, method: str, width: int) -> str:
    """First digits of the sha256 of the weights that a method fills a gap of this width with.

    Empty for a method without a network, ``"none"`` for a network without weights.
    """
    if method_of(method) == "patching":
        return _patching(request, method).sha256[:12]
    if method == "reference":
        path = _reference(request, width)
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else "none"
    return ""


def digests(request: Request, method: str) -> set[str]:
    """All that `digest` can be."""
    return {digest(request, method, width) for width in WIDTHS}


def patches_seen(request: Request) -> Iterator[str]:
    """A line for each network with the number of patches that it was trained on, for fair comparisons."""
    seen: dict[str, Mapping[str, str]] = {}
    for method in request.methods:
        if method_of(method) == "patching":
            model = _patching(request, method)
            label = method.partition(" (")[2].removesuffix(")") or model.name
            seen[f"patching ({label}, sha256 {model.sha256[:12]})"] = model.metadata
    if "reference" in request.methods:
        for width in WIDTHS:
            path = _reference(request, width)
            if path.is_file():
                with safe_open(path, framework="pt") as file:
                    seen[f"reference, {width} px"] = file.metadata() or {}
    for name, metadata in seen.items():
        patches = sum(training["patches"] for training in trainings(metadata))
        yield f"{name}: the network has seen {patches or 'an unknown number of'} patches"


def _patching(request: Request, name: str) -> Model:
    return load_model(request.options.get(name, {}).get("model", DEFAULT), torch.device("cpu"))


def _reference(request: Request, width: int) -> Path:
    return Path(request.options.get("reference", {}).get("weights") or SHIPPED, weights_name(width))
