"""A leak is seen by ``soak.py``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LEAK = """
import time
kept = []
for _ in range(20):
    kept += [bytearray(2**20), open('/dev/null')]
    time.sleep(.1)
"""


@pytest.mark.slow
def test_leak(tmp_path):
    output = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name('soak.py'),
            '--out',
            tmp_path,
            '--interval',
            '.1',
            '--',
            sys.executable,
            '-c',
            LEAK,
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert output.startswith('| quarter | MiB | open files | processes |')
    assert (tmp_path / 'soak.png').stat().st_size > 1000
    looks = json.loads((tmp_path / 'soak.json').read_text())['looks']
    # On a busy machine the last look may be at a process that is ending.
    for what in ('memory', 'descriptors'):
        first, *later = (look[what] for look in looks[1:])
        assert max(later) > first + 5
