"""The worker's process, as the supervisor starts it."""

from __future__ import annotations

from multiprocessing.connection import Pipe
from typing import TYPE_CHECKING

from bcdi_inpaint.live import Limits
from bcdi_inpaint.live.dispatch.supervision import start_process

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_lies_in_the_working_directory_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("open('planted', 'w')\n")
    monkeypatch.chdir(tmp_path)
    ours, theirs = Pipe()
    with ours, theirs, start_process(theirs, Limits()) as process:
        theirs.close()
        ours.close()
        process.wait(timeout=60)
    assert not (tmp_path / "planted").exists()
