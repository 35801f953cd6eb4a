"""Which runs are rocking scans, by their start documents as the RunEngine writes them."""

from __future__ import annotations

import bluesky.plans as bp
import pytest
from ophyd.sim import SynAxis

from bcdi_inpaint.scans import RockingScanRule, is_rocking_scan

ETA, NU = SynAxis(name="eta"), SynAxis(name="nu")


@pytest.fixture
def start_of(RE, array_detector):
    def start(plan, *args, **options):
        seen = []
        RE(plan([array_detector], *args, **options), lambda *document: seen.append(document))
        name, document = seen[0]
        assert name == "start"
        return document

    return start


@pytest.mark.parametrize(
    ("plan", "args", "options"),
    [
        (bp.scan, (ETA, 0, 1, 9), {}),
        (bp.rel_scan, (ETA, 0, 1, 9), {}),
        (bp.list_scan, (ETA, [0, 1, 2, 3, 4, 5, 6, 7]), {}),
        (bp.scan, (ETA, 0, 1, NU, 0, 2, 9), {}),
        (bp.count, (3,), {"md": {"bcdi_inpaint": True}}),
    ],
)
def test_rocking_scans(start_of, plan, args, options):
    assert is_rocking_scan(start_of(plan, *args, **options))


@pytest.mark.parametrize(
    ("plan", "args", "options"),
    [
        (bp.count, (9,), {}),
        (bp.scan, (ETA, 0, 1, 5), {}),
        (bp.grid_scan, (ETA, 0, 1, 5, NU, 0, 1, 5), {}),
        (bp.scan, (ETA, 0, 1, 9), {"md": {"bcdi_inpaint": False}}),
    ],
)
def test_other_runs(start_of, plan, args, options):
    assert not is_rocking_scan(start_of(plan, *args, **options))


def test_a_rule_of_ones_own(start_of):
    start = start_of(bp.scan, ETA, 0, 1, 9)
    for yes in (
        RockingScanRule(detectors=frozenset({"det", "eiger"})),
        RockingScanRule(motors=frozenset({"eta"})),
        RockingScanRule(min_points=9),
        RockingScanRule(plans=frozenset()),
    ):
        assert is_rocking_scan(start, yes)
    for no in (
        RockingScanRule(detectors=frozenset({"eiger"})),
        RockingScanRule(motors=frozenset({"phi"})),
        RockingScanRule(min_points=10),
        RockingScanRule(plans=frozenset({"rocking_scan"})),
    ):
        assert not is_rocking_scan(start, no)


def test_a_fly_scan_that_says_little():
    start = {"uid": "abc", "time": 0, "plan_name": "fly_rock", "detectors": ["eiger2-1"]}
    assert not is_rocking_scan(start)
    assert is_rocking_scan(start, RockingScanRule(plans=frozenset({"fly_rock"})))
    assert is_rocking_scan({**start, "bcdi_inpaint": {"detector": "eiger2_500k"}})
