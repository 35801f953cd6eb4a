"""Where runs go: a Tiled server of the facility, or one of our own.

BCDI_TILED_PROFILE
    Name of a Tiled profile (`tiled profile list`); if it is not set, a server is started here,
    whose data are in the folder BCDI_DATA.
BCDI_RAW
    Path of the catalogue of runs on that server. Filled scans go beside it.
"""

import os
import threading

from bluesky_tiled_plugins import TiledWriter
from tiled.client import from_profile, from_uri
from tiled.structures.core import Spec

from bcdi_inpaint.catalog import open_processed

RAW = os.environ.get("BCDI_RAW", "bcdi/raw").split("/")


def serve_tiled():
    """Start a server that ends with this session; returns its root."""
    from bcdi_inpaint.catalog.local_server import local_server

    server = local_server(DATA / "tiled", FILES)
    main = threading.main_thread()
    threading.Thread(target=lambda: (main.join(), server.close())).start()
    print(f"Tiled: {server.web_ui_link}")
    root = from_uri(server.uri)
    *folders, catalogue = RAW
    here = root
    for folder in folders:
        here = here[folder] if folder in here else here.create_container(folder)
    if catalogue not in here:
        here.create_container(catalogue, specs=[Spec("CatalogOfBlueskyRuns", version="3.0")])
    return root


if profile := os.environ.get("BCDI_TILED_PROFILE"):
    tiled = from_profile(profile)
else:
    tiled = serve_tiled()
tiled.context.show_progress = False
raw = tiled["/".join(RAW)]
processed = open_processed(raw)
RE.subscribe(TiledWriter(raw))
