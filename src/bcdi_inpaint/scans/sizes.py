"""How large a scan may be; checked before memory is allocated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike

LARGEST_STACK = 64 * 2**30
"""Bytes of the frames of one scan, unless another bound is given: far beyond any rocking scan."""
MOST_POINTS = 1_000_000
"""Points of one scan: far beyond any rocking scan too."""


def check_points(number: int) -> None:
    """Raise a `ValueError` for more points than `MOST_POINTS`."""
    if number > MOST_POINTS:
        raise ValueError(f"a scan has at most {MOST_POINTS} points, not {number}")


def check_size(shape: Sequence[int], dtype: DTypeLike, largest: int) -> None:
    """Raise a `ValueError` for frames that take, all together and as recorded, more than `largest` bytes."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > largest:
        raise ValueError(
            f"the frames, {' x '.join(map(str, shape))} of {np.dtype(dtype)}, take "
            f"{size / 2**30:.3g} GiB, more than largest_stack allows ({largest / 2**30:.3g} GiB)"
        )
