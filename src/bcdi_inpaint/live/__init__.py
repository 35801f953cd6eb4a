"""Filling while a scan is measured: the callback and its worker process."""

from .callback import InpaintCallback
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
]
