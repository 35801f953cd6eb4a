"""One process beside the beamline: sources of documents, configuration, page, metrics, catching up."""

from .catching_up import catch_up, left_over

__all__ = ["catch_up", "left_over"]
