"""The patching model: features, network, weights, fine-tuning to one scan."""

from .finetuning import FineTuned, finetune
from .weights import Model, load_model, save_model, shipped_models

__all__ = ["FineTuned", "Model", "finetune", "load_model", "save_model", "shipped_models"]
