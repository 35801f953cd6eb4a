"""Plans."""

from bcdi_inpaint.console.plans import bcdi_rocking_fly, bcdi_rocking_scan  # noqa: F401
