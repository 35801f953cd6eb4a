"""Telling rocking scans from other runs by their start document."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bcdi_inpaint.base_error import BcdiInpaintError

from .start_stop import RunStart, field

if TYPE_CHECKING:
    from .streams import Document

PLANS = frozenset({"scan", "rel_scan", "list_scan", "rel_list_scan", "log_scan", "rel_log_scan"})
"""Bluesky's own plans that move one axis; wrappers such as ``rocking_scan`` must be added."""


@dataclass(frozen=True, slots=True)
class RockingScanRule:
    """What makes a run a rocking scan that is to be filled.

    Attributes
    ----------
    key
        If a start document has this key, its value decides.
    plans
        Names of plans; empty = any.
    detectors
        Names of devices, one of which must take part; empty = any.
    motors
        Names of motors, one of which must move; empty = any.
    min_points
        Fewer points make no volume. A run that doesn't say how many it will have may have enough.

    Raises
    ------
    ValueError
        If `min_points` is below 1.
    """

    key: str = "bcdi_inpaint"
    plans: frozenset[str] = PLANS
    detectors: frozenset[str] = frozenset()
    motors: frozenset[str] = frozenset()
    min_points: int = 8

    def __post_init__(self) -> None:
        if self.min_points < 1:
            raise ValueError(f"min_points must be at least 1; got {self.min_points}")


ANY_ROCKING_SCAN = RockingScanRule()


class SkipReason(StrEnum):
    """Why a run is not filled."""

    NOT_ROCKING = "not a rocking scan"
    TOO_FEW = "too few points"
    NO_IMAGES = "no images"
    OFF = "inpainting is off"


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a run is not filled, with the value that decided."""

    reason: SkipReason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else str(self.reason)


class NoImagesError(BcdiInpaintError, ValueError):
    """A run has no frames."""


def is_rocking_scan(start: Document, rule: RockingScanRule = ANY_ROCKING_SCAN) -> bool:
    """Whether the run with this start document is a rocking scan by ``rule``.

    A scan with several independent axes (a map) is none.
    """
    return why_skipped(start, rule) is None


def why_skipped(start: Document, rule: RockingScanRule = ANY_ROCKING_SCAN) -> Skip | None:
    """Why the run with this start document is no rocking scan by ``rule``; None if it is one."""
    said = _truth(field(start, rule.key))
    if said is not None:
        return (
            None if said else Skip(SkipReason.NOT_ROCKING, f"{rule.key} is false in its metadata")
        )
    run = RunStart.of(start)
    for wrong, detail in (
        (rule.plans and run.plan_name not in rule.plans, f"the plan is {run.plan_name!r}"),
        (rule.detectors and rule.detectors.isdisjoint(run.detectors), _listed(run.detectors)),
        (rule.motors and rule.motors.isdisjoint(run.motors), _listed(run.motors)),
        (len(run.dimensions) > 1, f"it has {len(run.dimensions)} axes"),
    ):
        if wrong:
            return Skip(SkipReason.NOT_ROCKING, detail)
    if run.num_points is not None and run.num_points < rule.min_points:
        return Skip(SkipReason.TOO_FEW, f"{run.num_points}, at least {rule.min_points} are needed")
    return None


def _listed(devices: tuple[str, ...]) -> str:
    return f"{', '.join(devices) or 'nothing'} took part"


def _truth(value: object) -> bool | None:
    """Whether a value is true; None if there is none, or it is neither true nor false, as arrays are."""
    try:
        return None if value is None else bool(value)
    except Exception:  # noqa: BLE001 (whatever it is, it decides nothing)
        return None
