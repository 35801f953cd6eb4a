"""A Tiled server in this process, for one person: what the demonstration and the profile start."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from tiled.media_type_registration import default_serialization_registry
from tiled.server import SimpleTiledServer

from .layout import SPEC

if TYPE_CHECKING:
    from pathlib import Path

HERE = "bcdi_inpaint.catalog.server_side"
MEDIA_TYPES = {
    "BlueskyRun": {
        "application/json-seq": "bluesky_tiled_plugins.exporters:json_seq_exporter",
    },
    SPEC: {
        "application/x-pynx-cxi": f"{HERE}:pynx_cxi",
        "application/x-pynx-cxi-hard": f"{HERE}:pynx_cxi_hard",
        "application/x-pynx-cxi-soft": f"{HERE}:pynx_cxi_soft",
        "application/x-pynx-cxi-free": f"{HERE}:pynx_cxi_free",
        "application/x-pynx-zip": f"{HERE}:pynx_run",
        "application/x-pynx-npz": f"{HERE}:pynx_npz",
        "application/x-cdiutils-zip": f"{HERE}:cdiutils",
        "application/x-cohere-tiff": f"{HERE}:cohere",
        "application/x-nexus": f"{HERE}:nexus",
        "image/tiff": f"{HERE}:tif",
    },
}
"""What a server exports: spec -> media type -> where the exporter is. As in ``deploy/tiled/beamline``."""
VALIDATOR = "bcdi_inpaint.catalog.validation:validate"
"""What a server checks of nodes with our spec."""
FILE_EXTENSIONS = {
    "cxi": "application/x-pynx-cxi",
    "cxi-hard": "application/x-pynx-cxi-hard",
    "cxi-soft": "application/x-pynx-cxi-soft",
    "cxi-free": "application/x-pynx-cxi-free",
    "pynx": "application/x-pynx-zip",
    "pynx-npz": "application/x-pynx-npz",
    "cdiutils": "application/x-cdiutils-zip",
    "cohere": "application/x-cohere-tiff",
    "nxs": "application/x-nexus",
}


def local_server(
    folder: Path, *readable: Path, api_key: str | None = None, port: int = 0
) -> SimpleTiledServer:
    """Start a server on a port of this machine, which also exports filled scans.

    Parameters
    ----------
    folder
        Where it keeps its data; what is there already is served again.
    readable
        Folders of detector files.
    api_key
        Made anew if None.
    port
        Any that is free if 0.
    """
    resolve_name(VALIDATOR)  # registers itself
    for spec, exporters in MEDIA_TYPES.items():
        for media_type, exporter in exporters.items():
            default_serialization_registry.register(spec, media_type, resolve_name(exporter))
    for extension, media_type in FILE_EXTENSIONS.items():
        default_serialization_registry.register_alias(extension, media_type)
    return SimpleTiledServer(folder, api_key, port, list(readable))
