"""Groups and datasets of an HDF5 file that anybody may have written, none of which leads out of the allowed folders."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from .linked_files import follow
from .local_files import OutsideRootsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack
    from pathlib import Path

MOST_CHILDREN = 1000
"""Of a group that is searched for detectors; ESRF's files have one for each counter."""


class GuardedFile:
    """A file's groups and datasets, none of which leads out of the allowed folders."""

    def __init__(self, file: h5py.File, roots: Sequence[str | Path], opened: ExitStack) -> None:
        self._file = file
        self.roots = roots
        self._opened = opened

    def group(self, path: str) -> h5py.Group | None:
        """A group; None if it isn't there, or is none."""
        try:
            node = follow(self._file, path, self.roots, self._opened)
        except OutsideRootsError:
            raise
        except OSError:
            return None
        return node if isinstance(node, h5py.Group) else None

    def children(self, path: str) -> list[str]:
        """Paths of what a group holds; nothing if it isn't there."""
        group = self.group(path)
        names = [] if group is None or len(group) > MOST_CHILDREN else list(group)
        return [f"{path.rstrip('/')}/{name}" for name in names]

    def is_a(self, path: str, nx_class: str, name: str) -> bool:
        """Whether a group is of a NeXus class, or is called so."""
        group = self.group(path)
        if group is None:
            return False
        return text_attribute(group, "NX_class") == nx_class or path.rpartition("/")[2].startswith(
            name
        )

    def dataset(self, path: str) -> h5py.Dataset | None:
        """A dataset; None if its group doesn't list it.

        Raises
        ------
        OSError
            If it is listed and leads nowhere.
        """
        group = self.group(path.rpartition("/")[0])
        if group is None or path.rpartition("/")[2] not in group.keys():  # noqa: SIM118 ('in group' follows links)
            return None
        node = follow(self._file, path, self.roots, self._opened)
        return node if isinstance(node, h5py.Dataset) else None

    def number(self, path: str) -> float | None:
        """A finite number of one; None if there is no such thing."""
        dataset = self.dataset(path)
        if dataset is None or dataset.size != 1 or dataset.dtype.kind not in "biuf":
            return None
        value = float(dataset[()].item() if dataset.shape == () else dataset[...].flat[0])
        return value if math.isfinite(value) else None


def text_attribute(node: h5py.Group | h5py.Dataset, name: str) -> str:
    """An attribute of text; empty if there is none."""
    return text_of(node.attrs.get(name))


def text_of(value: Any) -> str:
    """A text, of variable or fixed length, or a number as one, alone or in an array; empty for anything else."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.flat[0]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value) if isinstance(value, str | np.number) else ""
