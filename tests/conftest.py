"""Real parts that several packages' tests share: a Tiled server, a RunEngine, detector files."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from bluesky import RunEngine
    from tiled.client.container import Container
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling


pytest_plugins = [
    "tests.helpers.bad_runs",
    "tests.helpers.browsing",
    "tests.helpers.filled_scans",
    "tests.helpers.kafka_broker",
    "tests.helpers.live_scans",
    "tests.helpers.odd_nodes",
    "tests.helpers.tiled_servers",
]
"""Fixtures that several folders share."""

# Tests run beside others: how long an example takes says nothing.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

THIRD_PARTY_WARNINGS = (
    # Tiled's in-process client uses starlette's TestClient, which would rather have httpx2.
    "ignore:Using `httpx` with `starlette.testclient`",
)


def pytest_configure(config: pytest.Config) -> None:
    for warning in THIRD_PARTY_WARNINGS:
        config.addinivalue_line("filterwarnings", warning)


SERVICES_REQUIRED = os.environ.get("BCDI_INPAINT_SERVICES") == "required"
"""Set in CI, which installs them: a test that skips because one is absent fails there."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if SERVICES_REQUIRED and report.skipped and "(Debian package" in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"required here, but absent: {report.longrepr}"
    return report


SHARE_SERVERS = ("console", "deploy", "live", "service")
"""Folders whose servers and workers take longer to start than a file's tests."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """With --dist loadfile, let one process run all files of a folder that share servers, too."""
    from xdist.scheduler import LoadFileScheduling

    class ByServers(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            folder = file.rpartition("/")[0]
            return folder if folder.endswith(SHARE_SERVERS) else file

    return ByServers(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Finds a port of this machine for a server that a test starts."""

    def find() -> int:
        # Below those that the system gives to connections, which may come before the server.
        while True:
            port = 20_000 + secrets.randbelow(12_000)
            with socket.socket() as free, suppress(OSError):
                free.bind(("127.0.0.1", port))
                return port

    return find


@pytest.fixture(scope="session")
def _readable_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("detector-files")


@pytest.fixture(scope="session")
def tiled_server(
    tmp_path_factory: pytest.TempPathFactory, _readable_storage: Path
) -> Iterator[Container]:
    """The root of a real Tiled server in this process, as a client sees it.

    One for the whole session, since starting it takes seconds. The catalogue is in memory, arrays
    go to Zarr and tables to SQLite. It has no streaming cache.
    """
    from tiled.catalog import in_memory
    from tiled.client import Context, from_context
    from tiled.server.app import build_app
    from tiled.server.settings import get_settings

    storage = tmp_path_factory.mktemp("tiled-storage")
    catalog = in_memory(
        writable_storage=[str(storage), f"sqlite:///{storage / 'tables.db'}"],
        readable_storage=[str(_readable_storage)],
    )
    # A fault of the server is an answer 500 for the client, as it is over a network.
    app = build_app(catalog)
    # Tiled's servers in one process share their settings: one that starts later with a key of its
    # own would lock out the clients of this one.
    settings = get_settings().model_copy()
    app.dependency_overrides[get_settings] = lambda: settings
    with Context.from_app(app, raise_server_exceptions=False) as context:
        context.show_progress = False
        yield from_context(context)


@pytest.fixture
def detector_files(_readable_storage: Path) -> Path:
    """A fresh folder that simulated detectors write to and the Tiled server may read from."""
    return Path(tempfile.mkdtemp(dir=_readable_storage))


@pytest.fixture
def beamline(tiled_server: Container) -> Container:
    """A fresh container with an empty ``raw`` (for runs) and an empty ``processed``."""
    from tiled.structures.core import Spec

    beamline = tiled_server.create_container(f"beamline-{uuid.uuid4().hex[:8]}")
    beamline.create_container("raw", specs=[Spec("CatalogOfBlueskyRuns", version="3.0")])
    beamline.create_container("processed")
    return beamline


@pytest.fixture
def raw(beamline: Container) -> Container:
    """The catalogue of Bluesky runs, empty."""
    return beamline["raw"]


@pytest.fixture
def processed(beamline: Container) -> Container:
    """Where derived data go, empty."""
    return beamline["processed"]


def run_engine() -> Iterator[RunEngine]:
    """A RunEngine of its own, idle and with its loop closed afterwards."""
    from bluesky import RunEngine

    engine = RunEngine({}, call_returns_result=True)
    yield engine
    if engine.state not in ("idle", "panicked"):
        engine.halt()
    loop = engine.loop
    loop.call_soon_threadsafe(loop.stop)
    engine._th.join()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    asyncio.set_event_loop(None)


RE = pytest.fixture(run_engine, name="RE")
module_engine = pytest.fixture(run_engine, name="module_engine", scope="module")
