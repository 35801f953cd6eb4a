"""The commands in ``docs/deploy.md`` do what the page says, typed as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
BLOCKS = re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [
    command.partition("  #")[0].strip()
    for block in BLOCKS
    for command in re.sub(r"\\\n\s*", "", block).splitlines()
]
CONFIG = "/etc/bcdi-inpaint/bcdi-inpaint.toml"

HERE = (
    "bcdi-inpaint tiled $HOME/tiled",
    f"bcdi-inpaint serve --example > {CONFIG}",
    f"bcdi-inpaint serve {CONFIG} --check",
    f"bcdi-inpaint backfill {CONFIG} --since",
    "pg_dump ",
    "tiled catalog upgrade-database",
    "tiled admin upgrade-database",
)
IN_OTHER_MODULES = (
    "./make-secrets.sh /etc/tiled/secrets",
    "/opt/bcdi-inpaint/bin/python /etc/tiled/prepare.py",
    "curl http://127.0.0.1:8090/healthz",
)
NOWHERE = (  # they need root, another machine or a container engine; the page says so
    *("apt-get", "python3 -m venv", "/opt/bcdi-inpaint/bin/pip", "cp", "systemctl", "rsync"),
    *("export PATH", "useradd", "echo", "runuser", "mkdir -p /etc/bcdi-inpaint", "install"),
    *("cd deploy", "./make-secrets.sh secrets", "export RAW_FILES", "docker compose", "rm secrets"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_accounted_for(command: str) -> None:
    assert command.startswith((*HERE, *IN_OTHER_MODULES, *NOWHERE))


def shown(beginning: str, places: Mapping[str, object]) -> str:
    """The first command of the page that begins so, in the places of this machine."""
    command = next(command for command in COMMANDS if command.startswith(beginning))
    for place, here in places.items():
        assert place in command
        command = command.replace(place, str(here))
    return command


def environment(**more: str) -> dict[str, str]:
    programs = [
        Path(sys.executable).parent,
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:],
    ]
    path = ":".join([*map(str, programs), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **more}


def typed(command: str, **more: str) -> str:
    """What a command prints; it must end well."""
    done = subprocess.run(
        ["bash", "-c", command],
        env=environment(**more),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_one_command_sets_up_tiled_for_one_person(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """Afterwards runs can be written, the service's configuration works, and it may be started again."""
    from tiled.client import from_uri

    (tmp_path / "raw").mkdir()
    places = {"$HOME/tiled": tmp_path / "tiled", "/data/raw": tmp_path / "raw"}
    command = f"exec {shown('bcdi-inpaint tiled', places)} --port {free_port()}"
    config = tmp_path / "tiled" / "bcdi-inpaint.toml"
    for time_of_day in ("first", "again"):
        log = tmp_path / f"{time_of_day}.txt"
        with (
            log.open("w") as file,
            subprocess.Popen(
                ["bash", "-c", command], env=environment(), stdout=file, stderr=file
            ) as tiled,
        ):

            def ready(log: Path = log, tiled: Any = tiled) -> bool:
                assert tiled.poll() is None, log.read_text()
                return "they are filled by" in log.read_text()

            try:
                until(ready)
                names: dict[str, Any] = {"from_uri": from_uri, "Path": Path}
                (raw,) = re.findall("^runs go to: (.*)$", log.read_text(), re.MULTILINE)
                raw = eval(raw, names)
                assert [spec.name for spec in raw.specs] == ["CatalogOfBlueskyRuns"]
                raw.context.close()
                checked = typed(
                    f"bcdi-inpaint serve {config} --check", BCDI_INPAINT_HTTP__PORT="0"
                ).splitlines()
                assert len(checked) == 11
                assert [re.split(r"\s{2,}", line)[1] for line in checked] == ["ok"] * len(checked)
                assert any("runs are announced by the server" in line for line in checked)
                refused = subprocess.run(
                    ["bash", "-c", command], env=environment(), capture_output=True, text=True,
                    check=False,
                )  # fmt: skip
                assert refused.returncode == 2
                assert "in use" in refused.stderr
                assert refused.stderr.count("\n") == 1
            finally:
                tiled.terminate()
        assert tiled.returncode == 0, log.read_text()
    assert (tmp_path / "tiled" / "tiled_key").stat().st_mode & 0o777 == 0o400


@pytest.mark.slow
def test_the_service_is_configured_checked_and_looks_for_an_archive(
    beamline_servers: Any, tmp_path: Path
) -> None:
    places = {CONFIG: tmp_path / "bcdi-inpaint.toml"}
    typed(shown("bcdi-inpaint serve --example", places))
    example = places[CONFIG].read_text()
    assert "# api_key_file = " in example
    for field, value in {
        "uri": f'"{beamline_servers.uri}"',
        "raw": '"cdi/raw"',
        "api_key_file": f'"{beamline_servers.secrets}/tiled_key_inpainting"',
        "port": 0,
    }.items():
        example = re.sub(
            rf"^# {field} = .*$", f"{field} = {value}", example, count=1, flags=re.MULTILINE
        )
    places[CONFIG].write_text(example)
    checked = typed(shown(f"bcdi-inpaint serve {CONFIG} --check", places))
    assert [line.split()[:2] for line in checked.splitlines()][:3] == [
        ["name", "ok"],
        ["key", "ok"],
        ["Tiled", "ok"],
    ]
    found = typed(shown(f"bcdi-inpaint backfill {CONFIG} --since", places))
    assert "0 runs are to be filled" in found


@pytest.mark.slow
def test_the_databases_are_dumped_and_upgraded(beamline_servers: Any, tmp_path: Path) -> None:
    postgres = {
        "PGPASSWORD": beamline_servers.secret("postgres_password"),
        "PGHOST": "127.0.0.1",
        "PGPORT": str(beamline_servers.postgres),
    }
    dump = tmp_path / "catalog.dump"
    typed(shown("pg_dump", {"catalog.dump": dump}), **postgres)
    assert dump.read_bytes().startswith(b"PGDMP")
    places = {"127.0.0.1": f"127.0.0.1:{beamline_servers.postgres}"}
    for database in ("catalog", "admin"):
        typed(shown(f"tiled {database} upgrade-database", places), **postgres)


@pytest.mark.slow
def test_preparing_says_in_a_line_what_is_wrong(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "deploy" / "tiled" / "prepare.py",
         f"http://127.0.0.1:{free_port()}", "--secrets", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert re.fullmatch(r"error: ConnectError: .*\n", done.stderr)
