"""Survive kills, wrong numbers, corrupt files and unreadable images."""
