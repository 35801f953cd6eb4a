"""The beamline's Tiled configuration, with a real PostgreSQL and a real Redis."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import httpx
import numpy as np
import pytest

from bcdi_inpaint import RockingScan, ScanMetadata, catalog, inpaint
from bcdi_inpaint.service.checks import check
from bcdi_inpaint.service.config import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bcdi_inpaint.service.checks import Finding

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    # Tiled's client opens its stream in a way that websockets 17 deprecates.
    pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager"),
]

DOCS = Path(__file__).parents[2] / "docs"
PREPARE = runpy.run_path(str(Path(__file__).parents[2] / "deploy" / "tiled" / "prepare.py"))
SCOPES = PREPARE["SERVICES"]["inpainting"][1]


@pytest.fixture(scope="module")
def make_key(beamline_servers: Any) -> Callable[..., str]:
    """Makes keys of one of the services with other scopes."""
    from tiled.client.context import Context

    context, _ = Context.from_any_uri(beamline_servers.uri)
    PREPARE["login"](context, beamline_servers.secret("tiled_admin_password"))
    beamline_servers.closes(context)

    def make(scopes: list[str], service: str | None = "inpainting") -> str:
        if service is None:
            uuid = context.admin.create_service_principal("user")["uuid"]
        else:
            uuid = beamline_servers.secret(f"tiled_uuid_{service}")
        return str(context.admin.create_api_key(uuid, scopes=scopes)["secret"])

    return make


@pytest.fixture
def findings(
    beamline_servers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Mapping[str, Finding]]:
    """What ``serve --check`` finds with a key."""
    path = tmp_path / "bcdi-inpaint.toml"
    path.write_text(f'[tiled]\nuri = "{beamline_servers.uri}"\nraw = "cdi/raw"\n[http]\nport = 0\n')

    def find(key: str) -> Mapping[str, Finding]:
        monkeypatch.setenv("TILED_API_KEY", key)
        return {finding.subject: finding for finding in check(load(path))}

    return find


def test_both_services_see_the_containers(beamline_servers: Any) -> None:
    for name in ("acquisition", "inpainting"):
        root = beamline_servers.service(name)
        assert list(root) == ["cdi"]
        assert list(root["cdi"]) == ["raw", "processed"]
        assert list(root["cdi/processed"]) == ["bcdi_inpaint"]


def test_the_services_key_has_all_scopes_that_it_needs(
    beamline_servers: Any, findings: Callable[[str], Mapping[str, Finding]]
) -> None:
    found = findings(beamline_servers.secret("tiled_key_inpainting"))
    assert all(finding.works for finding in found.values()), found
    assert "announced" in found["stream"].what
    shown = (DOCS / "deploy.md").read_text()
    for subject, finding in found.items():
        words = finding.what.split("http")[0].split("/")[0].strip()
        if subject not in ("name", "key", "runs", "files"):  # these depend on the place
            words = re.sub(r"\d+", r"\\d+", re.escape(words))  # other tests leave runs there
            assert re.search(rf"^{subject} +ok  {words}", shown, flags=re.MULTILINE)


@pytest.mark.parametrize("scope", SCOPES)
def test_the_services_key_has_no_scope_that_it_does_not_need(
    scope: str,
    make_key: Callable[..., str],
    findings: Callable[[str], Mapping[str, Finding]],
) -> None:
    found = findings(make_key([other for other in SCOPES if other != scope]))
    worse = [finding for finding in found.values() if not finding.works]
    if scope.endswith("apikeys"):  # without the stream, the catalogue is looked at
        assert not worse
        assert f"Requires scopes ['{scope}']" in found["stream"].what
    else:
        assert any(scope in finding.what for finding in worse), worse


def test_strangers_see_nothing(beamline_servers: Any, make_key: Callable[..., str]) -> None:
    stranger = make_key(["read:metadata", "read:data"], service=None)
    with pytest.raises(KeyError):
        beamline_servers.client(stranger)["cdi"]


def test_a_filled_scan_can_be_downloaded_for_phase_retrieval(
    beamline_servers: Any, tmp_path: Path
) -> None:
    processed = beamline_servers.service("inpainting")["cdi/processed/bcdi_inpaint"]
    counts = np.random.default_rng(1).poisson(9, (8, 12, 16)).astype(np.uint16)
    mask = np.zeros((12, 16), bool)
    mask[:, 7] = True
    scan = RockingScan(
        counts,
        mask,
        None,
        ScanMetadata(raw_uid="a", data_key="det", access_tags=("commissioning",)),
    )
    filled = inpaint(counts, mask, "linear")
    node = catalog.write(processed, scan, filled)
    path = "/".join(node.path_parts)
    download = httpx.get(
        f"{beamline_servers.uri}/api/v1/container/full/{path}?format=cxi",
        headers={"Authorization": f"Apikey {beamline_servers.secret('tiled_key_acquisition')}"},
        timeout=60,
    )
    assert download.status_code == 200, download.text
    (tmp_path / "scan.cxi").write_bytes(download.content)
    with h5py.File(tmp_path / "scan.cxi") as cxi:
        np.testing.assert_array_equal(cxi["entry_1/data_1/data"][()], filled.intensity)
    processed.delete_contents(node.path_parts[-1], recursive=True, external_only=False)
