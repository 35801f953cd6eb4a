"""What the project says of its tools and dependencies agrees with itself."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED: dict[str, str] = {
    canonicalize_name(name): version
    for name, _, version in (
        line.strip().partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines()
    )
    if version
}
GROUPS = {
    "dependencies": PROJECT["project"]["dependencies"],
    **PROJECT["project"]["optional-dependencies"],
    **PROJECT["dependency-groups"],
}


def test_pre_commit_runs_the_tools_that_are_installed() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    revisions = {repo["repo"].rpartition("/")[2]: repo.get("rev") for repo in config["repos"]}
    assert revisions["ruff-pre-commit"] == f"v{PINNED['ruff']}"
    assert revisions["codespell"] == f"v{PINNED['codespell']}"


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_required_is_pinned_to_a_version_that_is_allowed(group: str) -> None:
    for requirement in map(Requirement, GROUPS[group]):
        pinned = PINNED[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pinned, prereleases=True), requirement
