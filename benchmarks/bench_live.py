"""What live filling costs, and how soon it is done: ``python benchmarks/bench_live.py``.

Everything is measured in one run on one machine, beside what it is to be compared with. Prints a
Markdown table; options make it shorter for a first look.
"""

from __future__ import annotations

import argparse
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from bluesky import RunEngine
from bluesky.plans import scan
from bluesky_tiled_plugins import TiledWriter
from event_model import compose_run
from ophyd.sim import SynAxis
from tiled.client import from_uri
from tiled.structures.core import Spec

from bcdi_inpaint.live import InpaintCallback, Settings
from bcdi_inpaint.live.worker.comparison import checksums
from bcdi_inpaint.live.worker.pipeline import Catalogs, read_finished
from bcdi_inpaint.testing.devices import ArrayDetector, at_motor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from tiled.client.container import Container


FRAMES = (
    ((192, 256), "uint16"),
    ((516, 516), "uint16"),
    ((512, 512), "uint32"),
    ((1030, 1064), "uint32"),
)
"""Shapes and dtypes of a part of a chip, a Maxipix, the same in 32 bits, and an EIGER2 1M."""
AT_ONCE = 400 * 2**20
"""Bytes of a scan that fits into the queue even if the worker takes none of it."""


def main() -> None:
    options = _options()
    rows: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log.txt") as root:
        for shape, dtype in FRAMES:
            rows += callback_costs(root, options.frames, shape, dtype)
        if not options.callback_only:
            rows += writer_costs(root, options.frames, 512)
            rows += engine_seconds(
                root, options.methods[0], options.frames, 256, options.rate, options.pairs
            )
            rows += comparison_costs(root, options.frames, 256)
            for method in options.methods:
                rows += time_to_complete(root, method, options.frames, 256, options.rate)
    print_table(rows)


