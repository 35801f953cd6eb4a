"""Flags, hot and dead pixels: found where they are, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bcdi_inpaint.geometry import dead_pixels, detector, flagged, hot_pixels

SCAN = Path(__file__).parents[3] / "shared" / "data" / "aps34idc_S0054.npz"


@pytest.fixture(scope="module")
def real_scan():
    if not SCAN.exists():
        pytest.skip(f"the measured scan isn't there: {SCAN}")
    with np.load(SCAN) as file:
        return file["data"], file["dark"][:256, :256]


def rocking_scan(seed: int = 0, peak: float = 1e6) -> np.ndarray:
    """Expected counts: a Bragg peak with fringes, an alien, a weak background."""
    frame, row, col = np.ogrid[-32:32, -32:32, -32:32]
    fringes = np.sinc(row / 3.7) ** 2 * np.sinc(col / 4.1) ** 2 * np.sinc(frame / 4.7) ** 2
    alien = 300 * np.exp(-((row - 20) ** 2 + (col + 18) ** 2) / 1.5 - (frame - 9) ** 2 / 8)
    rng = np.random.default_rng(seed)
    return rng.poisson(peak * fringes + alien + 0.02)


# Flags ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.int32, np.uint64])
def test_the_highest_value_of_an_integer_type_is_a_flag(dtype):
    frames = np.zeros((2, 3, 3), dtype=dtype)
    frames[1, 2, 0] = np.iinfo(dtype).max
    frames[0, 0, 1] = min(np.iinfo(dtype).max - 1, 100_000)
    assert np.argwhere(flagged(frames)).tolist() == [[1, 2, 0]]


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.float32, np.float64])
def test_negative_values_are_flags(dtype):
    frames = np.array([[[-2, -1, 0, 1]]], dtype=dtype)
    assert flagged(frames).ravel().tolist() == [True, True, False, False]


def test_nan_and_infinities_are_flags():
    frames = np.array([[[np.nan, np.inf, -np.inf, 0.0, 1e9]]])
    assert flagged(frames).ravel().tolist() == [True, True, True, False, False]


@given(
    arrays.arrays(np.uint16, (2, 4, 4), elements=st.integers(0, 2**16 - 1)),
    st.sampled_from([np.int32, np.uint32, np.int64, np.float32, np.float64]),
)
def test_flags_of_16_bits_survive_a_cast_if_they_are_known_to_have_16(frames, dtype):
    np.testing.assert_array_equal(flagged(frames.astype(dtype), bits=16), flagged(frames))


@given(
    arrays.arrays(np.uint32, (2, 4, 4), elements=st.integers(0, 2**24) | st.just(2**32 - 1)),
    st.sampled_from([np.uint64, np.int64, np.int32, np.float32, np.float64]),
)
def test_flags_of_32_bits_survive_a_cast(frames, dtype):
    np.testing.assert_array_equal(flagged(frames.astype(dtype)), flagged(frames))


@pytest.mark.parametrize("brightest", [65535, 70000])
def test_65535_is_a_count_in_wider_frames_whatever_else_they_hold(brightest):
    frames = np.array([[[3, 65535, brightest, 2**32 - 1]]], dtype=np.uint32)
    assert flagged(frames).ravel().tolist() == [False, False, False, True]


@given(
    st.sampled_from([np.uint16, np.uint32, np.int32, np.float64]),
    st.lists(st.sampled_from([0, 7, 2**16 - 1, 2**16, 2**32 - 1]), min_size=2, max_size=12),
    st.none() | st.integers(1, 32),
)
def test_a_part_has_the_flags_of_the_whole(dtype, values, bits):
    frames = np.array(values, dtype=np.float64).clip(max=_largest(dtype)).astype(dtype)
    whole = flagged(frames[:, None, None], bits=bits)
    for frame, flags in zip(frames, whole, strict=True):
        np.testing.assert_array_equal(flagged(frame.reshape(1, 1), bits=bits), flags)


def _largest(dtype):
    return np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else np.inf


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.uint16, np.float32])
def test_bits_may_be_more_than_the_frames_have(dtype):
    frames = np.array([[0, 1, 200]], dtype=dtype)
    assert not flagged(frames, bits=16).any()
    assert not flagged(frames, bits=32).any()


@pytest.mark.parametrize("bits", [0, -1, 33])
def test_images_have_1_to_32_bits(bits):
    with pytest.raises(ValueError, match="bits must be 1 to 32"):
        flagged(np.zeros((1, 2, 2)), bits=bits)


def test_only_real_numbers_can_hold_flags():
    for dtype in (np.bool_, np.complex64):
        with pytest.raises(TypeError, match="frames must hold real numbers"):
            flagged(np.zeros((1, 2, 2), dtype=dtype))


# Hot pixels -------------------------------------------------------------------------------------


def test_hot_pixels_of_a_dark():
    dark = np.zeros((6, 6))
    dark[2, 3], dark[4, 4], dark[5, 0] = 100, 1, 2
    assert np.argwhere(hot_pixels(dark=dark)).tolist() == [[2, 3], [5, 0]]
    assert np.argwhere(hot_pixels(dark=dark, level=0.5)).tolist() == [[2, 3], [4, 4], [5, 0]]
    mask = np.zeros((6, 6), dtype=bool)
    mask[2] = True
    assert np.argwhere(hot_pixels(dark=dark, mask=mask)).tolist() == [[5, 0]]


def test_a_cosmic_ray_in_one_of_several_darks_is_no_hot_pixel():
    darks = np.zeros((5, 6, 6))
    darks[:, 1, 1], darks[2, 4, 4] = 7, 500
    assert np.argwhere(hot_pixels(dark=darks)).tolist() == [[1, 1]]


def test_the_dark_of_the_measured_scan_has_thirteen(real_scan):
    frames, dark = real_scan
    hot = hot_pixels(dark=dark)
    assert hot.shape == frames.shape[1:]
    assert hot.sum() == 13


@pytest.mark.parametrize("peak", [1e2, 1e4, 1e6])
def test_neither_peak_nor_fringes_nor_aliens_are_faults(peak):
    frames = rocking_scan(peak=peak)
    assert not hot_pixels(frames=frames).any()
    assert not dead_pixels(frames).any()


def test_the_measured_scan_with_its_alien_has_none_that_count_without_light(real_scan):
    # The pixels that its dark marks count like their neighbours in the scan.
    frames, _ = real_scan
    assert not hot_pixels(frames=frames).any()
    assert not dead_pixels(frames).any()


@pytest.mark.parametrize("rate", [3, 50, 5000])
@pytest.mark.slow
def test_hot_pixels_are_found_in_the_measured_scan_and_nothing_else(real_scan, rate):
    frames = real_scan[0].copy()
    rng = np.random.default_rng(rate)
    faults = np.zeros(frames.shape[1:], dtype=bool)
    faults[rng.integers(0, 100, 20), rng.integers(150, 256, 20)] = True  # off the Bragg peak
    faults[0, 0] = faults[255, 255] = faults[0, 77] = True
    faults[130, 20:22] = True  # a pair
    frames += rng.poisson(rate, frames.shape) * faults
    np.testing.assert_array_equal(hot_pixels(frames=frames), faults)


def test_a_hot_pixel_under_the_bragg_peak_is_found_by_the_frames_off_the_peak():
    frames = rocking_scan(peak=1e3)
    frames[:, 34, 35] += 40
    assert np.argwhere(hot_pixels(frames=frames)).tolist() == [[34, 35]]


def test_large_pixels_and_flags_are_known_and_not_hot():
    roi = ((248, 268), (248, 268))
    maxipix = detector("maxipix_2x2")
    known = maxipix.mask(roi=roi)
    large = maxipix.mask(roi=roi, policy="large") & ~maxipix.mask(roi=roi, policy="dead")
    frames = np.random.default_rng(1).poisson(5, (40, 20, 20)).astype(np.uint16)
    frames[:, large] *= 9
    frames[:, maxipix.mask(roi=roi, policy="dead")] = 65535
    frames[:, 3, 3] = 300
    assert np.argwhere(hot_pixels(frames=frames, mask=known)).tolist() == [[3, 3]]
    assert not dead_pixels(frames, mask=known).any()


# Dead pixels ------------------------------------------------------------------------------------


def test_dead_pixels_are_found_where_the_measured_scan_has_light(real_scan):
    frames = real_scan[0].copy()
    lit = frames.sum(axis=0) > 200
    faults = np.zeros_like(lit)
    faults[70:200:12, 70:200:12] = True
    faults &= lit
    row, col = np.argwhere(lit)[len(np.argwhere(lit)) // 2]
    faults[row : row + 2, col] = True  # a pair
    frames[:, faults] = 0
    assert faults.sum() > 20
    np.testing.assert_array_equal(dead_pixels(frames), faults)


def test_a_pixel_without_counts_in_the_dark_is_not_called_dead():
    frames = np.random.default_rng(2).poisson(0.05, (100, 16, 16))
    frames[:, 8, 8] = 0
    assert not dead_pixels(frames).any()


def test_masks_per_frame_leave_the_other_frames_to_judge():
    frames = np.random.default_rng(3).poisson(4, (40, 12, 12)).astype(float)
    mask = np.zeros(frames.shape, dtype=bool)
    frames[::2, 6, 6], mask[::2, 6, 6] = np.nan, True
    frames[1::2, 6, 6] = 0
    frames[::3, 2, 2], mask[::3, 2, 2] = 1e6, True
    assert np.argwhere(dead_pixels(frames, mask=mask)).tolist() == [[6, 6]]
    assert not hot_pixels(frames=frames, mask=mask).any()


def test_the_frames_are_left_alone():
    frames = rocking_scan()
    before = frames.copy()
    flagged(frames), hot_pixels(frames=frames), dead_pixels(frames)
    np.testing.assert_array_equal(frames, before)


# What is refused --------------------------------------------------------------------------------


def test_what_cannot_be_judged_is_refused():
    frames = np.zeros((20, 4, 4))
    with pytest.raises(TypeError, match="either dark= or frames="):
        hot_pixels()
    with pytest.raises(TypeError, match="either dark= or frames="):
        hot_pixels(dark=frames[0], frames=frames)
    with pytest.raises(ValueError, match="8 or more"):
        hot_pixels(frames=frames[:7])
    with pytest.raises(ValueError, match=r"dark must be .* got \(4,\)"):
        hot_pixels(dark=frames[0, 0])
    for find in (lambda f: hot_pixels(frames=f), dead_pixels):
        with pytest.raises(ValueError, match="frames must be"):
            find(frames[0])
    with pytest.raises(ValueError, match="mask must be bool of shape"):
        dead_pixels(frames, mask=np.zeros((5, 4), dtype=bool))
    with pytest.raises(ValueError, match="mask must be bool of shape"):
        hot_pixels(dark=frames[0], mask=np.zeros((4, 4)))  # type: ignore[arg-type]
