"""cohere on our exported file."""

from __future__ import annotations

import numpy as np
import pytest

from bcdi_inpaint.filling import Inpainted, Report
from bcdi_inpaint.lab.evaluate.downstream import cohere_runs as cohere
from bcdi_inpaint.lab.evaluate.downstream.truth import aligned, errors


def test_cohere_reads_our_export_and_finds_the_object(crystal, counts):
    if not cohere.available():
        pytest.skip("cohere is not installed")
    off_centre = np.roll(counts, (1, -2, 3), (0, 1, 2))  # the exporter rolls the peak to the middle
    waves = np.roll(np.fft.fftshift(np.fft.fftn(crystal)), (1, -2, 3), (0, 1, 2))
    truth = np.fft.ifftn(np.fft.ifftshift(waves))
    sigma, mask = np.zeros(counts.shape, np.float32), np.zeros(counts.shape, bool)
    filled = Inpainted(off_centre, sigma, mask, Report("", 0, 0.0, 0.0))
    found = list(cohere.reconstructions(filled, 3))
    best = min(found, key=lambda solution: solution.merit)
    assert errors(aligned(best.image, truth), truth)["complex_l2"] < 0.25
    again = next(iter(cohere.reconstructions(filled, 1)))
    assert again.merit == pytest.approx(found[0].merit, rel=1e-3)
