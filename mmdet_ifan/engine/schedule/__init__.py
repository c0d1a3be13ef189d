"""When the terms are launched."""
