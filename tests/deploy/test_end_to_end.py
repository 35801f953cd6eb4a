"""Scans in one process, servers in others, the service in a third; found by a fourth."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bcdi_inpaint import catalog, inpaint
from tests.helpers.serving import COLUMNS, Acquisition, Service, nodes
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiled.client.container import Container

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPTS = Path(sys.executable).parent


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
    with Acquisition.started(
        line.folder / "acquisition.log",
        uri=line.uri,
        raw="cdi/raw",
        key_file=str(line.secrets / "tiled_key_acquisition"),
        files=str(line.files),
        tags=["commissioning"],
        zmq=f"127.0.0.1:{ports[0]}",
    ) as running:
        yield running


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


@pytest.fixture(scope="module")
def service(processes: Any, config: Path) -> Service:
    return Service(processes, config)


@pytest.fixture(scope="module")
def processed(beamline_servers: Any) -> Container:
    """Filled scans as a client sees them that has written none of them."""
    found: Container = beamline_servers.service("acquisition")["cdi/processed/bcdi_inpaint"]
    return found


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
