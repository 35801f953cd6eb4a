"""The programs of a beamline, in processes of their own: one that scans, and the service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tiled.client.container import Container

SCRIPTS = Path(sys.executable).parent
COLUMNS = slice(26, 30)
"""Where the detector of acquisition.py has its gap."""


class Processes:
    """Processes of one test or session, with a log file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(
        self, name: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
            )
        self._running.append(process)
        return process

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def close(self) -> None:
        for process in reversed(self._running):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


class Acquisition:
    """The process that scans."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._expect("ready")

    @classmethod
    @contextmanager
    def started(cls, log: Path, **options: Any) -> Iterator[Acquisition]:
        """Start it with the options of acquisition.py."""
        command: list[str | Path]
        command = [sys.executable, Path(__file__).with_name("acquisition.py"), json.dumps(options)]
        with (
            log.open("w") as stderr,
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            ) as process,
        ):
            try:
                yield cls(process)
            finally:
                assert process.stdin is not None
                process.stdin.close()

    def begin(self, seconds: float) -> str:
        """Begin a scan with so many seconds at each point; its uid."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return self._line()

    def end(self) -> None:
        """Wait for its end."""
        self._expect("done")

    def scan(self, seconds: float = 0.0) -> str:
        uid = self.begin(seconds)
        self.end()
        return uid

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _expect(self, word: str) -> None:
        line = self._line()
        assert line == word, line


class Service:
    """``bcdi-inpaint serve``, which can be killed and started again."""

    def __init__(self, processes: Processes, config: Path) -> None:
        self._processes = processes
        self._config = config
        self._port = config.read_text().partition("port = ")[2].strip()
        self.log: Path = processes.log("service")
        self.process: Any = None

    def start(self, *options: str) -> None:
        command: list[str | Path]
        command = [SCRIPTS / "bcdi-inpaint", "serve", self._config, *options]
        self.process = self._processes.start("service", command)

    def get(self, path: str) -> httpx.Response | None:
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}{path}", timeout=5)
        except httpx.TransportError:
            assert self.process.poll() is None, self.log.read_text()
            return None

    @property
    def healthy(self) -> bool:
        answer = self.get("/healthz")
        return answer is not None and answer.status_code == 200

    def metric(self, name: str) -> float:
        answer = self.get("/metrics")
        assert answer is not None
        (line,) = [line for line in answer.text.splitlines() if line.startswith(name)]
        return float(line.rpartition(" ")[2])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def nodes(processed: Container, uid: str) -> list[Container]:
    return [node for node in processed.values() if node.metadata["raw_uid"] == uid]