def callback_costs(
    root: Container, n: int, shape: tuple[int, int], dtype: str
) -> list[tuple[str, str]]:
    """Milliseconds that a document with a frame in it costs the RunEngine, the copy included.

    By the clock, and of processor time, in which what else the machine does counts little.
    """
    frame = np.random.default_rng(0).poisson(3.0, shape).astype(dtype)
    n = min(n, AT_ONCE // frame.nbytes)
    raw, processed = places(root)
    mask = np.zeros(shape, bool)
    mask[:, shape[1] // 2] = True
    costs, busy = [], []
    with InpaintCallback(raw, processed, settings=Settings("nearest", mask=mask)) as inpaint:
        warm(inpaint, raw, np.broadcast_to(frame, (16, *shape)))
        writer = TiledWriter(raw)
        for name, doc in run_documents(np.broadcast_to(frame, (n, *shape))):
            writer(name, doc)
            began, used = time.perf_counter(), time.thread_time()
            inpaint(name, doc)
            if name == "event":
                costs.append(1e3 * (time.perf_counter() - began))
                busy.append(1e3 * (time.thread_time() - used))
                time.sleep(0.02)
        dropped = inpaint.status().dropped
        inpaint.wait(600)
    if dropped:
        raise SystemExit(f"the queue was too small for {n} frames of {shape}")
    clock, processor = (
        f"{statistics.median(taken):.3f} / {np.percentile(taken, 99):.2f}"
        for taken in (costs, busy)
    )
    what = f"callback: ms per Event, median / 99 % ({n} of {shape[0]} x {shape[1]} {dtype})"
    return [(what, f"{clock} (processor: {processor})")]


def writer_costs(root: Container, n: int, size: int) -> list[tuple[str, str]]:
    """Milliseconds that one document costs the RunEngine by what it has to pay in any case."""
    stack = frames(n, size)
    raw, _ = places(root)
    rows = []
    for name, writer in (
        ("one batch", TiledWriter(raw)),
        ("batch_size=1", TiledWriter(raw, batch_size=1)),
    ):
        costs = []
        for given, doc in run_documents(stack):
            began = time.perf_counter()
            writer(given, doc)
            costs.append(1e3 * (time.perf_counter() - began))
        rows.append(
            (
                f"TiledWriter, {name}: ms per document, median / 99 % / all ({n} of {size} x {size})",
                f"{statistics.median(costs):.3f} / {np.percentile(costs, 99):.2f} / {sum(costs):.0f}",
            )
        )
    return rows


def comparison_costs(root: Container, n: int, size: int) -> list[tuple[str, str]]:
    """Seconds to read a raw run and to make its checksums; a live run does so beside its filling."""
    raw, processed = places(root)
    documents = run_documents(frames(n, size))
    writer = TiledWriter(raw)
    for name, doc in documents:
        writer(name, doc)
    reading, summing = [], []
    for _ in range(5):
        began = time.perf_counter()
        scan = read_finished(
            Catalogs(raw, processed), documents[0][1]["uid"], settings("nearest", size)
        )
        read = time.perf_counter()
        checksums(scan.frames, scan.mask)
        reading.append(read - began)
        summing.append(time.perf_counter() - read)
    return [
        (
            f"comparison with the raw run, {n} x {size} x {size}: s to read it / for checksums",
            f"{statistics.median(reading):.2f} / {statistics.median(summing):.3f}",
        )
    ]


def engine_seconds(
    root: Container, method: str, n: int, size: int, rate: float, pairs: int
) -> list[tuple[str, str]]:
    """Seconds of ``RE(scan)`` with and without the callback, TiledWriter subscribed in both cases."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    raw, processed = places(root)
    with InpaintCallback(raw, processed, settings=settings(method, size)) as inpaint:
        warm(inpaint, raw, frames(16, size))
        for turn in range(2 * pairs):
            with_callback = turn % 4 in (1, 2)  # whatever drifts does so for both
            with engine() as RE:  # noqa: N806
                RE.subscribe(TiledWriter(raw))
                if with_callback:
                    RE.subscribe(inpaint)
                began = time.perf_counter()
                RE(measure(n, size, rate))
                seconds[with_callback].append(time.perf_counter() - began)
            inpaint.wait(300)
    without, with_it = (statistics.median(seconds[key]) for key in (False, True))
    spread = max(seconds[False]) - min(seconds[False])
    change = with_it - without
    return [
        (
            f"RE(scan), {n} frames at {rate:g}/s, without the callback: s, median of {pairs}",
            f"{without:.2f} (spread {spread:.2f})",
        ),
        (f"the same with it, {method}: s", f"{with_it:.2f} ({100 * change / without:+.1f} %)"),
    ]


def time_to_complete(
    root: Container, method: str, n: int, size: int, rate: float
) -> list[tuple[str, str]]:
    """Seconds from the stop document to ``complete: true``; peak memory of the worker."""
    raw, processed = places(root)
    stopped: list[float] = []
    with InpaintCallback(raw, processed, settings=settings(method, size)) as inpaint:
        warm(inpaint, raw, frames(16, size))
        with engine() as RE:  # noqa: N806
            RE.subscribe(TiledWriter(raw, batch_size=10))
            RE.subscribe(inpaint)
            RE.subscribe(lambda *_: stopped.append(time.time()), "stop")
            RE(measure(n, size, rate))
        inpaint.wait(600)
        peak = peak_memory(inpaint.status().worker)
        metadata = inpaint.status().last[0].result
    stack_mb = n * size * size * 4 / 1e6
    how = "in windows" if " windows " in metadata["notes"] else "at once"
    return [
        (
            f"{method}: stop to complete, {n} x {size} x {size} at {rate:g}/s: s",
            f"{metadata['finished'] - stopped[0]:.2f} (filled {how})",
        ),
        (
            f"{method}: peak memory of the worker: MB",
            f"{peak:.0f} (the filled stack has {stack_mb:.0f})",
        ),
    ]


# Parts.


def print_table(rows: list[tuple[str, str]]) -> None:
    """Print figures, and under what conditions they were taken."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{os.cpu_count()} cores, load {load} at the end, Python {platform.python_version()}\n")
    width = max(len(name) for name, _ in rows)
    print(f"| {'figure':{width}} | value |\n|{'-' * (width + 2)}|---|")
    for name, value in rows:
        print(f"| {name:{width}} | {value} |")


def warm(inpaint: InpaintCallback, raw: Container, stack: NDArray[Any]) -> None:
    """Have a first scan filled, so that the worker has started."""
    writer = TiledWriter(raw)
    for name, doc in run_documents(stack):
        writer(name, doc)
        inpaint(name, doc)
    inpaint.wait(300)


@contextmanager
def server(log: Path, *readable: Path) -> Iterator[Container]:
    """The root of a Tiled server in a process of its own, with a streaming cache."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "tiled", "serve", "catalog", "--temp"]
    command += [part for folder in readable for part in ("-r", str(folder))]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--api-key", "secret", "--port", port], stdout=out, stderr=out
        )
    try:
        uri = f"http://127.0.0.1:{port}"
        while True:
            try:
                client = from_uri(uri, api_key="secret")
                break
            except httpx.TransportError:
                if process.poll() is not None:
                    raise SystemExit(log.read_text()) from None
                time.sleep(0.2)
        client.context.show_progress = False
        yield client
    finally:
        process.terminate()
        process.wait()


def places(root: Container) -> tuple[Container, Container]:
    """Empty containers for runs and filled scans."""
    beamline = root.create_container()
    raw = beamline.create_container("raw", specs=[Spec("CatalogOfBlueskyRuns", version="3.0")])
    return raw, beamline.create_container("processed")


def settings(method: str, size: int) -> Settings:
    """A cross of 6 pixels, as between Medipix modules that are set 220 um apart."""
    mask = np.zeros((size, size), bool)
    gap = slice(size // 2 - 12, size // 2 - 6)
    mask[gap] = mask[:, gap] = True
    return Settings(method=method, mask=mask)


def frames(n: int, size: int) -> NDArray[np.uint32]:
    """Poisson counts of a cube at oversampling ratios of 5 to 6."""
    axes = (np.linspace(-1, 1, n), np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    rate = 3e4 * (np.sinc(n / 11 * z) * np.sinc(size / 11 * y) * np.sinc(size / 10 * x)) ** 2 + 0.02
    return np.random.default_rng(0).poisson(rate).astype(np.uint32)


def measure(n: int, size: int, rate: float) -> Any:
    """Plan: a step scan that takes a frame every ``1 / rate`` seconds."""
    motor = SynAxis(name="eta", egu="deg")
    angles = np.linspace(-0.3, 0.3, n)
    expose = at_motor(frames(n, size), angles, motor)
    began: list[float] = []

    def exposed(count: int) -> NDArray[Any]:
        began.append(time.perf_counter())
        time.sleep(max(0.0, began[0] + len(began) / rate - time.perf_counter()))
        return expose(count)

    return scan([ArrayDetector(exposed, name="det")], motor, angles[0], angles[-1], n)


def run_documents(stack: NDArray[Any]) -> list[tuple[str, dict[str, Any]]]:
    """The documents of a rocking scan with its frames in the events."""
    start, descriptor, _, stop = compose_run(
        metadata={
            "plan_name": "scan",
            "num_points": len(stack),
            "hints": {"dimensions": [[["eta"], "primary"]]},
        }
    )
    described, event, _ = descriptor(
        name="primary",
        data_keys={
            "det": {
                "dtype": "array",
                "dtype_numpy": stack.dtype.str,
                "shape": list(stack.shape[1:]),
                "source": "SIM",
            },
            "eta": {"dtype": "number", "shape": [], "source": "SIM"},
        },
    )
    events = [
        event(data={"det": frame, "eta": float(i)}, timestamps={"det": 0, "eta": 0})
        for i, frame in enumerate(stack)
    ]
    return [
        ("start", start),
        ("descriptor", described),
        *(("event", doc) for doc in events),
        ("stop", stop()),
    ]


@contextmanager
def engine() -> Iterator[RunEngine]:
    """A RunEngine of its own."""
    running = RunEngine({}, call_returns_result=True)
    try:
        yield running
    finally:
        running.loop.call_soon_threadsafe(running.loop.stop)


def peak_memory(pid: int | None) -> float:
    """Largest resident memory that a process has had, MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--rate", type=float, default=10.0, help="frames a second")
    parser.add_argument("--pairs", type=int, default=3, help="scans with and without the callback")
    parser.add_argument("--callback-only", action="store_true", help="only what the callback costs")
    parser.add_argument("--methods", nargs="+", default=["patching", "kriging", "biharmonic"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
