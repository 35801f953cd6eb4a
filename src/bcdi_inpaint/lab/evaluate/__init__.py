"""The bench: metrics, gap cases, and tables for every filling method beside its noise ceiling."""

from .evaluation import Evaluation, evaluate
from .request import Request, requested

__all__ = ["Evaluation", "Request", "evaluate", "requested"]
