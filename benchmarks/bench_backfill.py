"""How fast an archive is filled: ``python benchmarks/bench_backfill.py``.

Fills the same archive with 1 and 2 worker processes, beside a Tiled server of its own, and says from
the processor seconds of each part what a larger cluster would wait for. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
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
import psutil
from bluesky_tiled_plugins import TiledWriter
from event_model import compose_run
from tiled.client import from_uri
from tiled.structures.core import Spec

from bcdi_inpaint.service.backfill import Ending, backfill, cluster, matching
from bcdi_inpaint.service.config import ServiceConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from tiled.client.container import Container

SERVER_CORES = 16
"""Of the imagined Tiled server, with as many server processes."""
CLUSTER = 100
"""Workers of the imagined cluster."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--shape", type=int, nargs=3, default=(64, 128, 128))
    parser.add_argument("--method", default="kriging")
    options = parser.parse_args()
    os.environ["TILED_API_KEY"] = "secret"
    rows: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (root, process):
        counts = frames(*options.shape)
        mask = Path(folder) / "mask.npy"
        np.save(mask, gap(*options.shape[1:]))
        raw = root.create_container("raw", specs=[Spec("CatalogOfBlueskyRuns", version="3.0")])
        for _ in range(options.runs):
            write(raw, counts)
        for workers in (1, 2):
            processed = root.create_container(f"processed{workers}")
            config = ServiceConfig(
                tiled={
                    "uri": str(root.uri).partition("/api")[0],
                    "raw": "/".join(raw.path_parts),
                    "processed": "/".join(processed.path_parts),
                },
                filling={"method": options.method, "mask": mask},
            )
            rows += measure(raw, processed, config, workers, process, counts.size)
    write_table(rows, counts)


def measure(
    raw: Container,
    processed: Container,
    config: ServiceConfig,
    workers: int,
    process: Any,
    size: int,
) -> list[tuple[str, str]]:
    """Figures of one run over the archive; the first run of each worker only warms it up."""
    uids = matching(raw, processed, config)
    with cluster(scheduler=None, workers=workers) as client:
        list(backfill(uids[:workers], config, client))
        rest = uids[workers:]
        began, server_began = time.perf_counter(), processor_seconds(process)
        workers_began = sum(client.run(processor_seconds).values())
        outcomes = list(backfill(rest, config, client))
        seconds = time.perf_counter() - began
        on_workers = sum(client.run(processor_seconds).values()) - workers_began
        on_server = processor_seconds(process) - server_began
    failed = [outcome.reason for outcome in outcomes if outcome.state != Ending.FILLED]
    if failed:
        raise SystemExit(failed[0])
    n = len(rest)
    parts = {
        part: statistics.median(getattr(outcome, f"{part}_seconds") for outcome in outcomes)
        for part in ("read", "fill", "write")
    }
    asked = 60 * CLUSTER * n / on_workers
    given = 60 * SERVER_CORES * n / on_server
    megabytes = min(asked, given) / 60 * size * (4 + 4 + 1) / 1e6
    return [
        (f"{workers} worker(s): runs a minute", f"{60 * n / seconds:.1f}"),
        *((f"... {part}, s a run (median)", f"{value:.2f}") for part, value in parts.items()),
        ("... processor seconds a run, worker", f"{on_workers / n:.2f}"),
        ("... processor seconds a run, Tiled", f"{on_server / n:.2f}"),
        (f"... {CLUSTER} workers with a core each would ask for, runs a minute", f"{asked:.0f}"),
        (f"... Tiled on {SERVER_CORES} cores could give, runs a minute", f"{given:.0f}"),
        ("... written then, MB/s", f"{megabytes:.0f}"),
    ]


def processor_seconds(process: Any = None) -> float:
    """Of a process (this one by default), so far."""
    times = (process or psutil.Process()).cpu_times()
    return float(times.user + times.system)


def write_table(rows: list[tuple[str, str]], counts: NDArray[Any]) -> None:
    """Print the figures."""
    read, written = counts.nbytes / 1e6, counts.size * (4 + 4 + 1) / 1e6
    print(f"\nRuns of {counts.shape} {counts.dtype}: {read:.1f} MB read, {written:.1f} MB written.")
    width = max(len(name) for name, _ in rows)
    print(f"\n| {'figure':{width}} | value |\n|{'-' * (width + 2)}|---|")
    for name, value in rows:
        print(f"| {name:{width}} | {value} |")


@contextmanager
def server(folder: Path) -> Iterator[tuple[Container, psutil.Process]]:
    """A Tiled server in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "tiled", "serve", "catalog", folder / "catalog.db", "--init"),
        *("-w", folder / "arrays", "-w", f"sqlite:///{folder / 'tables.db'}"),
        *("--api-key", "secret", "--port", str(port)),
    ]
    with (
        (folder / "log.txt").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as p,
    ):
        try:
            uri = f"http://127.0.0.1:{port}"
            while True:
                try:
                    httpx.get(f"{uri}/healthz")
                    break
                except httpx.TransportError:
                    time.sleep(0.2)
            client = from_uri(uri, api_key="secret")
            client.context.show_progress = False
            yield client, psutil.Process(p.pid)
        finally:
            p.terminate()


def write(raw: Container, counts: NDArray[Any]) -> None:
    """Put a run into the archive."""
    metadata = {"plan_name": "scan", "num_points": len(counts), "motors": ["eta"]}
    start, descriptor, _, stop = compose_run(metadata=metadata)
    shape = list(counts.shape[1:])
    key = {"dtype": "array", "dtype_numpy": counts.dtype.str, "shape": shape, "source": "SIM"}
    angle = {"dtype": "number", "shape": [], "source": "SIM"}
    described, event, _ = descriptor(name="primary", data_keys={"det": key, "eta": angle})
    writer = TiledWriter(raw)
    writer("start", start)
    writer("descriptor", described)
    for number, frame in enumerate(counts):
        data = {"det": frame, "eta": float(number)}
        writer("event", event(data=data, timestamps={"det": 0, "eta": 0}))
    writer("stop", stop())


def frames(n: int, rows: int, cols: int) -> NDArray[np.uint16]:
    """Poisson counts of a peak with fringes."""
    z, y, x = np.mgrid[-1 : 1 : 1j * n, -1 : 1 : 1j * rows, -1 : 1 : 1j * cols]
    rate = 3e4 * (np.sinc(8 * z) * np.sinc(9 * y) * np.sinc(10 * x)) ** 2 + 0.02
    return np.random.default_rng(0).poisson(rate).astype(np.uint16)


def gap(rows: int, cols: int) -> NDArray[np.bool_]:
    """A cross of 6 pixels beside the peak."""
    mask = np.zeros((rows, cols), bool)
    mask[rows // 2 + 5 : rows // 2 + 11] = mask[:, cols // 2 + 5 : cols // 2 + 11] = True
    return mask


if __name__ == "__main__":
    main()
