"""The bench: metrics, gap cases, and tables for every filling method beside its noise ceiling."""
