"""Audit the installed packages for known vulnerabilities, and record what was audited.

    python deploy/audit.py dependencies.txt

Ends with 1 if there are vulnerabilities. Where pip-audit can't reach its data (a mirror of PyPI has
none) it says so, and the list of packages is what remains.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path


def main(record: Path) -> int:
    """Audit, write the record, say what was found."""
    command = [sys.executable, "-m", "pip_audit", "--local", "--format", "json"]
    done = subprocess.run(  # noqa: S603 (this interpreter)
        [*command, "--progress-spinner", "off"], capture_output=True, text=True, check=False
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        sys.stderr.write(f"pip-audit failed: {done.stderr.strip()}\n")
        return 2
    lines, audited, found = [], 0, []
    for package in sorted(packages, key=lambda one: one["name"]):
        if "skip_reason" in package:
            lines.append(f"{package['name']}=={version(package['name'])}  # not audited")
            continue
        audited += 1
        lines.append(f"{package['name']}=={package['version']}")
        found += [f"{lines[-1]}: {one['id']}" for one in package["vulns"]]
    record.write_text("\n".join(lines) + "\n")
    sys.stdout.write(f"{audited} of {len(packages)} packages were audited; recorded in {record}\n")
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
