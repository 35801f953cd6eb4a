"""An object without symmetry and its diffraction pattern."""

from __future__ import annotations

import numpy as np
import pytest

SHAPE = (24, 28, 32)


@pytest.fixture(scope="package")
def crystal() -> np.ndarray:
    """Complex, at the array's corner as an inverse FFT puts it."""
    frame, row, col = np.meshgrid(*(np.arange(n) - n // 2 for n in SHAPE), indexing="ij")
    inside = (np.abs(frame) < 4) & (np.abs(row) < 5) & (np.abs(col) < 6) & (frame + row + col < 5)
    phase = 0.02 * (frame * row + col * col - 3 * row)
    return np.fft.ifftshift(inside * np.exp(1j * phase))


@pytest.fixture(scope="package")
def counts(crystal: np.ndarray) -> np.ndarray:
    waves = np.fft.fftshift(np.fft.fftn(crystal))
    rate = 1e6 * np.abs(waves) ** 2 / (np.abs(waves) ** 2).max()
    return np.random.default_rng(0).poisson(rate).astype(np.float32)
