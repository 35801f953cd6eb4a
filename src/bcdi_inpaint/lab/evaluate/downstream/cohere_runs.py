"""Somebody else's phase retrieval: cohere on our exported file, as its users run it.

cohere takes every voxel for measured, so a gap can be filled or zero there, but not free.
"""

from __future__ import annotations

import io
import tempfile
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .retrieval import Solution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bcdi_inpaint.filling import Inpainted

CONFIGURATION: dict[str, Any] = {
    "algorithm_sequence": "2*(20*ER+60*HIO)+30*ER",
    "hio_beta": 0.9,
    "initial_support_area": (0.5, 0.5, 0.5),
    "shrink_wrap_trigger": [10, 5],
    "shrink_wrap_type": "GAUSS",
    "shrink_wrap_gauss_sigma": 1.0,
    "shrink_wrap_threshold": 0.15,
    "twin_trigger": [2],
    "twin_halves": (0, 0),
}
"""The example of cohere's documentation, shortened, its support updated every fifth iteration."""


def available() -> bool:
    """Whether cohere is installed (the extra ``downstream``)."""
    return find_spec("cohere_core") is not None


def reconstructions(filled: Inpainted, starts: int) -> Iterator[Solution]:
    """Export a fill and reconstruct it from several random starts; the merit is cohere's own last error.

    Its peak may be anywhere; its shape must be even and good for an FFT.
    """
    import torch

    from bcdi_inpaint.export import formats as exporters
    from bcdi_inpaint.export.filled_scan import FilledScan
    from bcdi_inpaint.scans import ScanMetadata

    with _quiet():
        from cohere_core.controller import phasing

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "phasing_data", "data.tif")
        exporters.cohere(data, FilledScan(filled, ScanMetadata()))
        for start in range(starts):
            results = Path(folder, f"results_{start}")
            with _quiet(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(start)
                worker = phasing.create_rec(dict(CONFIGURATION), str(data), "torch", -1, debug=True)
                worker.iterate()
                worker.save_res(str(results))
            errors = np.loadtxt(results / "errors.txt")
            yield Solution(_image(np.load(results / "image.npy"), filled), float(errors[-1]))


@contextmanager
def _quiet() -> Iterator[None]:
    """cohere prints as it goes, and its calls of torch warn."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _image(image: Any, filled: Inpainted) -> Any:
    """cohere's image in our convention and on our axes.

    cohere transforms to reciprocal space by the inverse FFT, with axes (col, row, frame) and the
    brightest voxel rolled to the centre.
    """
    waves = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(image))).transpose(2, 1, 0)
    brightest = np.unravel_index(int(filled.intensity.argmax()), waves.shape)
    back = [int(b) - n // 2 for b, n in zip(brightest, waves.shape, strict=True)]
    return np.fft.ifftn(np.fft.ifftshift(np.roll(waves, back, (0, 1, 2)))).astype(np.complex64)
