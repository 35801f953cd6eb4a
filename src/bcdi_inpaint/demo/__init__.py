"""The demonstration: a rocking scan, filled while it is measured, and found again in Tiled.

Every part is the one that a beamline has: a Tiled server, a RunEngine with ``TiledWriter`` and
`bcdi_inpaint.live.InpaintCallback`, a motor, and a detector whose files another process writes.
Only the photons are simulated, or replayed from a real scan.
"""

from .comparison import compare
from .demonstration import demonstrate
from .experiment import Experiment, replayed, simulated

__all__ = ["Experiment", "compare", "demonstrate", "replayed", "simulated"]
