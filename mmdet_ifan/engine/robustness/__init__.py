"""Runs that survive: resume, finite steps, unreadable images."""
