"""Files of which something is wrong are read or refused; nothing else is raised, and nothing waits for ever."""

from __future__ import annotations

import io
import json
import random
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from bcdi_inpaint.geometry import read_mask
from bcdi_inpaint.scans import from_file
from tests.fuzz.mutations import mutated_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STACK = np.random.default_rng(0).poisson(3, (8, 24, 32)).astype(np.uint16)


def write_npz(path: Path) -> None:
    np.savez(path, data=STACK, theta=np.arange(8.0), meta=json.dumps({"sample": "Pt"}))


def write_tif(path: Path) -> None:
    tifffile.imwrite(path, STACK, photometric="minisblack")


def write_edf(path: Path) -> None:
    pytest.importorskip("fabio.edfimage").EdfImage(data=STACK[0]).write(str(path))


def write_cbf(path: Path) -> None:
    image = pytest.importorskip("fabio.cbfimage").CbfImage(data=STACK[0].astype(np.int32))
    image.write(str(path))


KINDS: dict[str, Callable[[Path], None]] = {
    "npz": write_npz,
    "npy": lambda path: np.save(path, STACK),
    "tif": write_tif,
    "edf": write_edf,
    "cbf": write_cbf,
}


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_changed_in_a_file(kind: str, tmp_path: Path) -> None:
    chance = random.Random(3)
    path = tmp_path / f"scan_0001.{kind}"
    KINDS[kind](path)
    body = path.read_bytes()
    for _ in range(60):
        head = mutated_bytes(body[:1500], chance)
        path.write_bytes(head + body[1500:] if len(head) > 700 else head)
        for read in (lambda: from_file(path, mask=False), lambda: read_mask(path)):
            with suppress(OSError, ValueError):
                read()


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_no_memory_is_taken_for_what_a_header_claims(kind: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    claim = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**4, 10**4)}
    np.lib.format.write_array_header_1_0(buffer, claim)
    path = tmp_path / f"scan.{kind}"
    if kind == "npy":
        path.write_bytes(buffer.getvalue())
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.npy", buffer.getvalue())
    with pytest.raises(ValueError, match="more than largest_stack allows"):
        from_file(path, mask=False)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[1]", "null"])
def test_metadata_that_are_none_are_said_to_be(text: str, tmp_path: Path) -> None:
    path = tmp_path / "scan.npz"
    np.savez(path, data=STACK, meta=text)
    with pytest.raises(ValueError, match=r"scan\.npz: its 'meta' is no JSON"):
        from_file(path, mask=False)


def test_an_empty_npy_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "scan.npy"
    np.save(path, STACK)
    path.write_bytes(path.read_bytes()[:5])
    with pytest.raises((OSError, ValueError)):
        from_file(path, mask=False)
