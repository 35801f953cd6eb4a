"""The same end to end for each source: scans in one process, the service in another, Tiled in a third."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bcdi_inpaint import inpaint
from tests.helpers.serving import COLUMNS, SCRIPTS, Acquisition, Processes, Service, nodes
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tiled.client.container import Container

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Way:
    """How documents come to the service: by what the acquisition is given, and the service."""

    name: str
    published: dict[str, str]
    section: str


@pytest.fixture(scope="module", params=["tiled", "zmq", "kafka"])
def way(request: pytest.FixtureRequest, processes: Processes, free_port: Callable[[], int]) -> Way:
    if request.param == "zmq":
        inward, outward = (f"127.0.0.1:{free_port()}" for _ in range(2))
        command: list[str | Path]
        command = [SCRIPTS / "bluesky-0MQ-proxy", "--in-address", inward, "--out-address", outward]
        processes.start("proxy", command)
        return Way("zmq", {"zmq": inward}, f'[zmq]\naddress = "{outward}"')
    if request.param == "kafka":
        broker, topic = request.getfixturevalue("broker"), f"{uuid.uuid4()}.documents"
        section = f'[kafka]\nservers = "{broker}"\ntopic = "{topic}"'
        return Way("kafka", {"kafka": broker, "topic": topic}, section)
    return Way("tiled", {}, "")


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    made = Processes(tmp_path_factory.mktemp("processes"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def catalogs(server: Any, way: Way) -> tuple[Container, Container]:  # one for each way
    raw, processed = server.beamline()
    return raw, processed


@pytest.fixture(scope="module")
def key(processes: Processes) -> Path:
    path = processes.folder / "key"
    path.touch(0o600)
    path.write_text("secret")
    return path


@pytest.fixture(scope="module")
def acquisition(
    way: Way, server: Any, catalogs: tuple[Container, Container], key: Path, processes: Processes
) -> Iterator[Acquisition]:
    with Acquisition.started(
        processes.log("acquisition"),
        uri=server.uri,
        raw="/".join(catalogs[0].path_parts),
        key_file=str(key),
        files=str(server.new_folder()),
        **way.published,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def service(
    way: Way,
    acquisition: Acquisition,  # whose Kafka topic is there once it has published
    server: Any,
    catalogs: tuple[Container, Container],
    key: Path,
    processes: Processes,
    free_port: Callable[[], int],
) -> Iterator[Service]:
    mask = np.zeros((32, 48), bool)
    mask[:, COLUMNS] = True
    np.save(processes.folder / "mask.npy", mask)
    config = processes.folder / f"{way.name}.toml"
    config.write_text(f"""
name = "bcdi-inpaint@test"
stop_seconds = 5
[tiled]
uri = "{server.uri}"
raw = "{"/".join(catalogs[0].path_parts)}"
processed = "{"/".join(catalogs[1].path_parts)}"
api_key_file = "{key}"
poll_seconds = 1
{way.section}
[filling]
method = "linear"
mask = "{processes.folder / "mask.npy"}"
file_roots = ["{server.files}"]
final_seconds = 1000
[http]
port = {free_port()}
""")
    acquisition.scan()  # before the service: its runs are filled, too
    service = Service(processes, config)
    service.start()
    until(lambda: service.healthy, report=service.log.read_text)
    yield service
    service.kill()


def check_filled(catalogs: tuple[Container, Container], uid: str) -> None:
    """One complete node, equal to offline."""
    raw, processed = catalogs
    (node,) = until(lambda: [node for node in nodes(processed, uid) if node.metadata["complete"]])
    assert len(nodes(processed, uid)) == 1
    counts = np.asarray(raw[uid]["primary/det_image"].read()).reshape(-1, 32, 48)
    mask = np.zeros((32, 48), bool)
    mask[:, COLUMNS] = True
    np.testing.assert_array_equal(
        node["intensity"].read(), inpaint(counts, mask, "linear").intensity
    )


def test_a_scan_is_filled(
    acquisition: Acquisition, service: Service, catalogs: tuple[Container, Container], way: Way
) -> None:
    assert service.metric(f'bcdi_inpaint_source_open{{source="{way.name}"}}') == 1
    (before,) = catalogs[0]
    check_filled(catalogs, before)
    uid = acquisition.begin(0.2)
    if way.name != "tiled":
        until(lambda: nodes(catalogs[1], uid))
        assert not catalogs[0][uid].metadata.get("stop")
    acquisition.end()
    check_filled(catalogs, uid)


def test_a_scan_during_which_the_service_was_killed_is_filled_once(
    acquisition: Acquisition, service: Service, catalogs: tuple[Container, Container], way: Way
) -> None:
    uid = acquisition.begin(0.2)
    if way.name != "tiled":
        until(lambda: nodes(catalogs[1], uid))
    service.kill()
    service.start()
    acquisition.end()
    check_filled(catalogs, uid)
    until(lambda: service.healthy, report=service.log.read_text)
    after = acquisition.scan()
    check_filled(catalogs, after)
    assert len(nodes(catalogs[1], uid)) == 1
