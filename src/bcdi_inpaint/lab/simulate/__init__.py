"""Simulated rocking scans: crystals, their diffraction, a detector's counts."""

from __future__ import annotations

from .recipes import Recipe, draw_recipe
from .rendering import SimulatedScan, render, simulate_scan

__all__ = ["Recipe", "SimulatedScan", "draw_recipe", "render", "simulate_scan"]
