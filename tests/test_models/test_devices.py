"""Every loss on a GPU that is not there."""

import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[1] / 'on_pretended_device.py'


@pytest.mark.slow
def test_on_the_pretended_device():
    """In a process of its own: torch knows the device from then on."""
    options = ('-q', '-n0', '-o', 'addopts=--import-mode=importlib')
    result = subprocess.run(
        [sys.executable, '-m', 'pytest', *options, str(FILE)],
        cwd=FILE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert '12 passed' in result.stdout
