"""A leak is seen by ``soak.py``."""
import json
import subprocess
import sys
from pathlib import Path

LEAK = """
import time
kept = []
for _ in range(20):
    kept += [bytearray(2**20), open('/dev/null')]
    time.sleep(.1)
"""


def test_leak(tmp_path):
    output = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name('soak.py'), '--out', tmp_path,
            '--interval', '.1', '--', sys.executable, '-c', LEAK
        ],
        capture_output=True,
        text=True,
        check=True).stdout
    assert output.startswith('| quarter | MiB | open files | processes |')
    assert (tmp_path / 'soak.png').stat().st_size > 1000
    looks = json.loads((tmp_path / 'soak.json').read_text())['looks']
    first, last = looks[1], looks[-1]
    assert last['memory'] > first['memory'] + 5
    assert last['descriptors'] > first['descriptors'] + 5
