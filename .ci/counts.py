"""Print how large the source is, and fail where more of it is long or untyped than may be.

Complexity is ruff's business (``max-complexity`` in ``pyproject.toml``).
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "bcdi_inpaint"
LONG_MODULE, LONG_FUNCTION = 300, 60
MAY_BE_LONG = {
    "filling/pipeline.py:inpaint": "its parameters are the package's contract, and explained at length",
    "cli/files.py:fill": "every option of the command is an argument",
    "export/conversion.py:fill_file": "the same for files",
    "console/plans.py:bcdi_rocking_fly": "every parameter is shown to who queues the plan",
}
"""Functions that are longer, docstring included, and why."""
MOST_ANY = 149


def main() -> None:
    lines = anys = 0
    too_long: list[str] = []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text()
        length = text.count("\n")
        lines += length
        name = path.relative_to(SOURCE)
        if length > LONG_MODULE:
            too_long.append(f"{name}: {length} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                function = f"{name.as_posix()}:{node.name}"
                if length > LONG_FUNCTION and function not in MAY_BE_LONG:
                    too_long.append(f"{function}: {length} lines")
            anys += isinstance(node, ast.Name) and node.id == "Any"
    print(f"{lines:6} lines of source")
    print(f"{anys:6} uses of Any, at most {MOST_ANY}")
    print(
        f"{len(too_long):6} modules above {LONG_MODULE} and functions above {LONG_FUNCTION} lines"
    )
    for one in too_long:
        print(f"       {one}")
    sys.exit(bool(too_long) or anys > MOST_ANY)


if __name__ == "__main__":
    main()
