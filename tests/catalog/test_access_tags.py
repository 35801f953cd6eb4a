"""A filled scan is seen by those who see the raw run, on a server with users and tags."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient
from tiled.client import from_context
from tiled.client.context import Context, password_grant
from typer.testing import CliRunner

from bcdi_inpaint.catalog import TagsRefusedError, write
from bcdi_inpaint.catalog.access import follow_tags
from bcdi_inpaint.cli import app
from bcdi_inpaint.service.page import page

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiled.client.container import Container

    from tests.helpers.filled_scans import MakeScan


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    script = Path(__file__).with_name("tagged_server.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path_factory.mktemp("tagged"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def log_in(url: str, user: str) -> Container:
    context = Context(f"{url}/api/v1")
    (provider,) = context.server_info.authentication.providers
    tokens = password_grant(
        context.http_client, provider.links["auth_endpoint"], provider.provider, user, user
    )
    context.configure_auth(tokens, remember_me=False)
    context.show_progress = False
    return from_context(context)


@pytest.fixture(scope="module")
def operator(url: str) -> Iterator[Container]:
    client = log_in(url, "operator")
    client.create_container("processed", access_tags=["beamline"])
    yield client
    client.context.close()


@pytest.fixture(scope="module")
def visitor(url: str, operator: Container) -> Iterator[Container]:
    client = log_in(url, "visitor")
    yield client
    client.context.close()


def test_every_child_has_the_tags_of_the_run(
    operator: Container, visitor: Container, make_scan: MakeScan
) -> None:
    node = write(operator["processed"], *make_scan(access_tags=("proposal-1",)))
    assert list(node.access_tags) == ["proposal-1"]
    assert {name: tuple(node[name].access_tags) for name in node} == dict.fromkeys(
        ("intensity", "sigma", "mask", "eta", "quicklook"), ("proposal-1",)
    )
    assert node.item["id"] in operator["processed"]
    assert node.item["id"] not in visitor["processed"]


def test_a_key_that_may_not_give_the_tags_is_told_so_and_nothing_is_left(
    operator: Container, visitor: Container, make_scan: MakeScan
) -> None:
    before = set(operator["processed"])
    with pytest.raises(TagsRefusedError, match=r"access tags \['proposal-1'\].*not an owner of"):
        write(visitor["processed"], *make_scan(access_tags=("proposal-1",)))
    assert set(operator["processed"]) == before


def test_without_tags_a_scan_belongs_to_its_writer_alone(
    operator: Container, visitor: Container, make_scan: MakeScan
) -> None:
    node = write(visitor["processed"], *make_scan())
    assert list(node.access_tags) == ["user:visitor"]
    assert node.item["id"] not in operator["processed"]


def test_a_run_that_belongs_to_its_writer_gives_a_scan_that_does(
    operator: Container, visitor: Container, make_scan: MakeScan
) -> None:
    node = write(operator["processed"], *make_scan(access_tags=("user:operator", "beamline")))
    assert set(node.access_tags) <= {"user:operator", "beamline"}
    node = write(operator["processed"], *make_scan(access_tags=("user:operator",)))
    assert list(node.access_tags) == ["user:operator"]
    with pytest.raises(TagsRefusedError, match=r"instead of the raw run's \['user:operator'\]"):
        write(visitor["processed"], *make_scan(access_tags=("user:operator",)))


def test_a_server_that_would_drop_the_tags_gets_nothing(
    processed: Container, make_scan: MakeScan
) -> None:
    """One without an access policy would show the scan to everybody."""
    with pytest.raises(TagsRefusedError, match="Has the server no access policy"):
        write(processed, *make_scan(access_tags=("proposal-1",)))
    assert list(processed) == []


def test_the_page_shows_what_the_viewers_key_may_see(
    operator: Container, visitor: Container, make_scan: MakeScan
) -> None:
    processed = operator["processed"]
    hidden = write(processed, *make_scan(access_tags=("proposal-1",), sample="Pt_4711"))
    write(processed, *make_scan(access_tags=("beamline",), sample="Au_42"))
    picture = f"/quicklook/{hidden.item['id']}.png"
    keys = [user.context.create_api_key(expires_in=600)["secret"] for user in (operator, visitor)]
    with TestClient(page(processed, sign_in=True)) as browser:
        theirs, ours = ((browser.get("/", auth=("", key)).text) for key in keys)
        assert "Pt_4711" in theirs
        assert "Au_42" in ours
        assert "Pt_4711" not in ours
        assert hidden.item["id"] not in ours
        found = browser.get("/", params={"sample": "Pt_4711"}, auth=("", keys[1])).text
        assert hidden.item["id"] not in found
        answers = [browser.get(picture, auth=("", key)).status_code for key in keys]
        assert answers == [200, 404]


def test_a_run_that_is_made_private_takes_its_filled_scan_along(
    operator: Container, visitor: Container, make_scan: MakeScan
) -> None:
    processed = operator["processed"]
    runs = operator.create_container("raw", access_tags=["beamline"])
    scan, filled = make_scan(access_tags=("beamline",))
    uid = scan.metadata.raw_uid
    run = runs.create_container(
        uid, metadata={"start": {"uid": uid}, "stop": {"time": 1}}, access_tags=["beamline"]
    )
    node = write(processed, scan, filled)
    key = node.item["id"]
    assert key in visitor["processed"]
    assert follow_tags(runs, processed) == []
    run.update_metadata(access_tags=["proposal-1"])
    assert follow_tags(runs, processed) == [key]
    assert key not in visitor["processed"]
    node = processed[key]
    assert [list(one.access_tags) for one in (node, *node.base.values())] == 6 * [["proposal-1"]]
    assert follow_tags(runs, processed) == []
    page_of = TestClient(page(processed, sign_in=True))
    secret = visitor.context.create_api_key(expires_in=600)["secret"]
    with page_of as browser:
        assert key not in browser.get("/", auth=("", secret)).text
        assert browser.get(f"/quicklook/{key}.png", auth=("", secret)).status_code == 404


def test_a_command_has_the_tags_follow(
    url: str,
    operator: Container,
    make_scan: MakeScan,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    beamline = operator.create_container("commanded", access_tags=["beamline"])
    runs, processed = (
        beamline.create_container(name, access_tags=["beamline"]) for name in ("raw", "processed")
    )
    scan, filled = make_scan(access_tags=("beamline",))
    uid = scan.metadata.raw_uid
    start = {"start": {"uid": uid}, "stop": {"time": 1}}
    run = runs.create_container(uid, metadata=start, access_tags=["beamline"])
    key = write(processed, scan, filled).item["id"]
    run.update_metadata(access_tags=["proposal-1"])
    secret = operator.context.create_api_key(expires_in=600)["secret"]
    monkeypatch.setenv("TILED_API_KEY", secret)
    config = tmp_path / "service.toml"
    config.write_text(
        f'[tiled]\nuri = "{url}"\nraw = "commanded/raw"\nprocessed = "commanded/processed"\n'
    )
    for expected in (["1 filled scans got the access tags of their raw runs", key], ["0 "]):
        result = CliRunner().invoke(app, ["tags", str(config)])
        assert result.exit_code == 0, result.output
        lines = result.output.splitlines()
        assert len(lines) == len(expected)
        assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True))
    assert list(processed[key].access_tags) == ["proposal-1"]
