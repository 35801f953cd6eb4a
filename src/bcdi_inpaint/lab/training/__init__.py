"""Training: recipes, data, the loop."""

from .artefacts import write_artefacts
from .loop import train
from .recipes import TrainingRecipe, read_recipe

__all__ = [
    "TrainingRecipe",
    "read_recipe",
    "train",
    "write_artefacts",
]
