"""How much memory the worker takes while it fills a large scan: ``python benchmarks/bench_memory.py``.

The frames are written to an HDF5 file by another process, as areaDetector does it, and read along by a real
worker, which writes to a real Tiled server. Prints the worker's largest resident memory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bluesky.plans import scan
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis

from bcdi_inpaint.live import InpaintCallback, Settings
from bcdi_inpaint.testing.devices import at_motor
from bcdi_inpaint.testing.stream_detector import StreamDetector
from bench_live import engine, peak_memory, places, print_table, server

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Peak:
    """A Bragg peak whose frames are made when they are asked for; as long as a stack."""

    def __init__(self, shape: tuple[int, int, int], dtype: str) -> None:
        self.shape, self._dtype = shape, dtype
        self._axes = [np.linspace(-1, 1, length) for length in shape]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frame: int) -> NDArray[Any]:
        z, y, x = (np.sinc(n / 11 * axis) for n, axis in zip(self.shape, self._axes, strict=True))
        rate = 3e4 * (z[frame] * y[:, None] * x) ** 2 + 0.02
        return np.random.default_rng(frame).poisson(rate).astype(self._dtype)


def main() -> None:
    options = _options()
    n, rows, cols = shape = tuple(options.shape)
    mask = np.zeros((rows, cols), bool)
    mask[rows // 2 + 10 : rows // 2 + 47] = True
    motor = SynAxis(name="eta", egu="deg")
    angles = np.linspace(-0.3, 0.3, n)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        settings = Settings(method=options.method, mask=mask, file_roots=(folder,))
        expose = at_motor(Peak(shape, options.dtype), angles, motor)
        detector = StreamDetector(expose, folder, name="det")
        with server(folder / "log.txt", folder) as root, engine() as running:
            raw, processed = places(root)
            with InpaintCallback(raw, processed, settings=settings) as inpaint:
                for callback in (TiledWriter(raw, batch_size=16), inpaint):
                    running.subscribe(callback)
                running(scan([detector], motor, angles[0], angles[-1], n))
                stopped = time.perf_counter()
                inpaint.wait()
                seconds = time.perf_counter() - stopped
                (run,) = inpaint.status().last
                peak = peak_memory(inpaint.status().worker)
        detector.close()
    what = f"{n} x {rows} x {cols} {options.dtype}, {options.method}"
    print_table(
        [
            (f"{what}: the worker's largest memory, GB", f"{peak / 1000:.2f}"),
            (f"{what}: s from the stop to the complete node", f"{seconds:.0f} ({run.state})"),
        ]
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=(256, 1030, 1064))
    parser.add_argument("--dtype", default="uint16")
    parser.add_argument("--method", default="patching")
    parser.add_argument("--folder", help="where the scan's file goes while it is measured")
    return parser.parse_args()


if __name__ == "__main__":
    main()
