"""Telling rocking scans from other runs by their start document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PLANS = frozenset({"scan", "rel_scan", "list_scan", "rel_list_scan", "log_scan", "rel_log_scan"})
"""Bluesky's own plans that move one axis; wrappers such as ``rocking_scan`` must be added."""


@dataclass(frozen=True, slots=True)
class RockingScanRule:
    """What makes a run a rocking scan that is to be filled.

    Attributes
    ----------
    key
        A start document that has this key decides for itself: filled if its value is true.
    plans
        Names of plans; empty = any.
    detectors
        Names of devices, one of which must take part; empty = any.
    motors
        Names of motors, one of which must move; empty = any.
    min_points
        Fewer points make no volume. A run that doesn't say how many it will have may have enough.
    """

    key: str = "bcdi_inpaint"
    plans: frozenset[str] = PLANS
    detectors: frozenset[str] = frozenset()
    motors: frozenset[str] = frozenset()
    min_points: int = 8


ANY_ROCKING_SCAN = RockingScanRule()


def is_rocking_scan(start: Mapping[str, Any], rule: RockingScanRule = ANY_ROCKING_SCAN) -> bool:
    """Whether the run with this start document is a rocking scan by ``rule``.

    A scan with several independent axes (a map) is none.
    """
    if rule.key in start:
        return bool(start[rule.key])
    dimensions = start.get("hints", {}).get("dimensions", ())
    return (
        (not rule.plans or start.get("plan_name") in rule.plans)
        and (not rule.detectors or not rule.detectors.isdisjoint(start.get("detectors", ())))
        and (not rule.motors or not rule.motors.isdisjoint(start.get("motors", ())))
        and len(dimensions) <= 1
        and start.get("num_points", rule.min_points) >= rule.min_points
    )
