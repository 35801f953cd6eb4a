"""One class that catches whatever this package names."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import bcdi_inpaint as bi

SOURCE = Path(bi.__file__).parent


def named_errors() -> list[tuple[str, str]]:
    """Module and name of each exception class in the source."""
    return [
        (".".join(["bcdi_inpaint", *path.relative_to(SOURCE).with_suffix("").parts]), node.name)
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
    ]


@pytest.mark.parametrize(("module", "name"), named_errors())
def test_each_named_error_is_ours_and_its_like(module: str, name: str) -> None:
    error = getattr(import_module(module), name)
    assert issubclass(error, bi.BcdiInpaintError)
    if error is not bi.BcdiInpaintError:
        assert issubclass(error, (ValueError, RuntimeError, OSError))


def test_an_error_reads_as_the_built_in_one_does() -> None:
    from bcdi_inpaint.scans import OutsideRootsError

    error = OutsideRootsError("a.h5 lies elsewhere")
    assert (str(error), error.args) == ("a.h5 lies elsewhere", ("a.h5 lies elsewhere",))
