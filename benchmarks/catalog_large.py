"""Write and read a large filled scan, as arrays sent to Tiled and as a file that Tiled reads.

    python benchmarks/catalog_large.py [--shape 256 1030 1064] [--folder DIR]

Tiled runs as a process of its own. Peak memory is that of the resident pages beyond what a process
held before, file pages excluded.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from tiled.client import from_uri

from bcdi_inpaint.catalog import write
from bcdi_inpaint.export import layout
from bcdi_inpaint.filling import Inpainted, Report
from bcdi_inpaint.progress import progress_bar
from bcdi_inpaint.scans import RockingScan, ScanMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiled.client.container import Container

GAP = slice(514, 550)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--shape", type=int, nargs=3, default=(256, 1030, 1064))
    arguments.add_argument("--folder", type=Path, help="on the disk to measure")
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        scan, filled = make_scan(folder, tuple(given.shape))
        with serve(folder) as (client, server):
            warm_up(client, folder)
            rows = [
                measure(client, server, scan, filled, folder, how)
                for how in ("16 MB blocks", "100 MB blocks", "registered file")
            ]
    finally:
        shutil.rmtree(folder)
    show(rows, filled)


def make_scan(folder: Path, shape: tuple[int, int, int]) -> tuple[RockingScan, Inpainted]:
    """A scan and its fill on disk, as memory maps: their pages are not this process's memory."""
    rng = np.random.default_rng(0)
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
        for name, dtype in layout.volume_dtypes(np.float32).items()
    }
    frame, row, col = (np.arange(n) - n / 2 for n in shape)
    for i in range(shape[0]):
        distance = np.hypot.outer(row, col) + abs(frame[i])
        arrays["intensity"][i] = rng.poisson(1e5 / (1 + distance) ** 2 + 0.01)
        arrays["sigma"][i, GAP] = np.sqrt(arrays["intensity"][i, GAP] + 1) / 2
        arrays["mask"][i, GAP] = True
    share = arrays["mask"][0].mean()
    report = Report("kriging", int(share * np.prod(shape)), float(share), 60.0)
    scan = RockingScan(
        arrays["intensity"],
        arrays["mask"][0],
        np.linspace(17, 18, shape[0]),
        ScanMetadata(raw_uid="large", data_key="eiger", motor="eta"),
    )
    return scan, Inpainted(arrays["intensity"], arrays["sigma"], arrays["mask"], report)


def warm_up(client: Container, folder: Path) -> None:
    """Have the server import what it needs, by a small scan."""
    small = folder / "small"
    small.mkdir()
    node = write(client.create_container("warm-up"), *make_scan(small, (4, 600, 32)))
    node.base["intensity"].read()


@contextmanager
def serve(folder: Path) -> Iterator[tuple[Container, psutil.Process]]:
    command = [sys.executable, "-m", "tiled", "serve", "catalog", str(folder / "catalog.db")]
    options = ["--init", "-w", str(folder / "tiled"), "-r", str(folder), "--port", "0"]
    with subprocess.Popen(
        [*command, *options, "--api-key", "secret"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        lines = (re.search(r"running on \S*(http://[\d.:]+)", line) for line in process.stderr)
        url = next(found for found in lines if found)[1]
        threading.Thread(target=process.stderr.read, daemon=True).start()
        client = from_uri(url, api_key="secret")
        client.context.show_progress = False
        yield client, psutil.Process(process.pid)
        client.context.close()
        process.terminate()


def measure(
    client: Container,
    server: psutil.Process,
    scan: RockingScan,
    filled: Inpainted,
    folder: Path,
    how: str,
) -> dict[str, Any]:
    home = client.create_container(how.replace(" ", "-"))
    files = folder / "files" if how == "registered file" else None
    layout.GOOD_BLOCK = 100_000_000 if how.startswith("100") else 16_000_000
    figures: dict[str, Any] = {"how": how}
    before = size(folder)
    with progress_bar(Console(stderr=True)) as progress, watched(figures, "write", server):
        node = write(home, scan, filled, folder=files, progress=progress)
    figures["disk"] = size(folder) - before
    intensity = node.base["intensity"]
    n = intensity.shape[0]
    figures["frame"] = seconds(lambda: intensity[n // 2])
    figures["plane"] = seconds(lambda: intensity[:, 500])
    lazy = node.base.new_variation(structure_clients="dask")["intensity"].read()
    with watched(figures, "read", server):
        total = float(lazy.sum(dtype="f8").compute(scheduler="synchronous"))
    assert np.isclose(total, filled.intensity.sum(dtype="f8"))
    return figures


@contextmanager
def watched(figures: dict[str, Any], name: str, server: psutil.Process) -> Iterator[None]:
    """Take the seconds, and the peak memory of this process and the server."""
    processes = {"client": psutil.Process(os.getpid()), "server": server}
    before = {who: anonymous(process) for who, process in processes.items()}
    peak = dict(before)
    done = threading.Event()

    def sample() -> None:
        while not done.wait(0.02):
            for who, process in processes.items():
                peak[who] = max(peak[who], anonymous(process))

    thread = threading.Thread(target=sample)
    thread.start()
    began = time.perf_counter()
    try:
        yield
    finally:
        figures[f"{name}_s"] = time.perf_counter() - began
        done.set()
        thread.join()
    figures |= {f"{name}_{who}": peak[who] - before[who] for who in processes}


def anonymous(process: psutil.Process) -> int:
    """Resident bytes without the pages of mapped files."""
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def show(rows: list[dict[str, Any]], filled: Inpainted) -> None:
    whole = sum(v.nbytes for v in (filled.intensity, filled.sigma, filled.mask))
    shape = " x ".join(str(n) for n in filled.intensity.shape)
    table = Table(title=f"{shape} float32, with sigma and mask {whole / 1e6:.0f} MB")
    columns = {
        "": "how",
        "write s": "write_s",
        "MB/s": "rate",
        "client MB": "write_client",
        "server MB": "write_server",
        "on disk MB": "disk",
        "one frame s": "frame",
        "plane [:, 500] s": "plane",
        "read all s": "read_s",
        "read: client MB": "read_client",
        "read: server MB": "read_server",
    }
    for heading in columns:
        table.add_column(heading, justify="left" if not heading else "right")
    for row in rows:
        row["rate"] = whole / row["write_s"]
        table.add_row(*(figure(key, row[key]) for key in columns.values()))
    console = Console(width=160)
    console.print(table)
    console.print(json.dumps(rows))


def figure(key: str, value: Any) -> str:
    if key == "how":
        return str(value)
    in_bytes = key == "disk" or key.endswith(("client", "server"))
    return f"{value / 1e6:.0f}" if in_bytes or key == "rate" else f"{value:.2f}"


if __name__ == "__main__":
    main()
