"""Runs as processes, the study and the demo."""
