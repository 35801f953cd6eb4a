"""The beamline's Tiled configuration, with a real PostgreSQL and a real Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Beamline

pytestmark = pytest.mark.slow


def test_both_services_see_the_containers(beamline_servers: Beamline) -> None:
    for name in ("acquisition", "inpainting"):
        root = beamline_servers.service(name)
        assert list(root) == ["cdi"]
        assert list(root["cdi"]) == ["raw", "processed"]
        assert list(root["cdi/processed"]) == ["bcdi_inpaint"]
