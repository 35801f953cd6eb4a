"""The centre of a scan, how far its halves agree, and when that is believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bcdi_inpaint.filling.estimation import estimate
from bcdi_inpaint.filling.friedel.symmetry import Symmetry, shift
from bcdi_inpaint.filling.mirroring import mirrored
from bcdi_inpaint.lab.simulate import SimulatedScan, simulate_scan

SHAPE = (80, 88, 84)


def weakly_strained(seed: int, **pinned: Any) -> SimulatedScan:
    return simulate_scan(
        seed,
        SHAPE,
        split="evaluation",
        **{
            "strain": "smooth",
            "strain_strength": 0.2,
            "peak_counts": 1e5,
            "oversampling": (4.0, 4.5, 5.0),
            "hot_pixels": 0,
            "dead_pixels": 0,
            "aliens": 0,
            "streaks": 0,
            **pinned,
        },
    )


def true_centre(scan: SimulatedScan) -> np.ndarray:
    return np.array(SHAPE) // 2 + np.array(scan.recipe.peak_offset)


def symmetry(counts: np.ndarray, mask: np.ndarray | None = None) -> Symmetry:
    missing = np.zeros(counts.shape, bool) if mask is None else np.broadcast_to(mask, counts.shape)
    return estimate(np.where(missing, 0, counts).astype(np.float32), missing).symmetry


@pytest.mark.parametrize("offset", [(0.0, 0.0, 0.0), (3.3, -6.4, 5.8)])
@pytest.mark.parametrize("width", [0, 6, 24])
def test_the_centre_is_found_to_a_fraction_of_a_voxel(
    offset: tuple[float, float, float], width: int
) -> None:
    scan = weakly_strained(3, peak_offset=offset)
    centre = true_centre(scan)
    mask = np.zeros(SHAPE[1:], bool)
    mask[:, int(centre[2]) + 9 : int(centre[2]) + 9 + width] = True
    found = symmetry(scan.counts, mask)
    assert found.believed
    np.testing.assert_allclose(found.centre, centre, atol=0.3)
    assert found.correlation > 0.5


def test_hot_pixels_and_another_peak_do_not_move_the_centre() -> None:
    quiet = weakly_strained(5)
    noisy = weakly_strained(5, aliens=1, hot_pixels=12)
    first, second = symmetry(quiet.counts), symmetry(noisy.counts)
    assert first.believed
    assert second.believed
    np.testing.assert_allclose(first.centre, second.centre, atol=0.3)


@pytest.mark.parametrize("counts", [np.zeros(SHAPE), np.random.default_rng(0).poisson(0.01, SHAPE)])
def test_where_hardly_anything_was_counted_nothing_is_believed(counts: np.ndarray) -> None:
    found = symmetry(counts)
    assert not found.believed
    assert found.correlation == 0


def test_halves_that_belong_to_different_patterns_are_not_believed() -> None:
    scan, other = weakly_strained(7), weakly_strained(8)
    half = SHAPE[2] // 2 + round(scan.recipe.peak_offset[2])
    joined = scan.counts.copy()
    joined[:, :, half:] = np.roll(other.counts, 7, axis=1)[::-1, :, half:]
    assert symmetry(joined).correlation < 0.6 * symmetry(scan.counts).correlation


@pytest.mark.parametrize("shape", [(1, 40, 40), (3, 9, 200), (20, 64, 64), (60, 5, 5)])
def test_stacks_of_any_shape_are_looked_at(shape: tuple[int, int, int]) -> None:
    assert symmetry(np.random.default_rng(0).poisson(5.0, shape)).correlation <= 1


def test_stronger_strain_means_less_symmetry() -> None:
    weak = symmetry(weakly_strained(9).counts)
    strong = symmetry(weakly_strained(9, strain="smooth", strain_strength=0.9).counts)
    assert weak.correlation > strong.correlation


def test_moving_the_region_moves_the_centre_with_it() -> None:
    scan = weakly_strained(11)
    whole, part = symmetry(scan.counts), symmetry(scan.counts[2:, 4:, 6:])
    np.testing.assert_allclose(np.subtract(whole.centre, part.centre), (2, 4, 6), atol=0.2)


@given(
    st.tuples(*[st.integers(1, 7)] * 3),
    st.tuples(*[st.integers(-4, 16)] * 3),
    st.data(),
)
@settings(deadline=None, max_examples=50)
def test_mirroring_is_what_it_says(
    shape: tuple[int, int, int], mirror: tuple[int, int, int], data: st.DataObject
) -> None:
    volume = np.arange(1, 1 + np.prod(shape)).reshape(shape)
    starts = [data.draw(st.integers(0, n - 1)) for n in shape]
    box = tuple(
        slice(s, data.draw(st.integers(s + 1, n))) for s, n in zip(starts, shape, strict=True)
    )
    found = mirrored(volume, mirror, (box[0], box[1], box[2]))
    for place in np.ndindex(found.shape):
        image = [m - s.start - p for m, s, p in zip(mirror, box, place, strict=True)]
        inside = all(0 <= i < n for i, n in zip(image, shape, strict=True))
        assert found[place] == (volume[tuple(image)] if inside else 0)


def test_a_shift_moves_content_backwards() -> None:
    field = torch.zeros(8, 9, 10)
    field[4, 4, 4] = 1
    moved = torch.fft.irfftn(
        torch.fft.rfftn(field) * shift((8, 9, 10), (1, 0, 2), torch.device("cpu")), s=(8, 9, 10)
    )
    assert float(moved[3, 4, 2]) == pytest.approx(1, abs=1e-5)
