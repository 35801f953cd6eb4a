"""Fills side by side don't take the processor from each other."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FILL = """
import numpy as np
import bcdi_inpaint as bi
mask = np.zeros((16, 16), bool)
mask[:, 8] = True
bi.inpaint(np.ones((16, 16, 16)), mask, "kriging")
"""


@pytest.mark.parametrize(("set_to", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
@pytest.mark.slow
def test_threads_that_wait_do_not_spin_unless_the_environment_says_so(
    set_to: str | None, found: str
) -> None:
    """As OpenMP's library itself says which settings it works with."""
    environment = {name: text for name, text in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_DISPLAY_ENV": "TRUE"} | ({"OMP_WAIT_POLICY": set_to} if set_to else {})
    said = subprocess.run(
        [sys.executable, "-c", FILL], env=environment, check=True, capture_output=True, text=True
    ).stderr
    assert f"OMP_WAIT_POLICY = '{found}'" in said
