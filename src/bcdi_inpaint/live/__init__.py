"""Filling while a scan is measured: the callback, its worker process, catching up."""

from .callback import InpaintCallback
from .catchup import catch_up, left_over
from .region import AroundPeak
from .settings import Limits, Settings
from .status import RunStatus, Status

__all__ = [
    "AroundPeak",
    "InpaintCallback",
    "Limits",
    "RunStatus",
    "Settings",
    "Status",
    "catch_up",
    "left_over",
]
