"""The published network, rebuilt from the paper: the yardstick.

``bcdi_inpaint.inpaint(stack, mask, "reference", weights=folder)`` finds it by its entry point.
"""

from .filler import METHOD, weights_name
from .network import WIDTHS, ReferenceNetwork, reference_loss, reference_patch

__all__ = [
    "METHOD",
    "WIDTHS",
    "ReferenceNetwork",
    "reference_loss",
    "reference_patch",
    "weights_name",
]
