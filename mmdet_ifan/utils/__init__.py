"""Errors, files and values: what every other package may import."""
