"""Training: recipes, data, the loop."""

from .artefacts import write_outcome
from .curve import Progress
from .loop import train
from .recipes import TrainingRecipe, read_recipe

__all__ = [
    "Progress",
    "TrainingRecipe",
    "read_recipe",
    "train",
    "write_outcome",
]
