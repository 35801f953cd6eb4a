"""The Friedel twin: what was measured at a gap's mirror image through the Bragg peak."""

from .symmetry import Symmetry, symmetry_of, without_symmetry
from .twin import Twin, twin_of, twin_share

__all__ = ["Symmetry", "Twin", "symmetry_of", "twin_of", "twin_share", "without_symmetry"]
