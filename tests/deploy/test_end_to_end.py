"""Scans in one process, servers in others, the service in a third; found by a fourth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from bcdi_inpaint import catalog, inpaint
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiled.client.container import Container

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
SCRIPTS = Path(sys.executable).parent
COLUMNS = slice(26, 30)
"""Where the detector of acquisition.py has its gap."""


class Acquisition:
    """The process that scans."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._expect("ready")

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


@pytest.fixture(scope="module")
def processes(beamline_servers: Any, start_processes: Callable[[], Any]) -> Any:
    return start_processes()


@pytest.fixture(scope="module")
def ports(processes: Any, free_port: Callable[[], int]) -> tuple[int, int]:
    """Where a 0MQ proxy takes documents, and where it gives them."""
    inward, outward = free_port(), free_port()
    command = [
        SCRIPTS / "bluesky-0MQ-proxy",
        *("--in-address", f"127.0.0.1:{inward}", "--out-address", f"127.0.0.1:{outward}"),
    ]
    processes.start("proxy", command)
    return inward, outward


@pytest.fixture(scope="module")
def acquisition(beamline_servers: Any, ports: tuple[int, int]) -> Iterator[Acquisition]:
    line = beamline_servers
    log = (line.folder / "acquisition.log").open("w")
    with (
        log,
        subprocess.Popen(
            [
                *(sys.executable, HERE / "acquisition.py", line.uri),
                *(line.secrets / "tiled_key_acquisition", line.files, f"127.0.0.1:{ports[0]}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        ) as process,
    ):
        yield Acquisition(process)
        process.stdin.close()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def config(beamline_servers: Any, free_port: Callable[[], int]) -> Path:
    """The service's configuration, and what it may read: the frames come from Tiled."""
    line = beamline_servers
    mask = line.folder / "mask.npy"
    missing = np.zeros((32, 48), bool)
    missing[:, COLUMNS] = True
    np.save(mask, missing)
    path: Path = line.folder / "bcdi-inpaint.toml"
    path.write_text(f"""
name = "bcdi-inpaint@test"
stop_seconds = 30
[tiled]
uri = "{line.uri}"
raw = "cdi/raw"
api_key_file = "{line.secrets / "tiled_key_inpainting"}"
[filling]
method = "linear"
mask = "{mask}"
file_roots = ["{line.files}"]
final_seconds = 1000
[http]
port = {free_port()}
""")
    return path


class Service:
    """``bcdi-inpaint serve``, which can be killed and started again."""

    def __init__(self, processes: Any, config: Path) -> None:
        self._processes = processes
        self._config = config
        self._port = config.read_text().partition("port = ")[2].strip()
        self.log: Path = processes.log("service")
        self.process: Any = None

    def start(self, *options: str) -> None:
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


@pytest.fixture(scope="module")
def service(processes: Any, config: Path) -> Service:
    return Service(processes, config)


@pytest.fixture(scope="module")
def processed(beamline_servers: Any) -> Container:
    """Filled scans as a client sees them that has written none of them."""
    found: Container = beamline_servers.service("acquisition")["cdi/processed/bcdi_inpaint"]
    return found


def nodes(processed: Container, uid: str) -> list[Container]:
    return [node for node in processed.values() if node.metadata["raw_uid"] == uid]


def test_a_scan_is_filled_by_way_of_tiled(
    acquisition: Acquisition, service: Service, processed: Container
) -> None:
    service.start()
    until(lambda: service.healthy, report=service.log.read_text)
    uid = acquisition.scan()
    (node,) = until(lambda: catalog.find(processed, uid), report=service.log.read_text)
    raw = processed.parent.parent["raw"][uid]
    counts = np.asarray(raw["primary/det_image"].read()).reshape(-1, 32, 48)
    mask = np.zeros((32, 48), bool)
    mask[:, COLUMNS] = True
    np.testing.assert_array_equal(
        node["intensity"].read(), inpaint(counts, mask, "linear").intensity
    )
    assert node.metadata["sample"] == "Pt_a"
    assert list(node.access_tags) == list(raw.access_tags) == ["commissioning"]
    assert service.metric("bcdi_inpaint_scans_filled_total") == 1


def test_a_service_killed_during_a_scan_fills_it_when_it_is_back(
    acquisition: Acquisition, service: Service, processed: Container, ports: Any
) -> None:
    uid = acquisition.begin(0.05)
    service.kill()
    acquisition.end()
    assert not nodes(processed, uid)
    service.start("--zmq", f"127.0.0.1:{ports[1]}")
    until(lambda: catalog.find(processed, uid), report=service.log.read_text)
    assert len(nodes(processed, uid)) == 1


def test_documents_over_0mq_are_filled_while_the_scan_goes_on(
    acquisition: Acquisition, service: Service, processed: Container
) -> None:
    until(lambda: service.healthy, report=service.log.read_text)
    uid = acquisition.begin(0.3)
    (growing,) = until(lambda: nodes(processed, uid), report=service.log.read_text)
    assert not growing.metadata["complete"]
    assert not processed.parent.parent["raw"][uid].metadata.get("stop")
    acquisition.end()
    until(lambda: catalog.find(processed, uid), report=service.log.read_text)
    assert len(nodes(processed, uid)) == 1


def test_a_service_killed_while_it_writes_leaves_one_complete_node(
    acquisition: Acquisition, service: Service, processed: Container, ports: Any
) -> None:
    uid = acquisition.begin(0.3)
    until(lambda: nodes(processed, uid), report=service.log.read_text)
    service.kill()
    service.start("--zmq", f"127.0.0.1:{ports[1]}")
    acquisition.end()
    until(lambda: catalog.find(processed, uid), report=service.log.read_text)
    assert [node.metadata["complete"] for node in nodes(processed, uid)] == [True]


def test_sigterm_ends_it_in_time_and_hands_back_what_it_had_begun(
    acquisition: Acquisition, service: Service, processed: Container
) -> None:
    until(lambda: service.healthy, report=service.log.read_text)
    uid = acquisition.begin(0.3)
    until(lambda: nodes(processed, uid), report=service.log.read_text)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(35) == 0
    (begun,) = nodes(processed, uid)
    assert not begun.metadata["complete"]
    assert begun.metadata["claim_expires"] == 0
    acquisition.end()


def test_its_log_is_json_and_holds_no_key(beamline_servers: Any, service: Service) -> None:
    text = service.log.read_text()
    for line in text.splitlines():
        assert {"time", "level", "logger", "message"} <= json.loads(line).keys()
    assert beamline_servers.secret("tiled_key_inpainting") not in text
