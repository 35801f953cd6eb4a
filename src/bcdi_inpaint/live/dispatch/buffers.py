"""Memory for copies of frames, which is reused."""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALL = 2**16
"""Bytes of an array that is copied into memory of its own."""
KEPT = 64 * 2**20
"""Bytes of unused memory that are kept."""


class Buffers:
    """Copies arrays into the memory of earlier copies of the same size.

    Allocating new memory takes several times as long as copying into it, since the system provides it page by page
    at first use. A copy's memory is reused when the copy and all views of it have been deleted, in any thread.
    """

    def __init__(self) -> None:
        self._free: deque[memoryview] = deque()  # its operations are atomic

    def copy(self, array: NDArray[np.number]) -> NDArray[np.number]:
        """Copy an array of plain values."""
        if array.nbytes < SMALL:
            return np.array(array)
        memory = self._memory(array.nbytes)
        owner = np.frombuffer(memory, np.uint8)
        weakref.finalize(owner, self._give_back, memory).atexit = False
        copied = owner.view(array.dtype).reshape(array.shape)
        np.copyto(copied, array)
        return copied

    def _memory(self, nbytes: int) -> memoryview:
        while True:
            try:
                memory = self._free.pop()
            except IndexError:
                return np.empty(nbytes, np.uint8).data
            if len(memory) == nbytes:  # else frames have another size now
                return memory

    def _give_back(self, memory: memoryview) -> None:
        if (len(self._free) + 1) * len(memory) <= KEPT:
            self._free.append(memory)
