"""Fill detector gaps in Bragg coherent diffraction scans.

>>> import bcdi_inpaint as bi
>>> mask = bi.detector("maxipix_2x2").mask()
>>> out = bi.inpaint(stack, mask)  # doctest: +SKIP

Names are loaded on first use, so that importing the package (which Tiled does for every
client that has the plugin installed) costs milliseconds and pulls in neither torch nor Bluesky.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bcdi_inpaint.base_error import BcdiInpaintError
    from bcdi_inpaint.catalog import filled
    from bcdi_inpaint.filling import Inpainted, Report, SelfCheck, inpaint
    from bcdi_inpaint.filling.patching import FineTuned, finetune
    from bcdi_inpaint.geometry import Detector, detector, detectors
    from bcdi_inpaint.scans import RockingScan, ScanMetadata

# OpenMP's threads spin while they wait for each other, and so take the processor from those that they wait
# for where others fill beside them. It reads this when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOME = {
    "BcdiInpaintError": ".base_error",
    "Detector": ".geometry",
    "detector": ".geometry",
    "detectors": ".geometry",
    "Inpainted": ".filling",
    "Report": ".filling",
    "SelfCheck": ".filling",
    "inpaint": ".filling",
    "filled": ".catalog",
    "FineTuned": ".filling.patching",
    "finetune": ".filling.patching",
    "RockingScan": ".scans",
    "ScanMetadata": ".scans",
}

__all__ = [
    "BcdiInpaintError",
    "Detector",
    "FineTuned",
    "Inpainted",
    "Report",
    "RockingScan",
    "ScanMetadata",
    "SelfCheck",
    "detector",
    "detectors",
    "filled",
    "finetune",
    "inpaint",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("bcdi-inpaint")
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
