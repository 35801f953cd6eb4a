"""What is known about the whole scan while it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bcdi_inpaint.filling import estimate_scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from bcdi_inpaint.filling import Estimate
    from bcdi_inpaint.scans import RockingScan

    from ..settings import Settings


class Knowledge:
    """Texture, symmetry and brightness of the frames so far; frames are counted as in the scan.

    `checked` says whether the Bragg peak has passed and the method has been checked there.
    """

    def __init__(self, settings: Settings) -> None:
        self.checked = False
        self._method = settings.method
        self._twin = bool(settings.options.get("twin", True))
        self._estimate: Estimate | None = None
        self._estimated_from = 0.0
        """Counts of the brightest voxel that it was made from."""
        self._checked_with = 0.0
        """Counts of the brightest voxel that the check has seen."""

    @property
    def symmetric(self) -> bool:
        """Whether the scan's frames are believed to have twins."""
        return self._estimate is not None and self._estimate.symmetry.believed

    def update(
        self, window: RockingScan, so_far: Callable[[], RockingScan], *, last: bool
    ) -> tuple[bool, bool]:
        """Update from a window that is about to be filled; `so_far` gives all frames from the first one on.

        Returns
        -------
        check, changed
            Whether the method is to be checked with this window, since it holds the brightest voxel
            yet and reaches past the Bragg peak, or is the last one; whether what was filled before is
            to be filled anew, with the twins.
        """
        brightness = np.where(window.mask, 0, window.frames).max(axis=(1, 2))
        brightest = float(brightness.max())
        check = brightest > self._checked_with and bool(last or 2 * brightness[-1] <= brightest)
        looks_for_twins = self._twin and (check or self.checked) and not self.symmetric
        changed = False
        if brightest > self._estimated_from or looks_for_twins:
            scan = so_far()
            self._estimate = estimate_scan(scan.frames, scan.mask, self._method, twin=self._twin)
            self._estimated_from = max(brightest, self._estimated_from)
            changed = self.symmetric
        if check:
            self.checked, self._checked_with = True, brightest
        return check, changed

    def opposite(self, first: int, last: int, so_far: int) -> tuple[int, int]:
        """Which of the frames so far hold the twins of frames ``[first, last)``; equal if none do."""
        if not self.symmetric:
            return 0, 0
        mirror = self._mirror
        start = min(max(mirror - last + 1, 0), so_far)
        return start, max(min(mirror - first + 1, so_far), start)

    def twins_are_in(self, first: int, so_far: int, total: int | None) -> bool:
        """Whether there will be no further twins of frames from `first` on."""
        if not self.symmetric:
            return False
        return so_far == total or self._mirror - first < so_far

    def estimate_for(self, first: int, opposite: RockingScan | None, start: int) -> Estimate | None:
        """The estimate with which a window is filled that begins with frame `first`.

        `opposite` are the frames that hold its twins, None if none do, and `start` is the first one's place in the scan.
        """
        if self._estimate is None:
            return None
        if opposite is None:
            nothing = np.zeros((0, 0, 0), bool)
            return self._estimate.of_part(first, nothing, nothing, start)
        mask = np.broadcast_to(opposite.mask, opposite.frames.shape)
        return self._estimate.of_part(first, opposite.frames, mask, start)

    @property
    def _mirror(self) -> int:
        assert self._estimate is not None
        return self._estimate.symmetry.mirror[0]
