"""A file is the old one or the new one."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from bcdi_inpaint.atomic_writing import whole_file
from bcdi_inpaint.filling.patching.network import PatchingNetwork
from bcdi_inpaint.filling.patching.weights import save_model

if TYPE_CHECKING:
    from pathlib import Path


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "data.txt"
    target.write_text("old")

    def fail() -> None:
        with whole_file(target) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_folder_is_made(tmp_path: Path) -> None:
    with whole_file(tmp_path / "new" / "data.txt") as part:
        part.write_text("new")
    assert (tmp_path / "new" / "data.txt").read_text() == "new"


def test_what_cannot_be_written_is_said_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="can't be written"), whole_file(tmp_path / "file" / "x"):
        pytest.fail("the block ran")


def test_colleagues_can_read_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_model(PatchingNetwork((8, 8)), path, {})
    assert stat.S_IMODE(path.stat().st_mode) & 0o044
