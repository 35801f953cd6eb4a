"""Keys, from files that no other user may read or from the environment."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .source_sections import TiledSection

KEY_VARIABLE = "TILED_API_KEY"
"""Tiled's own name for it."""


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
    """The content of a file that only its owner, and perhaps its group, may read.

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
