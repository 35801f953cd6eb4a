"""Telling rocking scans from other runs by their start document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .start_stop import RunStart, field

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
    said = _truth(field(start, rule.key))
    if said is not None:
        return said
    run = RunStart.of(start)
    return (
        (not rule.plans or run.plan_name in rule.plans)
        and (not rule.detectors or not rule.detectors.isdisjoint(run.detectors))
        and (not rule.motors or not rule.motors.isdisjoint(run.motors))
        and len(run.dimensions) <= 1
        and (run.num_points is None or run.num_points >= rule.min_points)
    )


def _truth(value: Any) -> bool | None:
    """Whether a value is true; None if there is none, or it is neither true nor false, as arrays are."""
    try:
        return None if value is None else bool(value)
    except Exception:  # noqa: BLE001 (whatever it is, it decides nothing)
        return None
