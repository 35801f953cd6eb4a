"""Trained networks: safetensors files, those of the package and the user's own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file

from bcdi_inpaint.atomic_writing import whole_file

from .network import PatchingNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

SHIPPED = Path(__file__).parent / "weights"
DEFAULT = "patching"
LARGEST_FILE = 64 * 2**20
"""Bytes; a weights file that is larger is refused before it is read."""
MOST_WIDTHS = 16
"""Resolutions of a network; a file that names more is refused before one is built."""


@dataclass(frozen=True, slots=True)
class Model:
    """A trained patching network.

    Attributes
    ----------
    name
        Of the file, without its ending.
    sha256
        Of the whole file, metadata included.
    metadata
        The file's metadata: recipe, curve, commit.
    network
        In evaluation mode.
    folded
        The same, faster; see `PatchingNetwork.folded`.
    """

    name: str
    sha256: str
    metadata: Mapping[str, str]
    network: PatchingNetwork
    folded: PatchingNetwork


def shipped_models() -> tuple[str, ...]:
    """Names of the patching networks in the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("patching*.safetensors")))


def load_model(model: str, device: torch.device) -> Model:
    """Load a patching network onto a device; it is kept for the next call.

    Parameters
    ----------
    model
        A name of `shipped_models`, or the path of a safetensors file.
    device
        Where to.

    Raises
    ------
    ValueError
        If there is no such model, or the file holds something else.
    """
    path = _find(model)
    status = path.stat()
    return _load(path, status.st_mtime_ns, status.st_size, device)


@lru_cache(maxsize=8)
def _load(path: Path, _changed: int, size: int, device: torch.device) -> Model:
    if size > LARGEST_FILE:
        raise ValueError(f"model {path} has {size} bytes; weights have at most {LARGEST_FILE}")
    content = path.read_bytes()
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        network = _network(json.loads(metadata["widths"]), load(content))
    except (SafetensorError, KeyError, ValueError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"model {path} holds no patching network (a file made by `bcdi-inpaint train`)"
        ) from error
    network = network.to(device).eval()
    network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    digest = hashlib.sha256(content).hexdigest()
    return Model(path.stem, digest, metadata, network, network.folded())


def _network(widths: list[int], weights: dict[str, torch.Tensor]) -> PatchingNetwork:
    """The network that a file holds.

    It needs no memory besides the file's weights, which must have the shapes of a network of these widths.
    """
    if not 0 < len(widths) <= MOST_WIDTHS:
        raise ValueError(f"a network has up to {MOST_WIDTHS} widths, not {len(widths)}")
    with torch.device("meta"):
        network = PatchingNetwork(tuple(widths))
    network.load_state_dict(weights, assign=True)
    return network.float()


def trainings(metadata: Mapping[str, str]) -> list[dict[str, Any]]:
    """The trainings that a network has had, the latest one last.

    Parameters
    ----------
    metadata
        Of its weights file.

    Returns
    -------
    list of dict
        Of each ``seed``, ``steps``, ``patches`` and ``commit``, as far as they are known; older files
        may tell more. Fine-tuning is not among them.
    """
    earlier = json.loads(metadata.get("earlier", "[]"))
    patches = metadata.get("patches") or metadata.get("portions")
    if patches is None:
        return list(map(_with_patches, earlier))
    curve = json.loads(metadata.get("curve", "[]"))
    latest = {
        "seed": json.loads(metadata.get("recipe", "{}")).get("seed"),
        "steps": curve[-1]["step"] if curve else None,
        "patches": int(patches),
        "commit": metadata.get("commit"),
    }
    known = {name: value for name, value in latest.items() if value is not None}
    return [*map(_with_patches, earlier), known]


def _with_patches(training: dict[str, Any]) -> dict[str, Any]:
    """Older files call patches portions."""
    return {"patches" if name == "portions" else name: value for name, value in training.items()}


def save_model(network: PatchingNetwork, path: Path, metadata: Mapping[str, object]) -> None:
    """Write a network that `load_model` reads; atomically.

    Parameters
    ----------
    network
        On the CPU.
    path
        Ends in ``.safetensors``.
    metadata
        What it was trained on: recipe, curve, commit. Values that aren't strings are written as JSON.
    """
    write_weights(network, path, {**metadata, "widths": network.widths})


def write_weights(network: nn.Module, path: Path, metadata: Mapping[str, object]) -> None:
    """Write any network's weights to a safetensors file, atomically; arguments as for `save_model`."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    with whole_file(path) as part:
        save_file(tensors, part, texts)


def _find(model: str) -> Path:
    if model in shipped_models():
        return SHIPPED / f"{model}.safetensors"
    path = Path(model)
    if path.suffix == ".safetensors" and path.is_file():
        return path.resolve()
    raise ValueError(
        f"model={model!r} is not there; takes {', '.join(shipped_models()) or 'no shipped model'} "
        "or the path of a .safetensors file"
    )
