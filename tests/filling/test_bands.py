"""Bands cover every missing voxel, and only those are owned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from bcdi_inpaint.filling.bands import bands


def owners(mask: np.ndarray, margin: int, **options: Any) -> np.ndarray:
    count = np.zeros(mask.shape, int)
    for band in bands(mask, margin, **options):
        assert band.own.shape == mask[band.slices].shape
        count[band.slices] += band.own
    return count


@given(
    npst.arrays(bool, npst.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=12)),
    st.integers(1, 6),
    st.integers(300, 2000),
)
@settings(max_examples=60, deadline=None)
def test_every_missing_voxel_is_owned_and_no_measured_one(
    mask: np.ndarray, margin: int, largest: int
) -> None:
    assume(not mask.all())
    np.testing.assert_array_equal(owners(mask, margin, max_voxels=largest) > 0, mask)


def test_the_arms_of_a_cross_share_only_its_crossing() -> None:
    mask = np.zeros((16, 60, 60), bool)
    mask[:, 20:26] = True
    mask[:, :, 40:44] = True
    count = owners(mask, 8)
    assert (count[:, 20:26, 40:44] == 2).all()
    assert count.sum() == mask.sum() + count[:, 20:26, 40:44].size


def test_a_gap_takes_only_its_surroundings() -> None:
    mask = np.zeros((16, 200, 60), bool)
    mask[:, 90:96] = True
    (band,) = bands(mask, 10)
    assert band.slices == (slice(0, 16), slice(80, 106), slice(0, 60))


def test_a_gap_at_the_edge_is_covered() -> None:
    mask = np.zeros((8, 40, 40), bool)
    mask[:, :3] = True
    (band,) = bands(mask, 10)
    assert band.slices[1] == slice(0, 13)


@pytest.mark.parametrize("largest", [2**12, 2**14])
def test_long_bands_are_cut_with_their_margins(largest: int) -> None:
    mask = np.zeros((10, 40, 900), bool)
    mask[:, 18:22] = True
    cut = bands(mask, 4, max_voxels=largest)
    assert len(cut) > 1
    assert max(band.own.size for band in cut) <= largest
    # Each voxel has one owner, or two that give way to each other.
    weight = np.zeros(mask.shape, np.float32)
    for band in cut:
        weight[band.slices] += band.weight()
    np.testing.assert_allclose(weight[mask], 1, rtol=1e-6)
    assert not weight[~mask].any()
    assert owners(mask, 4, max_voxels=largest).max() == 2
