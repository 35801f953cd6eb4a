"""Training, fine-tuning and their data sets."""
