from __future__ import annotations

import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter

from bcdi_inpaint.scans import from_run


@pytest.mark.parametrize("flavour", ["array in events", "resource and datum", "stream, step", "stream, fly"])
def test_flavours(flavour, flavours, RE, raw, stack, angles):
    RE.subscribe(TiledWriter(raw))
    key, plan = flavours(flavour)
    uid = RE(plan).run_start_uids[0]
    scan = from_run(raw[uid], mask=False)
    np.testing.assert_array_equal(scan.frames, stack)
    if "fly" in flavour:
        assert scan.angles is None
    else:
        np.testing.assert_allclose(scan.angles, angles)
    print(scan.metadata)
