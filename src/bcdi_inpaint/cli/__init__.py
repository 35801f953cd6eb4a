"""The command ``bcdi-inpaint``."""

from .app import app

__all__ = ["app"]
