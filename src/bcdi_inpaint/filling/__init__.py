"""Filling the missing voxels of a stack: ``inpaint`` and its methods."""

from typing import TYPE_CHECKING

from .methods import METHODS
from .on_demand import OnDemand
from .pipeline import estimate_scan, inpaint
from .result import Inpainted, Report, SelfCheck
from .verdict import Verdict, add_up, judged

if TYPE_CHECKING:
    # Torch takes a second to import.
    from .estimation import Estimate as Estimate

__all__ = [
    "METHODS",
    "Inpainted",
    "OnDemand",
    "Report",
    "SelfCheck",
    "Verdict",
    "add_up",
    "estimate_scan",
    "inpaint",
    "judged",
]
