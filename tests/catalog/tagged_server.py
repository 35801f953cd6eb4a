"""A Tiled server with users and an access policy, as a process of its own: FOLDER -> prints its URL.

`operator` owns the tag "proposal-1"; `visitor` may write, too, but not give that tag.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from tiled.access_control.access_tags import AccessTagsCompiler
from tiled.access_control.scopes import ALL_SCOPES
from tiled.catalog import from_uri
from tiled.server.app import build_app_from_config
from tiled.server.settings import DatabaseSettings
from tiled.server.simple import ThreadedServer

USERS = {"operator": "operator", "visitor": "visitor"}
WRITER = [
    "read:metadata",
    "read:data",
    "create:node",
    "write:metadata",
    "write:data",
    "delete:node",
    "delete:revision",
]
TAGS: dict[str, Any] = {
    "roles": {"writer": {"scopes": WRITER}},
    "tags": {
        "beamline": {"users": [{"name": name, "role": "writer"} for name in USERS]},
        "proposal-1": {"users": [{"name": "operator", "role": "writer"}]},
    },
    "tag_owners": {
        "beamline": {"users": [{"name": "operator"}]},
        "proposal-1": {"users": [{"name": "operator"}]},
    },
}


def configuration(folder: Path) -> dict[str, Any]:
    policies = "tiled.access_control.access_policies"
    return {
        "authentication": {
            "providers": [
                {
                    "provider": "toy",
                    "authenticator": "tiled.authenticators:DictionaryAuthenticator",
                    "args": {"users_to_passwords": USERS},
                }
            ],
        },
        "database": {"uri": f"sqlite:///{folder / 'users.db'}", "init_if_not_exists": True},
        "access_control": {
            "access_policy": f"{policies}:TagBasedAccessPolicy",
            "args": {
                "provider": "toy",
                "access_tags_parser": "tiled.access_control.access_tags:AccessTagsParser",
            },
        },
        "catalog": {
            "uri": f"sqlite:///{folder / 'catalog.db'}",
            "writable_storage": [str(folder / "data")],
            "top_level_access_tags": ["beamline"],
        },
    }


def define_tags(folder: Path) -> None:
    uri = f"sqlite+aiosqlite:///{folder / 'catalog.db'}"
    from_uri(uri, init_if_not_exists=True)
    compiler = AccessTagsCompiler(ALL_SCOPES, TAGS, DatabaseSettings(uri=uri), lambda group: [])
    compiler.load_tag_config()
    asyncio.run(compiler.compile())


def main(folder: Path) -> None:
    import uvicorn

    define_tags(folder)
    app = build_app_from_config(configuration(folder))
    config = uvicorn.Config(app, port=0, loop="asyncio", log_level="error")
    with ThreadedServer(config).run_in_thread() as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        sys.stdin.read()  # until the test closes it


if __name__ == "__main__":
    main(Path(sys.argv[1]))
