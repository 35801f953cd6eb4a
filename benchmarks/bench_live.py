"""What live filling costs, and how soon it is done: ``python benchmarks/bench_live.py``.

Everything is measured in one run on one machine, beside what it is to be compared with. Prints a
Markdown table; options make it shorter for a first look.
"""

from __future__ import annotations

import argparse
import json
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
from bcdi_inpaint.live.logs import VARIABLE
from bcdi_inpaint.live.worker.comparison import checksums
from bcdi_inpaint.live.worker.pipeline import Catalogs, read_finished
from bcdi_inpaint.testing.devices import ArrayDetector, at_motor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from tiled.client.container import Container


FRAMES = (
    ((192, 256), "uint16"),
    ((516, 516), "uint16"),
    ((512, 512), "uint32"),
    ((1030, 1064), "uint32"),
)
"""Shapes and dtypes of a part of a chip, a Maxipix, the same in 32 bits, and an EIGER2 1M."""
PATTERNS = ((3.0, 3e4), (9.0, 3e4), (15.0, 3e4), (5.5, 1e4), (5.5, 1e6), (5.5, 1e7))
"""Oversampling ratios and brightest voxels of other scans than the usual one."""
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
            rows += completion(root, options, Path(folder) / "workers.txt")
    print_table(rows)


def completion(root: Container, options: argparse.Namespace, path: Path) -> list[tuple[str, str]]:
    """How soon scans are complete: by each method, beside a busy core, and for other patterns."""
    n, rate, default = options.frames, options.rate, options.methods[0]
    rows = []
    with worker_log(path) as log:
        for method in options.methods:
            same = [frames(n, 256, seed=seed) for seed in range(options.runs)]
            rows += time_to_complete(root, method, same, rate, log)
        with busy_core():
            same = [frames(n, 256, seed=seed) for seed in range(options.runs)]
            rows += time_to_complete(root, default, same, rate, log, what=", one core busy")
        for oversampling, peak in PATTERNS:
            stack = frames(n, 256, oversampling=oversampling, peak=peak)
            what = f", oversampling {oversampling:g}, peak {peak:.0e}"
            rows += time_to_complete(root, default, [stack], rate, log, what=what)
    return rows


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
    stack = frames(n, size)
    with InpaintCallback(raw, processed, settings=settings(method, size)) as inpaint:
        warm(inpaint, raw, frames(16, size))
        for turn in range(2 * pairs):
            with_callback = turn % 4 in (1, 2)  # whatever drifts does so for both
            with engine() as RE:  # noqa: N806
                RE.subscribe(TiledWriter(raw))
                if with_callback:
                    RE.subscribe(inpaint)
                began = time.perf_counter()
                RE(measure(stack, rate))
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
    root: Container,
    method: str,
    scans: Sequence[NDArray[np.uint32]],
    rate: float,
    log: Path,
    *,
    what: str = "",
) -> list[tuple[str, str]]:
    """Seconds from the stop document to ``complete: true`` for scans one after the other.

    Stages of the time after the stop are of the scan with the median; peak memory is the worker's.
    """
    raw, processed = places(root)
    n, size, _ = scans[0].shape
    seconds, stages = [], []
    with InpaintCallback(raw, processed, settings=settings(method, size)) as inpaint:
        warm(inpaint, raw, frames(16, size))
        for stack in scans:
            stopped: list[float] = []
            with engine() as RE:  # noqa: N806
                RE.subscribe(TiledWriter(raw, batch_size=10))
                RE.subscribe(inpaint)
                RE.subscribe(lambda *_, stopped=stopped: stopped.append(time.time()), "stop")
                RE(measure(stack, rate))
            inpaint.wait(600)
            last = inpaint.status().last[0]
            seconds.append(last.result["finished"] - stopped[0])
            stages.append(_stages(log, last.uid))
        peak = peak_memory(inpaint.status().worker)
    how = "in windows" if " windows " in last.result["notes"] else "at once"
    median = statistics.median_low(seconds)
    each = ", ".join(f"{value:.2f}" for value in seconds)
    rows = [
        (
            f"{method}: stop to complete, {n} x {size} x {size} at {rate:g}/s{what}: s",
            f"{median:.2f}" + f" ({each}; filled {how})" * (len(seconds) > 1),
        )
    ]
    if len(seconds) > 1:
        stack_mb = n * size * size * 4 / 1e6
        rows += [
            (f"{method}: of that, in the worker", stages[seconds.index(median)]),
            (
                f"{method}: peak memory of the worker: MB",
                f"{peak:.0f} (the filled stack has {stack_mb:.0f})",
            ),
        ]
    return rows


def _stages(log: Path, uid: str) -> str:
    """What the worker has said of a run's stages after its stop."""
    said = f"run {uid}: after its stop: "
    lines = log.read_text(errors="replace").splitlines()
    found = [json.loads(line)["message"] for line in lines if said in line]
    return str(found[-1]).partition(said)[2] if found else ""


@contextmanager
def worker_log(path: Path) -> Iterator[Path]:
    """What workers log in detail goes to a file: they inherit stderr."""
    stderr = os.dup(2)
    os.environ[VARIABLE] = "debug"
    with path.open("wb") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield path
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        del os.environ[VARIABLE]


@contextmanager
def busy_core() -> Iterator[None]:
    """A process that keeps one core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


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


def frames(
    n: int, size: int, *, oversampling: float = 5.5, peak: float = 3e4, seed: int = 0
) -> NDArray[np.uint32]:
    """Poisson counts of a cube."""
    axes = (np.linspace(-1, 1, n), np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    per_fringe = 2 * oversampling
    wave = np.sinc(n / per_fringe * z) * np.sinc(size / per_fringe * y)
    rate = peak * (wave * np.sinc(1.1 * size / per_fringe * x)) ** 2 + 0.02
    return np.random.default_rng(seed).poisson(rate).astype(np.uint32)


def measure(stack: NDArray[np.uint32], rate: float) -> Any:
    """Plan: a step scan that takes a frame every ``1 / rate`` seconds."""
    motor = SynAxis(name="eta", egu="deg")
    n = len(stack)
    angles = np.linspace(-0.3, 0.3, n)
    expose = at_motor(stack, angles, motor)
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
    parser.add_argument("--runs", type=int, default=5, help="scans for each time to complete")
    parser.add_argument("--callback-only", action="store_true", help="only what the callback costs")
    parser.add_argument("--methods", nargs="+", default=["patching", "kriging", "biharmonic"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
