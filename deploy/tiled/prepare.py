"""Set up a Tiled server of the beamline kind: services, their keys, tags, containers.

Run it once the server is up, and again whenever ``tags.yml`` has changed; what is there stays. Keys
go to files that only their owner may read.

    python prepare.py http://localhost:8000 --beamline cdi --secrets secrets --tags tags.yml
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.exc import SQLAlchemyError
from tiled.access_control.access_tags import AccessTagsCompiler
from tiled.access_control.scopes import ALL_SCOPES
from tiled.client import from_context
from tiled.client.context import Context, password_grant
from tiled.server.settings import DatabaseSettings
from tiled.structures.core import Spec

READ = ["read:metadata", "read:data"]
WRITE = ["write:metadata", "write:data", "create:node"]
STREAM = ["create:apikeys", "revoke:apikeys"]
"""Tiled's client makes a short-lived key of its own for each subscription."""

SERVICES = {
    # TiledWriter registers detector files, which the role "user" may not; the key is no admin's.
    "acquisition": ("admin", [*READ, *WRITE, "register"]),
    "inpainting": ("user", [*READ, *WRITE, "delete:node", "delete:revision", *STREAM]),
}
"""Name -> role, and the scopes of its key: exactly what it needs."""


def main() -> None:
    """Do it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("uri", help="of the Tiled server")
    parser.add_argument("--beamline", default="beamline", help="name of the uppermost container")
    parser.add_argument("--secrets", type=Path, required=True, help="folder of secret files")
    parser.add_argument("--tags", type=Path, default=Path(__file__).with_name("tags.yml"))
    args = parser.parse_args()
    try:
        prepare(args)
    except (OSError, KeyError, ValueError, httpx.HTTPError, SQLAlchemyError) as error:
        sys.exit(f"error: {type(error).__name__}: {' '.join(str(error).split())}")
    print(f"{args.uri} is prepared; the services' keys are in {args.secrets}")  # noqa: T201


def prepare(args: argparse.Namespace) -> None:
    """Make the services, write the tags, create the containers."""
    httpx.head(args.uri, timeout=10)  # Tiled's own client would try for a minute
    context, _ = Context.from_any_uri(args.uri)
    login(context, (args.secrets / "tiled_admin_password").read_text().strip())
    members = {name: service(context, name, args.secrets) for name in SERVICES}
    os.environ["PGPASSWORD"] = (args.secrets / "postgres_password").read_text().strip()
    asyncio.run(
        compile_tags(args.tags, members, f"postgresql+asyncpg://tiled@{postgres_host()}/catalog")
    )
    containers(from_context(context), args.beamline)


def postgres_host() -> str:
    """HOST:PORT, as start.sh has it."""
    here = Path(__file__).with_name("hosts.env").read_text().splitlines()
    known = dict(line.split("=", 1) for line in here if not line.startswith("#"))
    return os.environ.get("POSTGRES_HOST") or known["POSTGRES_HOST"]


def login(context: Context, password: str) -> None:
    """Log in as ``admin``, whose password authentication.yml takes from a file."""
    provider = context.server_info.authentication.providers[0]
    tokens = password_grant(
        context.http_client, provider.links["auth_endpoint"], provider.provider, "admin", password
    )
    context.configure_auth(tokens, remember_me=False)


def service(context: Context, name: str, secrets: Path) -> str:
    """The uuid of a service, which is created with its key unless it was before."""
    key, uuid = secrets / f"tiled_key_{name}", secrets / f"tiled_uuid_{name}"
    if not key.exists():
        role, scopes = SERVICES[name]
        principal = context.admin.create_service_principal(role)
        uuid.write_text(principal["uuid"])
        made = context.admin.create_api_key(principal["uuid"], scopes=scopes, note=name)
        with open(key, "w", opener=lambda path, flags: os.open(path, flags, 0o400)) as file:
            file.write(made["secret"])
    return uuid.read_text()


async def compile_tags(tags: Path, members: dict[str, str], catalog: str) -> None:
    """Write the definitions in a file to the catalogue's database."""
    compiler = AccessTagsCompiler(
        ALL_SCOPES, tags, DatabaseSettings(uri=catalog), lambda group: [members[group]]
    )
    compiler.load_tag_config()
    await compiler.compile()


def containers(root: Any, beamline: str) -> None:
    """``<beamline>/raw`` for runs and ``<beamline>/processed/bcdi_inpaint`` for filled scans."""
    runs = [Spec("CatalogOfBlueskyRuns", version="3.0")]
    for path, specs in (
        ((beamline,), []),
        ((beamline, "raw"), runs),
        ((beamline, "processed"), []),
        ((beamline, "processed", "bcdi_inpaint"), []),
    ):
        *above, key = path
        parent = root[*above] if above else root
        if key not in parent:
            parent.create_container(key, specs=specs, access_tags=["beamline"])


if __name__ == "__main__":
    main()
