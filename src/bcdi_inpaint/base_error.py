"""The class that all exceptions of this package derive from."""

from __future__ import annotations


class BcdiInpaintError(Exception):
    """Something that this package names: each such exception also derives from the built-in one that it is like.

    Arguments that can't be used are a plain `ValueError`.
    """
