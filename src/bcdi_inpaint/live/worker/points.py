"""The points of a run that goes on, cut to the region that is filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..region import RegionFinder, crop, region_of

if TYPE_CHECKING:
    from bcdi_inpaint.scans import RockingScan

    from ..region import Region
    from .frames import Collector


class Points:
    """The points that have come, cut to the region that is filled."""

    def __init__(self, collector: Collector, wanted: Region | None) -> None:
        self._collector = collector
        self._wanted = wanted
        self._finder = RegionFinder(wanted)
        self._looked = 0

    @property
    def expected(self) -> int | None:
        """How many points the plan announced; None if it did not."""
        return self._collector.expected

    def __len__(self) -> int:
        return self._collector.points

    @property
    def voxels(self) -> int:
        """How many voxels a point has, before it is cut."""
        return self._collector.voxels

    def find_region(self) -> bool:
        """Whether it is known what part of the frame to fill."""
        points = len(self)
        if not self._finder.found and points > self._looked:
            looked, self._looked = self._looked, points
            self._finder.look(self._collector.part(looked, points))
        return self._finder.found

    def part(self, start: int, stop: int) -> RockingScan:
        """Points ``[start, stop)``, all of which must be there, once the region is known."""
        assert self._finder.region is not None
        return crop(self._collector.part(start, stop), self._finder.region)

    def cut(self, whole: RockingScan) -> RockingScan:
        """The scan of a run that has stopped."""
        if not self._finder.found:
            self._finder.region = region_of(whole, self._wanted)
        assert self._finder.region is not None
        return crop(whole, self._finder.region)
