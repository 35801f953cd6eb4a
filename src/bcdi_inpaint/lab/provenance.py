"""From which source a table or a weights file was made."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

DESCRIBE = ("git", "describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=+")


def source_commit() -> str:
    """The checkout's commit, with a plus sign if it was changed since; else the package's version.

    The version of an installation in place stays that of the commit it was made at.
    """
    try:
        done = subprocess.run(  # noqa: S603
            DESCRIBE, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return f"of version {version('bcdi-inpaint')}"
    return done.stdout.strip()
