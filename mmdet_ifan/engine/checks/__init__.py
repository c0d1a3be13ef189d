"""Check a run before its first iteration: plain functions and a hook."""
