from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bcdi_inpaint.geometry import detector, merge


@given(
    arrays.arrays(np.bool_, (4, 5)),
    arrays.arrays(np.bool_, (3, 4, 5)),
    st.permutations(["plane", "stack"]),
)
def test_what_any_source_marks_is_missing(plane, stack, order):
    masks = {"plane": plane, "stack": stack}
    merged = merge(**{name: masks[name] for name in order})
    np.testing.assert_array_equal(np.broadcast_to(merged.mask, stack.shape), plane | stack)
    assert merged.shares == {"plane": plane.mean(), "stack": stack.mean()}


def test_a_mask_that_is_the_same_for_all_frames_becomes_two_dimensional():
    cross = detector("maxipix_2x2").mask(roi=((240, 276), (240, 276)))
    repeated = np.repeat(cross[np.newaxis], 4, axis=0)
    assert merge(a=cross, b=repeated).mask.shape == (36, 36)
    repeated[2, 0, 0] = True
    assert merge(a=cross, b=repeated).mask.shape == (4, 36, 36)


def test_the_sources_are_left_alone_and_absent_ones_skipped():
    mask = np.zeros((3, 3), dtype=bool)
    merged = merge(geometry=mask, user=None)
    merged.mask[0, 0] = True
    assert not mask.any()
    assert list(merged.shares) == ["geometry"]


def test_it_says_where_the_missing_pixels_come_from():
    hot = np.zeros((10, 10), dtype=bool)
    hot[3, 4] = True
    dead = np.zeros_like(hot)
    dead[3, 3:5] = True
    assert str(merge(hot=hot, dead=dead)) == "2.000% missing (hot 1.000%, dead 2.000%)"


def test_masks_that_do_not_fit_together_are_refused():
    mask = np.zeros((3, 3), dtype=bool)
    with pytest.raises(ValueError, match=r"got a \(3, 3\), b \(3, 4\)"):
        merge(a=mask, b=np.zeros((3, 4), dtype=bool))
    with pytest.raises(ValueError, match="of one stack"):
        merge(a=np.zeros((2, 3, 3), dtype=bool), b=np.zeros((4, 3, 3), dtype=bool))
    with pytest.raises(ValueError, match="of one stack"):
        merge(a=np.zeros(3, dtype=bool))
    with pytest.raises(ValueError, match="nothing to merge"):
        merge(a=None)
    with pytest.raises(TypeError, match="mask 'a' must be bool"):
        merge(a=mask.astype(int))
