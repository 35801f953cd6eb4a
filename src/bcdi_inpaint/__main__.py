"""``python -m bcdi_inpaint``, which ``torchrun -m`` needs."""

from bcdi_inpaint.cli import app

app()
