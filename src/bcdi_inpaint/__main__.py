"""``python -m bcdi_inpaint``, which ``torchrun -m`` needs."""

from .cli import app

app()
