"""A Tiled server in a process of its own, which can be stopped and started again, and scans."""

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
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from event_model import compose_run
from ophyd.sim import SynAxis

from bcdi_inpaint.live import InpaintCallback, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from tiled.client.container import Container

KEY = "secret"
ANGLES = np.linspace(-0.2, 0.2, 20)
GAP = np.zeros((24, 32), bool)
GAP[:, 14:17] = True


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


@pytest.fixture(scope="session")
def _callback(server: Server) -> Iterator[InpaintCallback]:
    with InpaintCallback(*server.beamline()) as callback:
        while callback.status().worker is None:
            time.sleep(0.05)
        yield callback


@pytest.fixture
def callback(_callback: InpaintCallback, settings: Settings) -> InpaintCallback:
    """One that many tests share, since starting a worker takes seconds; idle, with `settings`."""
    assert _callback.wait(60)
    _callback.settings = settings
    return _callback


@pytest.fixture(scope="session")
def angles() -> NDArray[np.float64]:
    """Of the frames of `stack`."""
    return ANGLES


@pytest.fixture(scope="session")
def gap() -> NDArray[np.bool_]:
    """What is missing in every frame of `stack`."""
    return GAP


@pytest.fixture(scope="session")
def stack() -> NDArray[np.uint16]:
    """Poisson counts of a Gaussian peak, 0 in the gap."""
    z, y, x = np.meshgrid(
        *(np.linspace(-size, size, n) for size, n in ((2, 20), (3, 24), (4, 32))), indexing="ij"
    )
    rate = 2000 * np.exp(-(x**2) - y**2 - z**2) + 0.5
    counts = np.random.default_rng(1).poisson(rate).astype(np.uint16)
    counts[:, GAP] = 0
    return counts


@pytest.fixture
def settings(server: Server) -> Settings:
    """Several portions; in the end the offline result, however slow the machine."""
    return Settings(
        method="linear",
        mask=GAP,
        portion=4,
        margin=2,
        final_seconds=np.inf,
        file_roots=(server.files,),
    )


@pytest.fixture
def motor() -> SynAxis:
    return SynAxis(name="eta", egu="deg")


@pytest.fixture(scope="session")
def documents() -> Callable[..., list[tuple[str, dict[str, Any]]]]:
    """Makes the documents of a rocking scan whose frames are in the events."""

    def make(
        stack: NDArray[Any], angles: NDArray[np.float64], data_key: str = "det", **start: Any
    ) -> list[tuple[str, dict[str, Any]]]:
        metadata = {
            "plan_name": "scan",
            "motors": ["eta"],
            "num_points": len(stack),
            "hints": {"dimensions": [[["eta"], "primary"]]},
            **start,
        }
        begun, descriptor, _, stop = compose_run(metadata=metadata)
        frame = {
            "dtype": "array",
            "dtype_numpy": stack.dtype.str,
            "shape": list(stack.shape[1:]),
            "source": "SIM",
        }
        angle = {"dtype": "number", "shape": [], "source": "SIM", "units": "deg"}
        described, event, _ = descriptor(name="primary", data_keys={data_key: frame, "eta": angle})
        events = [
            event(data={data_key: counts, "eta": float(value)}, timestamps={data_key: 0, "eta": 0})
            for counts, value in zip(stack, angles, strict=True)
        ]
        return [
            ("start", begun),
            ("descriptor", described),
            *(("event", one) for one in events),
            ("stop", stop()),
        ]

    return make
