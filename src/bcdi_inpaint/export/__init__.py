"""Filled scans as files and pictures; nothing of Tiled."""
