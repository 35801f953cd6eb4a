"""A Tiled server in a process of its own, which can be stopped and started again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiled.client.container import Container

KEY = "secret"
"""Of these servers."""


class Server:
    """``tiled serve config`` with all that it keeps in one folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.files = folder / "detector-files"
        self.storage = folder / "storage"
        self.port = port
        for new in (self.files, self.storage):
            new.mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None
        self._clients: list[Container] = []
        tree = {
            "path": "/",
            "tree": "catalog",
            "args": {
                "uri": f"sqlite:///{folder / 'catalog.db'}",
                "init_if_not_exists": True,
                "writable_storage": [str(self.storage), f"sqlite:///{folder / 'tables.db'}"],
                "readable_storage": [str(self.files)],
            },
        }
        config = {
            "trees": [tree],
            "authentication": {"single_user_api_key": KEY},
            "streaming_cache": {"uri": "memory"},
        }
        self.config = folder / "config.yml"
        self.config.write_text(json.dumps(config))

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tiled", "serve", "config", str(self.config)),
                    *("--host", "127.0.0.1", "--port", str(self.port)),
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        with httpx.Client(base_url=self.uri, timeout=5) as asking:
            for _ in range(1200):
                try:
                    asking.get("/healthz")
                except httpx.TransportError:
                    assert self.process.poll() is None, (self.folder / "log.txt").read_text()
                    time.sleep(0.1)
                else:
                    return
        raise TimeoutError("Tiled does not start")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def close(self) -> None:
        """Stop it, with what was opened by `client`."""
        for client in self._clients:
            client.context.close()
        self.stop()

    def new_folder(self) -> Path:
        """For detector files; the server may read them."""
        return Path(tempfile.mkdtemp(dir=self.files))

    def client(self, port: int | None = None) -> Container:
        from tiled.client import from_uri

        client: Container = from_uri(f"http://127.0.0.1:{port or self.port}", api_key=KEY)
        client.context.show_progress = False
        self._clients.append(client)
        return client

    def beamline(self, port: int | None = None) -> tuple[Container, Container]:
        """Clients of an empty catalogue of runs and an empty container for filled scans."""
        from tiled.structures.core import Spec

        beamline = self.client(port).create_container(f"beamline-{uuid.uuid4().hex[:8]}")
        raw = beamline.create_container("raw", specs=[Spec("CatalogOfBlueskyRuns", version="3.0")])
        return raw, beamline.create_container("processed")


class Line:
    """A port through which a server is reached as long as the line is not cut."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._to = port
        self._sockets: set[socket.socket] = set()
        self.mend()

    def mend(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._sockets.add(listener)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        while self._sockets:
            with self._sockets.pop() as one, suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._sockets |= {near, far}
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(2**16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[Server]:
    """A server that no test stops."""
    server = Server(tmp_path_factory.mktemp("tiled"), free_port())
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def own_server(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[Server]:
    """A server that the module's tests may do harm to; each leaves it running."""
    server = Server(tmp_path_factory.mktemp("own"), free_port())
    server.start()
    yield server
    server.close()


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    """A way to the server that can be cut, which harms nobody else."""
    line = Line(server.port)
    yield line
    line.cut()


@pytest.fixture
def places(server: Server) -> tuple[Container, Container]:
    """Clients of raw and processed data, both empty."""
    return server.beamline()
