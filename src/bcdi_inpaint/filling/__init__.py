"""Filling the missing voxels of a stack: ``inpaint`` and its methods."""

from .inpaint import estimate_scan, inpaint
from .registry import METHODS
from .result import Inpainted, Report, SelfCheck

__all__ = ["METHODS", "Inpainted", "Report", "SelfCheck", "estimate_scan", "inpaint"]
