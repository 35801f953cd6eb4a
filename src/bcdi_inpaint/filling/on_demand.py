"""Stacks whose frames are made when they are asked for, so that no memory is taken for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import DTypeLike, NDArray

Scalar = TypeVar("Scalar", bound=np.generic)
Index = int | slice


class OnDemand(Generic[Scalar]):
    """A stack that is read like an array: frame after frame, or by indices and slices.

    Parameters
    ----------
    shape
        ``(frame, row, col)``.
    dtype
        Of its frames.
    frame
        Makes the frame ``(row, col)`` with this number.
    """

    ndim = 3

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: DTypeLike,
        frame: Callable[[int], NDArray[Scalar]],
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._frame = frame

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray[Scalar]]:
        return map(self._frame, range(len(self)))

    def __getitem__(self, key: Index | tuple[Index, ...]) -> NDArray[Scalar]:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(first, slice):
            numbers = range(len(self))[first]
            nothing = np.empty((0, *self.shape[1:]), self.dtype)[(slice(None), *rest)]
            part = np.empty((len(numbers), *nothing.shape[1:]), self.dtype)
            for place, number in enumerate(numbers):
                part[place] = self._frame(number)[tuple(rest)]
            return part
        whole: NDArray[Scalar] = self._frame(range(len(self))[first])[tuple(rest)]
        return whole

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Scalar]:
        return self[:].astype(dtype or self.dtype, copy=False)
