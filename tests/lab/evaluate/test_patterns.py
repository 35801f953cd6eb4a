from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bcdi_inpaint.lab.evaluate.patterns import around, brightest


@given(st.data(), st.tuples(*[st.integers(1, 12)] * 3), st.tuples(*[st.integers(1, 16)] * 3))
def test_a_region_around_the_peak_is_as_large_as_it_can_be_and_holds_the_peak(data, shape, sizes):
    volume = np.zeros(shape)
    peak = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    volume[peak] = 1
    assert brightest(volume) == peak
    region = volume[around(peak, sizes, shape)]
    assert region.shape == tuple(min(pair) for pair in zip(shape, sizes, strict=True))
    assert region.sum() == 1
