"""Stands for yapf in the processes that tests start.

mmengine formats the text of a run's config several times, and yapf takes more
than a second each time. The text says the same without it.
"""

__version__ = '0'
