"""Training, fine-tuning and their data."""

from .finetuning import FineTuned, finetune
from .outcome import write_outcome
from .recipe import TrainingRecipe, read_recipe
from .training import Progress, train

__all__ = [
    "FineTuned",
    "Progress",
    "TrainingRecipe",
    "finetune",
    "read_recipe",
    "train",
    "write_outcome",
]
