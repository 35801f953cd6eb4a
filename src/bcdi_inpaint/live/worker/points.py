"""The points of a run that goes on, cut to the region that is filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..region import AroundPeak, PeakFinder, crop, region_of

if TYPE_CHECKING:
    from bcdi_inpaint.scans import RockingScan, Span

    from ..region import Region
    from .frames import Collector


class Points:
    """The points that have come, cut to the region that is filled.

    Parameters
    ----------
    collector
        Has the whole frames.
    wanted
        The region, as in `Settings`.
    """

    def __init__(self, collector: Collector, wanted: Region | None) -> None:
        self._collector = collector
        self._wanted = wanted
        self._region: tuple[Span, Span] | None = None
        self._finder = PeakFinder(wanted) if isinstance(wanted, AroundPeak) else None
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
        if self._region is None and points > self._looked:
            scan = self._collector.part(self._looked, points)
            self._looked = points
            if self._finder is None:
                self._region = region_of(scan, self._wanted)
            else:
                self._finder.look(scan)
                if self._finder.found:
                    self._region = self._finder.region
        return self._region is not None

    def part(self, start: int, stop: int) -> RockingScan:
        """Points ``[start, stop)``, all of which must be there, once the region is known."""
        assert self._region is not None
        return crop(self._collector.part(start, stop), self._region)

    def cut(self, whole: RockingScan) -> RockingScan:
        """The scan of a run that has stopped."""
        self._region = self._region or region_of(whole, self._wanted)
        return crop(whole, self._region)
