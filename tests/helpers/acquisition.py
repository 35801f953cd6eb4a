"""The acquisition's process: a RunEngine that does a rocking scan for each line on stdin.

python acquisition.py OPTIONS, as JSON: uri, raw (path), key_file, files (folder), tags, and zmq or kafka (address)
and topic, where documents are to be published. A line holds the seconds at each point. It prints each run's uid when the
run begins, and "done" when it has ended.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import msgpack_numpy
import numpy as np
from bluesky import RunEngine
from bluesky.plans import scan
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis
from tiled.client import from_uri

from bcdi_inpaint.testing.devices import AreaDetector, at_motor

N = 16


def stack() -> np.ndarray:
    """Poisson counts of a peak, ``(frame, row, col)``, nothing in four columns."""
    z, y, x = np.mgrid[-2 : 2 : 1j * N, -3:3:32j, -4:4:48j]
    counts = np.random.default_rng(1).poisson(2000 * np.exp(-(x**2) - y**2 - z**2) + 0.5)
    counts[:, :, 26:30] = 0
    return counts.astype(np.uint16)


def tell(line: str) -> None:
    """Tell the test that started this."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def subscribe_publisher(engine: RunEngine, zmq: str, kafka: str, topic: str) -> None:
    """Publish documents as a beamline does."""
    if zmq:
        from bluesky.callbacks.zmq import Publisher

        encode = partial(msgpack_numpy.encode, chain=str)
        engine.subscribe(Publisher(zmq, serializer=partial(msgpack.packb, default=encode)))
    if kafka:
        from bluesky_kafka import Publisher as KafkaPublisher

        engine.subscribe(KafkaPublisher(topic, kafka, key="cdi", flush_on_stop_doc=True))


def main(options: dict[str, Any]) -> None:
    """Scan for as long as there are lines."""
    root = from_uri(options["uri"], api_key=Path(options["key_file"]).read_text())
    motor = SynAxis(name="eta", egu="deg")
    angles = np.linspace(-0.2, 0.2, N)
    tags = {"tiled_access_tags": options["tags"]} if options.get("tags") else {}
    engine = RunEngine({**tags, "sample_name": "Pt_a"})
    engine.subscribe(TiledWriter(root[options["raw"]]))
    subscribe_publisher(
        engine, options.get("zmq", ""), options.get("kafka", ""), options.get("topic", "")
    )
    engine.subscribe(lambda _, doc: tell(doc["uid"]), "start")
    folder = Path(options["files"])
    with AreaDetector(at_motor(stack(), angles, motor), folder, name="det") as detector:
        tell("ready")
        for line in sys.stdin:
            detector.cam.acquire_time.put(float(line))
            engine(scan([detector], motor, angles[0], angles[-1], N))
            tell("done")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
