"""Filling the missing voxels of a stack: ``inpaint`` and its methods."""

from .inpaint import inpaint, learn
from .registry import METHODS
from .result import Inpainted, Report, SelfCheck

__all__ = ["METHODS", "Inpainted", "Report", "SelfCheck", "inpaint", "learn"]
