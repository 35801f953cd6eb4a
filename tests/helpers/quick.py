"""Which cases of a test are quick ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def mostly_slow(cases: Iterable[Any], *, quick: Sequence[int] = (0,)) -> list[Any]:
    """Cases for `pytest.mark.parametrize`, of which only those at `quick` run with ``make test``."""
    return [case if number in quick else _slow(case) for number, case in enumerate(cases)]


def _slow(case: Any) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.slow)
