"""The beamline's servers, started from ``deploy/`` as they are: PostgreSQL, Redis, Tiled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.helpers.serving import Processes
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiled.client.container import Container
    from tiled.client.context import Context

DEPLOY = Path(__file__).parents[2] / "deploy"
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
SCRIPTS = Path(sys.executable).parent


class Beamline:
    """Addresses and keys of the running servers."""

    def __init__(self, folder: Path, free_port: Callable[[], int]) -> None:
        self.folder = folder
        self.secrets = folder / "secrets"
        self.files = folder / "raw"
        self.storage = folder / "storage"
        for new in (self.files, self.storage):
            new.mkdir(mode=0o700)
        subprocess.run([DEPLOY / "make-secrets.sh", self.secrets], check=True)
        self.postgres, self.redis, self.tiled = free_port(), free_port(), free_port()
        self._contexts: list[Context] = []

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.tiled}"

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text()

    def client(self, key: str) -> Container:
        """The root as the owner of a key sees it."""
        from tiled.client import from_uri

        client: Container = from_uri(self.uri, api_key=key)
        client.context.show_progress = False
        self.closes(client.context)
        return client

    def service(self, name: str) -> Container:
        """The root as one of the two services sees it."""
        return self.client(self.secret(f"tiled_key_{name}"))

    def closes(self, context: Context) -> None:
        """Close a connection with the servers."""
        self._contexts.append(context)

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def start_postgres(processes: Processes, line: Beamline) -> None:
    (*_, programs) = POSTGRES
    data = line.folder / "postgres"
    data.mkdir(mode=0o700)
    as_owner = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(data, "postgres")
        for above in data.parents:
            if above.stat().st_mode & 0o001 == 0:
                above.chmod(above.stat().st_mode | 0o001)
        as_owner = ["runuser", "-u", "postgres", "--"]
    password = data / "password"
    password.write_text(line.secret("postgres_password"))
    shutil.chown(password, data.owner())
    cluster = data / "cluster"
    subprocess.run(
        [*as_owner, programs / "initdb", "-D", cluster, "-U", "tiled", "-A", "scram-sha-256",
         "--pwfile", password, "--no-sync"],
        check=True, capture_output=True,
    )  # fmt: skip
    processes.start(
        "postgres",
        [*as_owner, programs / "postgres", "-D", cluster, "-p", str(line.postgres), "-k", data,
         "-h", "127.0.0.1", "-c", "fsync=off"],
    )  # fmt: skip
    psql = [programs / "psql", "-h", "127.0.0.1", "-p", str(line.postgres), "-U", "tiled"]
    env = {**os.environ, "PGPASSWORD": line.secret("postgres_password")}

    def ask(*command: str) -> bool:
        command = (*map(str, psql), "-d", "postgres", *command)
        done = subprocess.run(command, env=env, capture_output=True, check=False)
        return done.returncode == 0

    until(lambda: ask("-c", "CREATE DATABASE catalog"), report=processes.log("postgres").read_text)
    assert ask("-f", str(DEPLOY / "postgres" / "create.sql"))


@pytest.fixture(scope="session")
def beamline_servers(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[Beamline]:
    """PostgreSQL, Redis and Tiled as in ``deploy/``, prepared by ``deploy/tiled/prepare.py``."""
    if not POSTGRES:
        pytest.skip("no PostgreSQL in /usr/lib/postgresql (Debian package postgresql)")
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server (Debian package redis-server)")
    line = Beamline(tmp_path_factory.mktemp("beamline"), free_port)
    processes = Processes(line.folder)
    try:
        start_postgres(processes, line)
        redis = line.folder / "redis.conf"
        redis.write_text(
            f"port {line.redis}\nbind 127.0.0.1\nsave ''\nrequirepass {line.secret('redis_password')}\n"
        )
        processes.start("redis", ["redis-server", redis])
        environment = {
            "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
            "SECRETS": str(line.secrets),
            "TILED_CONFIG": str(DEPLOY / "tiled" / "beamline"),
            "TILED_STORAGE": str(line.storage),
            "RAW_FILES": str(line.files),
            "POSTGRES_HOST": f"127.0.0.1:{line.postgres}",
            "REDIS_HOST": f"127.0.0.1:{line.redis}",
        }
        command: list[str | Path] = [
            DEPLOY / "tiled" / "start.sh",
            "--host",
            "127.0.0.1",
            "--port",
            str(line.tiled),
        ]
        tiled = processes.start("tiled", command, environment)

        def healthy() -> bool:
            assert tiled.poll() is None, processes.log("tiled").read_text()
            try:
                return httpx.get(f"{line.uri}/healthz", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        until(healthy, report=processes.log("tiled").read_text)
        prepared = subprocess.run(
            [
                *(sys.executable, DEPLOY / "tiled" / "prepare.py", line.uri, "--beamline", "cdi"),
                *("--secrets", line.secrets),
            ],
            env={**os.environ, "POSTGRES_HOST": f"127.0.0.1:{line.postgres}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert prepared.returncode == 0, prepared.stderr
        yield line
    finally:
        line.close()
        processes.close()


@pytest.fixture(scope="module", name="start_processes")
def _start_processes(beamline_servers: Beamline) -> Iterator[Callable[[], Processes]]:
    """Makes `Processes` that end with the module."""
    made = Processes(beamline_servers.folder)
    yield lambda: made
    made.close()
