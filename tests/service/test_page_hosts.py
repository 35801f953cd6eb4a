"""Who reaches the page, and what it says of what isn't ours; without a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from starlette.testclient import TestClient
from tiled.structures.core import Spec

from bcdi_inpaint.service.page import page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiled.client.container import Container


@pytest.fixture(scope="module")
def processed(tiled_server: Container) -> Container:
    """What others may have put beside filled scans."""
    processed = tiled_server.create_container()
    processed.write_array(np.ones(3), key="array")
    processed.create_container(
        "folder", metadata={"complete": True, "superseded_by": "", "sample": 3}
    )
    odd = processed.create_container("odd", metadata={"complete": True, "superseded_by": ""})
    odd.write_array(np.ones((2, 2, 2, 2)), key="quicklook")
    processed.create_container(
        "ours", specs=[Spec("BCDIInpainted", version="1.0")], metadata={"complete": True}
    )
    return processed


@pytest.fixture(scope="module")
def browser(processed: Container) -> Iterator[TestClient]:
    with TestClient(page(processed), base_url="http://localhost:8090") as browser:
        yield browser


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8090", 200),
        ("localhost", 200),
        ("[::1]:8090", 200),
        ("evil.example:8090", 400),
        ("localhost.evil.example", 400),
        ("127.0.0.1:8090@evil.example", 400),
        ("", 400),
    ],
)
def test_a_site_whose_name_stands_for_this_machine_reads_nothing(
    host: str, status: int, browser: TestClient
) -> None:
    assert browser.get("/", headers={"Host": host}).status_code == status


def test_names_that_are_given_are_answered(places: tuple[Container, Container]) -> None:
    with TestClient(page(places[1], hosts=["bcdi.site"]), base_url="http://bcdi.site") as browser:
        assert browser.get("/").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "array",
        "folder",
        "odd",
        "ours",
        "absent",
        "..",
        "%2e%2e",
        "a%2fb",
        "%00",
        "a b",
        "%ff",
        "x" * 5000,
    ],
)
def test_paths_that_lead_to_no_quick_look_are_answered_with_404(
    path: str, browser: TestClient
) -> None:
    assert browser.get(f"/quicklook/{path}.png").status_code == 404
    assert browser.get("/").status_code == 200
    assert browser.get("/", params={"sample": path}).status_code == 200
