"""Filling the missing voxels of a stack: ``inpaint`` and its methods."""

from .inpaint import METHODS, inpaint, learn
from .result import Inpainted, Report, SelfCheck

__all__ = ["METHODS", "Inpainted", "Report", "SelfCheck", "inpaint", "learn"]
