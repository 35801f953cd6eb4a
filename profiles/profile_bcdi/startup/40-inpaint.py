"""Inpainting: all that a beamline's own profile needs is this one call."""

from bcdi_inpaint.console import install
from bcdi_inpaint.live import Settings

inpaint = install(
    RE, raw, processed, folder=DATA / "inpaint", settings=Settings(file_roots=(FILES,))
)
