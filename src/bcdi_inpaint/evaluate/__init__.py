"""The bench: metrics, gap cases, and tables for every filling method beside its noise ceiling."""

from .evaluation import Evaluation, Request, evaluate, write

__all__ = ["Evaluation", "Request", "evaluate", "write"]
