"""Errors, files and text: what every other package may import."""
