"""Colours of all pictures and figures of fills."""

COLOURS = "magma"
"""Of counts: perceptually uniform, and safe for the colour-blind."""
GAP = "#75757f"
"""Not measured: a grey that the colour map does not hold."""
OUTLINE = "#56b4e9"
"""Filled: Okabe and Ito's sky blue."""
