"""Every loss on a GPU that is not there."""

import pytest
from processes import ROOT, environment, run_module


@pytest.mark.slow
def test_on_the_pretended_device():
    """In a process of its own: torch knows the device from then on."""
    result = run_module(
        'pytest',
        *('-q', '-n0', '-o', 'addopts=--import-mode=importlib'),
        'tests/on_pretended_device.py',
        cwd=ROOT,
        env=environment(ROOT),
    )
    assert result.returncode == 0, result.stdout
    assert '12 passed' in result.stdout
