"""What lies in ``deploy/`` is valid, pinned, without privileges and without secrets."""

from __future__ import annotations

import pkgutil
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from bcdi_inpaint.catalog.layout import SPEC
from bcdi_inpaint.catalog.local_server import FILE_EXTENSIONS, MEDIA_TYPES, VALIDATOR
from bcdi_inpaint.service.config import ServiceConfig, load
from bcdi_inpaint.service.example import example

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
RECIPE = (DEPLOY / "Containerfile").read_text()
DATABASES = ("postgres", "redis")


def test_the_compose_file_fulfils_the_compose_specification() -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema brings the schema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run(
        [*command, DEPLOY / "compose.yaml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_privileges_and_a_pinned_image(name: str) -> None:
    service = SERVICES[name]
    assert int(service["user"].partition(":")[0]) > 0
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["networks"] == ["beamline"]
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*", service["image"])
    assert "healthcheck" in service or name == "prepare"
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in DATABASES])
def test_raw_data_are_mounted_for_reading_only(name: str) -> None:
    for volume in SERVICES[name]["volumes"]:
        assert "RAW_FILES" not in volume or volume.endswith(":/raw:ro")
    build = SERVICES[name].get("build")
    assert build is None or f" AS {build['target']}\n" in RECIPE


def test_secrets_come_from_files_that_the_scripts_make(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    subprocess.run([DEPLOY / "make-secrets.sh", secrets], check=True)
    made = {path.name: path.read_text() for path in secrets.iterdir()}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o440 for path in secrets.iterdir())
    assert all(re.fullmatch(r"[0-9a-f]{64}", secret) for secret in made.values())
    by_prepare = {"tiled_key_inpainting"}
    assert set(COMPOSE["secrets"]) == made.keys() | by_prepare
    subprocess.run([DEPLOY / "make-secrets.sh", secrets], check=True)
    assert made == {path.name: path.read_text() for path in secrets.iterdir()}


def test_the_containers_recipe_ends_without_root() -> None:
    stages = re.split(r"^FROM ", RECIPE, flags=re.MULTILINE)
    (base,) = [stage for stage in stages if stage.startswith("${PYTHON} AS base")]
    assert base.rstrip().endswith("USER 10001:10001")
    assert "USER" not in stages[-1] + stages[-2]
    assert re.search(r"^ARG PYTHON=\S+:\d+\.\d+\.\d+-\S+$", RECIPE, flags=re.MULTILINE)


def test_the_example_has_every_field_with_its_meaning_and_default() -> None:
    text = (DEPLOY / "bcdi-inpaint.toml").read_text()
    assert text == example(), "bcdi-inpaint serve --example > deploy/bcdi-inpaint.toml"
    assert load(DEPLOY / "bcdi-inpaint.toml") == ServiceConfig()
    for line, before in zip(text.splitlines()[1:], text.splitlines(), strict=False):
        if re.match(r"# \w+ = ", line):
            assert before.startswith("## "), f"{line} has no meaning"
    lines = [line for line in text.splitlines() if "(not set)" not in line]
    written = tomllib.loads(re.sub(r"^# (\w+ = )", r"\1", "\n".join(lines), flags=re.MULTILINE))
    assert ServiceConfig(**{**written, "name": ServiceConfig().name}) == ServiceConfig()


@pytest.mark.parametrize("unit", ["bcdi-inpaint.service", "tiled.service"])
def test_systemd_accepts_the_unit(unit: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    text = (DEPLOY / "systemd" / unit).read_text()
    program = re.search(r"^ExecStart=(\S+)", text, flags=re.MULTILINE)
    assert program is not None
    here = text.replace(program[1], sys.executable)  # it must exist to be accepted
    here = re.sub(r"^User=.*$", "User=root", here, flags=re.MULTILINE)
    (tmp_path / unit).write_text(here)
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in verified.stderr.splitlines() if unit in line]
    assert not ours
    assert "KillMode=mixed" in text or unit != "bcdi-inpaint.service"
    stop = re.search(r"^TimeoutStopSec=(\d+)", text, flags=re.MULTILINE)
    assert stop is None or int(stop[1]) > ServiceConfig().stop_seconds


@pytest.mark.parametrize("unit", sorted(path.name for path in (DEPLOY / "systemd").iterdir()))
def test_units_work_in_an_empty_folder(unit: str) -> None:
    """HDF5 opens files of the working directory, whatever lies there."""
    text = (DEPLOY / "systemd" / unit).read_text()
    folder = re.search(r"^RuntimeDirectory=(\S+)", text, flags=re.MULTILINE)
    assert folder is not None
    assert f"WorkingDirectory=%t/{folder[1]}\n" in text


def test_all_servers_export_the_same_formats() -> None:
    """The beamline's, and the one for one person, for the demonstration and the profile."""
    config = yaml.safe_load((DEPLOY / "tiled" / "beamline" / "config.yml").read_text())
    assert config["specs"] == [{"spec": SPEC, "validator": VALIDATOR}]
    assert config["media_types"] == MEDIA_TYPES
    assert config["file_extensions"] == FILE_EXTENSIONS
    for exporter in MEDIA_TYPES["BCDIInpainted"].values():
        assert callable(pkgutil.resolve_name(exporter))


def test_the_documentation_has_the_formats_that_servers_export() -> None:
    docs = DEPLOY.parent / "docs"
    (block,) = re.findall(
        r"```yaml\n(media_types:.*?)```", (docs / "tiled.md").read_text(), re.DOTALL
    )
    documented = yaml.safe_load(block)
    assert documented["media_types"] == {SPEC: MEDIA_TYPES[SPEC]}
    assert documented["file_extensions"] == FILE_EXTENSIONS
    formats, _, _ = (docs / "exporters.md").read_text().partition("## How PyNX")
    assert {name for name in FILE_EXTENSIONS if f"`{name}`" not in formats} == set()
