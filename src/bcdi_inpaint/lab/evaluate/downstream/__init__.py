"""Does filling help phase retrieval? Filled scans are reconstructed and compared with the truth."""

from .reporting import report
from .scenes import QUICK, WHOLE, Plan

__all__ = ["QUICK", "WHOLE", "Plan", "report"]
