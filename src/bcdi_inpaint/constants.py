"""Constants of physics, exact in the SI (CODATA 2018)."""

from __future__ import annotations

JOULE_PER_EV = 1.602176634e-19
METRE_EV = 1.239841984e-6
"""Planck's constant times the speed of light."""
