"""The figure of a fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bcdi_inpaint import inpaint
from bcdi_inpaint.filling.plotting import HALF_WIDTH, cuts_of

if TYPE_CHECKING:
    from pathlib import Path

    from bcdi_inpaint import Inpainted


def filled(gap: int, size: int = 40) -> Inpainted:
    stack = np.random.default_rng(0).poisson(5, (12, size, size))
    stack[6, 20, 20] = 1000
    mask = np.zeros((size, size), bool)
    mask[:, gap : gap + 3] = True
    return inpaint(stack, mask, "linear")


def test_cuts_go_through_the_peak_and_show_the_gap() -> None:
    out = filled(gap=25)
    frame, along_row, along_col = cuts_of(out)
    np.testing.assert_array_equal(frame.intensity, out.intensity[6])
    np.testing.assert_array_equal(along_row.sigma, out.sigma[:, 20])
    np.testing.assert_array_equal(along_col.missing, out.mask[:, :, 20].T)


@pytest.mark.parametrize(("gap", "shown"), [(60, 20 + HALF_WIDTH), (150, 200)])
def test_a_large_frame_is_shown_close_to_the_peak_if_the_gap_is_there(gap: int, shown: int) -> None:
    frame, _, _ = cuts_of(filled(gap, size=200))
    assert frame.intensity.shape == (shown, shown)
    assert frame.missing.any()


@pytest.mark.slow
def test_the_verdict_and_its_reason_stand_above(tmp_path: Path) -> None:
    out = filled(gap=25)
    figure = out.plot(tmp_path / "fill.png")
    assert out.report.self_check is not None
    assert out.report.self_check.note in figure.get_suptitle().replace("\n", " ")
    assert (tmp_path / "fill.png").stat().st_size > 10_000
