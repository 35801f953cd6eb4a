"""From which source a table or a weights file was made."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path


def source_commit() -> str:
    """The source's commit, with a plus sign if it was changed since; else the package's version."""

    def git(*arguments: str) -> str:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short=10", "HEAD") + (
            "+" if git("status", "-s", "-uno", ".") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return f"of version {version('bcdi-inpaint')}"
