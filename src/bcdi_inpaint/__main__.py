"""``python -m bcdi_inpaint``, which ``torchrun -m`` needs."""

from bcdi_inpaint.cli.app import app

app()
