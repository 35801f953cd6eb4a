"""Print how large the source is: lines, long modules and functions, complex ones, uses of Any."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "bcdi_inpaint"
LONG_MODULE, LONG_FUNCTION, COMPLEX = 300, 60, 15


def count_complex() -> int:
    """Functions above `COMPLEX`, by ruff's McCabe rule."""
    command = [
        Path(sys.executable).with_name("ruff"),
        "check",
        "--isolated",
        "--select=C901",
        f"--config=lint.mccabe.max-complexity={COMPLEX}",
        "--output-format=json",
        "--exit-zero",
        SOURCE,
    ]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return len(json.loads(found))


def main() -> None:
    lines = long_modules = long_functions = anys = 0
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text()
        length = text.count("\n")
        lines += length
        long_modules += length > LONG_MODULE
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                long_functions += (node.end_lineno or 0) - node.lineno + 1 > LONG_FUNCTION
            anys += isinstance(node, ast.Name) and node.id == "Any"
    print(f"{lines:6} lines of source")
    print(f"{long_modules:6} modules above {LONG_MODULE} lines")
    print(f"{long_functions:6} functions above {LONG_FUNCTION} lines")
    print(f"{count_complex():6} functions above complexity {COMPLEX}")
    print(f"{anys:6} uses of Any")


if __name__ == "__main__":
    main()
