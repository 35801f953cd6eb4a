"""The command ``bcdi-inpaint``."""

from . import beamline, files, lab, overview  # noqa: F401 (each registers its commands)
from .root import app

__all__ = ["app"]
