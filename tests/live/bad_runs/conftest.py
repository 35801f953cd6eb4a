"""Callbacks whose worker is in a thread."""

import pytest

from bcdi_inpaint.live import InpaintCallback


@pytest.fixture
def callback(quick_callback: InpaintCallback) -> InpaintCallback:
    """A bad run does to a worker in a thread what it does to a process, and sooner."""
    return quick_callback
