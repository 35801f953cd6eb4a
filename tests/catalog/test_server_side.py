"""Downloads from a real Tiled server over HTTP, configured as the documentation says."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import httpx
import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image
from tiled.client.utils import ClientError
from tiled.server.settings import get_settings

from bcdi_inpaint.catalog import ClaimedError, claim, write
from bcdi_inpaint.catalog.layout import SPECS
from bcdi_inpaint.catalog.provenance import link_to_raw
from bcdi_inpaint.export.quicklook import draw
from tests.helpers.filled_scans import scan_with_fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiled.client.container import Container

    from bcdi_inpaint.filling.result import Inpainted
    from bcdi_inpaint.scans.rocking_scan import RockingScan

    Pair = tuple[RockingScan, Inpainted]

DOCS = Path(__file__).parents[2] / "docs"

KEY = "secret"


def documented_configuration() -> dict[str, Any]:
    (block,) = re.findall(
        r"```yaml\n(media_types:.*?)```", (DOCS / "tiled.md").read_text(), re.DOTALL
    )
    configuration: dict[str, Any] = yaml.safe_load(block)
    return configuration


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """The root of a Tiled server on a port of its own, as a client sees it."""
    import uvicorn
    from tiled.client import from_uri
    from tiled.server.app import build_app_from_config
    from tiled.server.simple import ThreadedServer

    folder = tmp_path_factory.mktemp("server")
    storage = [str(folder / "data"), f"sqlite:///{folder / 'tables.db'}"]
    configuration = {
        "catalog": {
            "uri": f"sqlite:///{folder / 'catalog.db'}",
            "writable_storage": storage,
            "init_if_not_exists": True,
        },
        **documented_configuration(),
    }
    app = build_app_from_config(configuration)
    # Tiled's servers in one process share their settings, so the key of one that starts later would
    # lock out the clients of this one.
    settings = get_settings().model_copy(update={"single_user_api_key": KEY})
    app.dependency_overrides[get_settings] = lambda: settings
    uvicorn_config = uvicorn.Config(app, port=0, loop="asyncio", log_config=None)
    with ThreadedServer(uvicorn_config).run_in_thread() as url:
        client = from_uri(url, api_key=KEY)
        client.context.show_progress = False
        yield client
        client.context.close()


@pytest.fixture(scope="module")
def node(server: Container, scan_and_fill: Pair) -> Container:
    return write(server.create_container(), *scan_and_fill)


def download(node: Container, form: str) -> httpx.Response:
    url = node.item["links"]["full"]
    return httpx.get(
        url, params={"format": form}, headers={"Authorization": f"Apikey {KEY}"}, timeout=30
    )


@pytest.mark.parametrize(("form", "masked"), [("cxi-hard", 0), ("cxi-soft", 1), ("cxi-free", 1)])
def test_cxi(node: Container, scan_and_fill: Pair, form: str, masked: int) -> None:
    _, filled = scan_and_fill
    with h5py.File(io.BytesIO(download(node, form).raise_for_status().content)) as file:
        data = file["entry_1/data_1/data"][()]
        mask = file["entry_1/instrument_1/detector_1/mask"][()]
        np.testing.assert_array_equal(file["entry_1/bcdi_inpaint/rocking_angle"], node["eta"])
    np.testing.assert_array_equal(mask, filled.mask * masked)
    np.testing.assert_array_equal(data[~filled.mask], filled.intensity[~filled.mask])
    assert (data[filled.mask] <= -1e19).all() == (form == "cxi-soft")


def test_npz(node: Container, scan_and_fill: Pair) -> None:
    file = np.load(io.BytesIO(download(node, "pynx-npz").content))
    np.testing.assert_array_equal(file["data"], scan_and_fill[1].intensity)


def test_a_whole_pynx_run(node: Container) -> None:
    with zipfile.ZipFile(io.BytesIO(download(node, "pynx").content)) as archive:
        assert archive.namelist() == ["S54.cxi", "run_pynx.py", "S54_pynx_inputs.txt"]


def test_cdiutils(node: Container, scan_and_fill: Pair) -> None:
    with zipfile.ZipFile(io.BytesIO(download(node, "cdiutils").content)) as archive:
        assert archive.namelist() == ["S54_pynx_input_data.npz", "S54_pynx_input_mask.npz"]
        data = np.load(io.BytesIO(archive.read("S54_pynx_input_data.npz")))["data"]
    np.testing.assert_array_equal(data, scan_and_fill[1].intensity)


def test_cohere(node: Container, scan_and_fill: Pair, tmp_path: Path) -> None:
    local = node.export_cohere(tmp_path)
    assert download(node, "cohere").content == local.read_bytes()


def test_nexus(node: Container, scan_and_fill: Pair) -> None:
    with h5py.File(io.BytesIO(download(node, "nxs").content)) as file:
        np.testing.assert_array_equal(file["entry/data/intensity"], scan_and_fill[1].intensity)


def test_nexus_with_a_monitor(server: Container, scan_and_fill: Pair) -> None:
    scan, filled = scan_and_fill
    known = replace(scan.metadata, monitor="i0")
    readings = np.arange(12.0)
    node = write(server.create_container(), replace(scan, metadata=known, monitor=readings), filled)
    with h5py.File(io.BytesIO(download(node, "nxs").content)) as file:
        np.testing.assert_array_equal(file["entry/control/data"], readings)
        assert file["entry/control/name"].asstr()[()] == "i0"


def test_tif(node: Container, scan_and_fill: Pair) -> None:
    pages = tifffile.imread(io.BytesIO(download(node, "image/tiff").content))
    np.testing.assert_array_equal(pages, scan_and_fill[1].intensity)


def test_tiled_itself_exports_the_whole_node_as_hdf5(node: Container) -> None:
    """Its exporter refuses nested metadata and null."""
    with h5py.File(
        io.BytesIO(download(node, "application/x-hdf5").raise_for_status().content)
    ) as f:
        assert set(f) == {"intensity", "sigma", "mask", "eta", "quicklook"}
        assert f.attrs["self_check_verdict"] == "trusted"


def test_an_unfinished_scan_is_not_exported(server: Container, scan_and_fill: Pair) -> None:
    home = server.create_container()
    fill = claim(home, scan_and_fill[0].metadata, method="kriging")
    response = download(home[fill.key], "cxi")
    assert response.status_code == httpx.codes.NOT_ACCEPTABLE
    assert "is not complete: 0 frames are there so far" in response.json()["detail"]


def test_exporting_leaves_nothing_behind(
    node: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert download(node, "cxi").is_success
    assert list(tmp_path.iterdir()) == []


def test_curl_downloads_as_documented(node: Container, scan_and_fill: Pair, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl (Debian package curl)")
    path = tmp_path / "scan.cxi"
    url = f"{node.item['links']['full']}?format=cxi"
    command = ["curl", "-sf", "-H", f"Authorization: Apikey {KEY}", "-o", str(path), url]
    subprocess.run(command, check=True)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["entry_1/data_1/data"], scan_and_fill[1].intensity)


def test_of_services_that_claim_at_once_one_gets_it(server: Container, scan_and_fill: Pair) -> None:
    home = server.create_container()
    start = threading.Barrier(4)

    def service() -> str | None:
        start.wait()
        try:
            return claim(home, scan_and_fill[0].metadata, method="kriging").key
        except ClaimedError:
            return None

    with ThreadPoolExecutor(4) as pool:
        keys = [future.result() for future in [pool.submit(service) for _ in range(4)]]
    (winner,) = [key for key in keys if key is not None]
    assert list(home) == [winner]


def png_url(node: Container) -> str:
    return f"{node['quicklook'].item['links']['full']}?format=image/png"


def test_the_quicklook_comes_out_of_the_server_as_drawn(
    node: Container, scan_and_fill: Pair
) -> None:
    _, filled = scan_and_fill
    response = httpx.get(png_url(node), headers={"Authorization": f"Apikey {KEY}"}, timeout=30)
    shown = np.asarray(Image.open(io.BytesIO(response.raise_for_status().content)))
    drawn = draw(filled.intensity, filled.mask).picture
    assert shown.shape == drawn.shape
    assert np.abs(shown.astype(int) - drawn).max() <= 1


def test_a_browser_shows_the_quicklook(node: Container, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium (Debian package chromium)")
    picture = np.asarray(node["quicklook"].read())
    height, width = picture.shape[:2]
    screenshot = tmp_path / "screenshot.png"
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync "
        "--hide-scrollbars --virtual-time-budget=5000 --force-color-profile=srgb"
    )
    subprocess.run(
        [
            browser,
            *flags.split(),
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},{height}",
            f"--screenshot={screenshot}",
            f"{png_url(node)}&api_key={KEY}",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    seen = np.asarray(Image.open(screenshot).convert("RGB")).astype(int)
    assert seen.shape == picture.shape
    # The browser may round colours, not move or recolour the picture.
    assert np.abs(seen - picture).mean() < 2


NODE = {"raw_uid": "a", "method": "kriging"}


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"method": "kriging"}, "raw_uid: Field required"),
        ({**NODE, "frames": "many"}, "frames: .* integer"),
        ({**NODE, "start_sample": {"name": "Pt"}}, "metadata are flat; start_sample is not"),
        ({**NODE, "complete": True}, "a complete node needs method_used"),
    ],
)
def test_a_node_that_is_no_filled_scan_is_refused(
    server: Container, metadata: dict[str, Any], named: str
) -> None:
    home = server.create_container()
    with pytest.raises(ClientError, match=rf"BCDIInpainted spec:\s{named}") as caught:
        home.create_container("node", metadata=metadata, specs=list(SPECS))
    assert caught.value.response.status_code == httpx.codes.BAD_REQUEST
    assert list(home) == []


def test_an_array_is_no_filled_scan(server: Container) -> None:
    with pytest.raises(ClientError, match=r"a container, not .*array"):
        server.write_array(np.ones(3), metadata=NODE, specs=[SPECS[0]])


def test_a_field_that_a_newer_version_may_write_is_taken(server: Container) -> None:
    home = server.create_container()
    home.create_container("node", metadata={**NODE, "new": 1.5}, specs=list(SPECS))


def test_a_complete_node_keeps_its_volumes(server: Container, scan_and_fill: Pair) -> None:
    node = write(server.create_container(), *scan_and_fill)
    with pytest.raises(ClientError, match=r"intensity has shape .* must be \(1, 2, 3\)"):
        node.update_metadata({"shape": [1, 2, 3]})
    node.base.delete_contents("sigma", external_only=False)
    with pytest.raises(ClientError, match="sigma is not there"):
        node.update_metadata({"notes": "changed"})


@pytest.mark.slow
def test_a_filled_scan_is_linked_to_its_raw_run(server: Container) -> None:
    beamline = server.create_container()
    raw = beamline.create_container("raw").create_container("run")
    scan, filled = scan_with_fill(raw_path="/".join(raw.path_parts))
    processed = beamline.create_container("processed")
    nodes = [write(processed, scan, filled), write(processed, scan, filled)]
    (block,) = re.findall(r"```graphql\n(.*?)```", (DOCS / "tiled.md").read_text(), re.DOTALL)
    path = [part for part in raw.path_parts if part]
    asked = {"query": block, "variables": {"path": path}}
    address = f"{raw.context.api_uri}".removesuffix("v1/") + "graphql"
    answer = httpx.post(address, json=asked, headers={"Authorization": f"Apikey {KEY}"}).json()
    (entity,) = answer["data"]["entities"]
    derived = [link["subject"]["name"] for link in entity["incomingLinks"]]
    assert derived == [node.item["id"] for node in nodes]


def test_a_run_that_is_not_there_is_not_linked(server: Container, scan_and_fill: Pair) -> None:
    node = write(server.create_container(), *scan_and_fill)
    assert not link_to_raw(node, "cdi/raw/absent")
    assert not link_to_raw(node, "")


def test_a_file_that_tiled_may_not_read_is_refused(
    server: Container, scan_and_fill: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 2)
    home = server.create_container()
    with pytest.raises(PermissionError, match=r"can't read .* in the server's readable_storage"):
        write(home, *scan_and_fill, folder=tmp_path)
    assert list(home) == []
    assert list(tmp_path.iterdir()) == []
