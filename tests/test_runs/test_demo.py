"""The demo, whole, on a dozen scenes and a few iterations."""

import json
import math
from pathlib import Path

import mmcv
import pytest
from processes import ROOT, environment, run_script

from mmdet_ifan.mini_city import MiniCity
from mmdet_ifan.runs import demo
from mmdet_ifan.runs.demo_page import write_page

ITERATIONS = 4
SHORT = f"""
_base_ = 'mmdet_ifan::{{name}}.py'
train_cfg = dict(max_iters={ITERATIONS}, val_interval={ITERATIONS})
param_scheduler = []
default_hooks = dict(logger=dict(interval=1))
train_dataloader = dict(
    batch_size=1, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
"""
LAUNCH = """
default_hooks.update(
    late_launch=dict(launch=dict(image=0, instance=1, correlation=2)))
"""
#: The tool, with these configs and a dozen scenes.
DEMO = """
import runpy, sys

from mmdet_ifan.mini_city import MiniCity
from mmdet_ifan.runs import demo

demo.config_path = lambda name: f'configs/{name}'
demo.CITY = MiniCity(train=6, val=6)
runpy.run_path(sys.argv.pop(1), run_name='__main__')
"""


@pytest.fixture
def short_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configs that take seconds."""
    configs = tmp_path / 'configs'
    configs.mkdir()
    for name in demo.RUNS.values():
        text = SHORT.format(name=name)
        if name == demo.RUNS['iFAN']:
            text += LAUNCH
        (configs / f'{name}.py').write_text(text)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_demo(short_configs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table, a file of results and a page; the second run trains nothing."""
    tools = ROOT / 'tools'
    done = run_script(
        DEMO, tools / 'demo.py', '--seed', 3, cwd='.', env=environment(tools, ROOT)
    )
    assert done.returncode == 0, done.stderr
    folder = Path('work_dirs/demo_seed-3')
    report = json.loads((folder / 'results.json').read_text())
    results = report['runs']
    assert list(results) == ['source-only', 'iFAN', 'oracle']
    for row in results:
        for domain in ('source', 'target'):
            assert 0 <= results[row][f'{domain}/mAP50'] <= 100
        assert any(key.startswith('target/AP50/') for key in results[row])
    low, method, best = (metrics['target/mAP50'] for metrics in results.values())
    if best > low:
        assert report['gap_recovered'] == pytest.approx(
            100 * (method - low) / (best - low)
        )
    else:
        assert math.isnan(report['gap_recovered'])
    tables = (folder / 'results.md').read_text()
    assert tables in done.stdout and 'The demo took' in done.stdout
    assert all(f'| {row}' in tables for row in ('car', *results))
    picture = mmcv.imread(str(folder / 'detections.png'))
    assert min(picture.shape[:2]) > 300

    page = (folder / 'report.html').read_text()
    assert page.count('src="data:image/png;base64,') == 4
    assert page.count('<li>') == 3
    assert 'ifan_mini-city.py' in page and 'SHA-256' in page

    # Written again, it is the same page.
    write_page(folder)
    assert (folder / 'report.html').read_text() == page

    checkpoints = {
        path: path.stat().st_mtime_ns for path in folder.rglob(f'iter_{ITERATIONS}.pth')
    }
    assert len(checkpoints) == 3
    # Without its results, it writes them again.
    (folder / 'results.json').unlink()
    monkeypatch.setattr(demo, 'config_path', lambda name: f'configs/{name}')
    monkeypatch.setattr(demo, 'CITY', MiniCity(train=6, val=6))
    assert demo.run_demo(folder, 3) == tables
    assert all(path.stat().st_mtime_ns == time for path, time in checkpoints.items())
    assert 'gap recovered' in tables
