"""Whether live filling endures a long day: ``python benchmarks/bench_endurance.py``.

Kills the worker at random moments of scans, and does many short scans in a row. Prints a Markdown
table; the tests do the same with fewer scans.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bluesky_tiled_plugins import TiledWriter
from tiled.queries import Key

from bcdi_inpaint import inpaint
from bcdi_inpaint.live import InpaintCallback
from bench_live import frames, places, print_table, run_documents, server, settings

if TYPE_CHECKING:
    from tiled.client.container import Container

SIZE = 32
WARM = 20
"""Scans before memory, threads and files are first counted."""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log.txt") as root:
        rows = kills(root, options.kills) + short_scans(root, options.scans)
    print_table(rows)


def kills(root: Container, times: int) -> list[tuple[str, str]]:
    """What becomes of scans during which, or soon after which, the worker is killed."""
    chance = random.Random(0)
    stack = frames(20, SIZE)
    how = replace(settings("linear", SIZE), portion=4, margin=2, final_seconds=np.inf)
    wanted = inpaint(stack, how.mask, how.method).intensity
    raw, processed = places(root)
    uids = []
    with InpaintCallback(raw, processed, settings=how) as callback:
        writer = TiledWriter(raw)
        for _ in range(times):
            documents = run_documents(stack)
            moment = chance.randrange(len(documents) + 6)
            for number, (name, doc) in enumerate(documents):
                if number == moment:
                    kill(callback)
                writer(name, doc)
                callback(name, doc)
                time.sleep(0.05)
            if moment >= len(documents):
                time.sleep(chance.random())
                kill(callback)
            uids.append(documents[0][1]["uid"])
            callback.wait(300)  # a new worker is there then, to be killed
        replaced = callback.status().restarts
    nodes = [list(processed.search(Key("raw_uid") == uid).values()) for uid in uids]
    good = sum(
        len(found) == 1
        and found[0].metadata["complete"]
        and np.array_equal(found[0]["intensity"].read(), wanted)
        for found in nodes
    )
    return [
        (
            f"{times} scans, the worker killed (-9) at a random moment of each",
            f"{good} with exactly one complete node, equal to offline ({replaced} workers replaced)",
        )
    ]


def short_scans(root: Container, number: int) -> list[tuple[str, str]]:
    """What many scans in a row leave behind in this process and in the worker."""
    raw, processed = places(root)
    with InpaintCallback(raw, processed, settings=settings("linear", SIZE)) as callback:
        writer = TiledWriter(raw)

        def scan() -> None:
            for name, doc in run_documents(frames(8, SIZE)):
                writer(name, doc)
                callback(name, doc)
            callback.wait(300)

        for _ in range(WARM):
            scan()
        before = [used(pid) for pid in (os.getpid(), callback.status().worker)]
        began = time.monotonic()
        for _ in range(WARM, number):
            scan()
        seconds = time.monotonic() - began
        after = [used(pid) for pid in (os.getpid(), callback.status().worker)]
        status = callback.status()
    rows = [
        (
            f"{number} scans of 8 frames in a row",
            f"{status.complete} complete, {seconds / (number - WARM):.2f} s each",
        )
    ]
    for place, old, new in zip(("RunEngine's process", "worker"), before, after, strict=True):
        changes = ", ".join(
            f"{unit} {a:.0f} -> {b:.0f}"
            for unit, a, b in zip(("MB", "threads", "files"), old, new, strict=True)
        )
        rows.append((f"{place}, after {WARM} and after {number} of them", changes))
    return rows


def kill(callback: InpaintCallback) -> None:
    """Kill the worker, if there is one at the moment."""
    pid = callback.status().worker
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def used(pid: int | None) -> tuple[float, int, int]:
    """Resident memory (MB), threads and open files of a process."""
    process = Path(f"/proc/{pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    files = len(list((process / "fd").iterdir()))
    return int(fields["VmRSS"].split()[0]) / 1000, int(fields["Threads"]), files


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--scans", type=int, default=500)
    return parser.parse_args()


if __name__ == "__main__":
    main()
