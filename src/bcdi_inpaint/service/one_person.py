"""Tiled for one person: a server, a catalogue of runs, and a configuration of the service that fits."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from bcdi_inpaint.catalog import open_processed
from bcdi_inpaint.catalog.local_server import local_server

from .keys import read_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

CONFIG = """# Written by `bcdi-inpaint tiled`; all that may stand here: bcdi-inpaint serve --example
[tiled]
uri = {uri}
api_key_file = {key}

[filling]
file_roots = {files}
"""


def serve_tiled(folder: Path, files: Iterable[Path], port: int, say: Callable[[str], None]) -> None:
    """Serve Tiled on this machine until SIGTERM or Ctrl-C.

    What is in the folder already stays: data, key and configuration.

    Parameters
    ----------
    folder
        Where all of it is kept.
    files
        Folders of detector files.
    port
        Where it listens.
    say
        Called with lines for the user.

    Raises
    ------
    OSError
        If a folder is missing or can't be written, or the port is taken.
    """
    folder, roots = folder.resolve(), [root.resolve(strict=True) for root in files]
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", port)):
        pass  # Tiled would say it less clearly
    key, config = folder / "tiled_key", folder / "bcdi-inpaint.toml"
    with suppress(FileExistsError), open(key, "x", opener=_for_owner) as file:
        file.write(secrets.token_hex(32))
    values = (f"http://127.0.0.1:{port}", str(key), [str(root) for root in roots])
    with suppress(FileExistsError), config.open("x") as file:
        uri, key_file, listed = map(json.dumps, values)  # such are TOML's strings, too
        file.write(CONFIG.format(uri=uri, key=key_file, files=listed))
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with local_server(folder, *roots, api_key=read_secret(key), port=port) as server:
        _create_containers(server.uri)
        say(f"Tiled: {server.web_ui_link}")
        say(f"runs go to: from_uri({values[0]!r}, api_key=Path({str(key)!r}).read_text())['raw']")
        say(f"they are filled by: bcdi-inpaint serve {config}")
        stopped.wait()


def _create_containers(uri: str) -> None:
    from tiled.client import from_uri
    from tiled.structures.core import Spec

    root = from_uri(uri)
    if "raw" not in root:
        root.create_container("raw", specs=[Spec("CatalogOfBlueskyRuns", version="3.0")])
    open_processed(root["raw"])
    root.context.close()


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o400)
