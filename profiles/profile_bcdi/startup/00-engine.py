"""The RunEngine, and where this profile keeps its data."""

import os
from pathlib import Path

from bluesky import RunEngine
from bluesky.utils import PersistentDict

try:
    from bluesky_queueserver import is_re_worker_active
except ImportError:  # no queueserver here, so this isn't its worker

    def is_re_worker_active():
        return False


INTERACTIVE = not is_re_worker_active()
DATA = Path(os.environ.get("BCDI_DATA", "~/bcdi-data")).expanduser()
FILES = DATA / "detector-files"
FILES.mkdir(parents=True, exist_ok=True)

RE = RunEngine(PersistentDict(DATA / "metadata"), call_returns_result=True)
