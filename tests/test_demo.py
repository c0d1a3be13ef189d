"""The demo, whole, on a dozen scenes and a few iterations."""
import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType

import mmcv
import pytest

from mmdet_ifan.datasets.mini_city import MiniCity

ROOT = Path(__file__).resolve().parents[1]
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


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the script, with configs that take seconds."""
    monkeypatch.syspath_prepend(ROOT / 'tools')
    spec = importlib.util.spec_from_file_location('demo',
                                                  ROOT / 'tools/demo.py')
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    configs = tmp_path / 'configs'
    configs.mkdir()
    for name in (module.WARM_START, *module.RUNS.values()):
        text = SHORT.format(name=name)
        if name == module.RUNS['ifan']:
            text += LAUNCH
        (configs / f'{name}.py').write_text(text)
    monkeypatch.setattr(module, 'CONFIGS', configs)
    monkeypatch.setattr(module, 'CITY', MiniCity(train=6, val=6))
    monkeypatch.chdir(tmp_path)
    return module


def test_demo(demo: ModuleType, monkeypatch: pytest.MonkeyPatch,
              capsys: pytest.CaptureFixture[str]) -> None:
    """One table, one picture, one file of results; the second run is free."""
    monkeypatch.setattr('sys.argv', ['demo.py', '--seed', '3'])
    demo.main()

    folder = Path('work_dirs/demo_seed-3')
    results = json.loads((folder / 'results.json').read_text())
    for row in ('source_only', 'ifan', 'oracle'):
        for domain in ('source', 'target'):
            assert 0 <= results[row][f'{domain}/mAP50'] <= 100
        assert any(key.startswith('target/AP50/') for key in results[row])
    low, method, best = (
        results[row]['target/mAP50']
        for row in ('source_only', 'ifan', 'oracle'))
    if best > low:
        assert results['gap_recovered'] == pytest.approx(
            100 * (method - low) / (best - low))
    else:
        assert math.isnan(results['gap_recovered'])
    table = (folder / 'results.md').read_text()
    assert all(row in table for row in ('source_only', 'ifan', 'oracle'))
    picture = mmcv.imread(str(folder / 'detections.png'))
    assert min(picture.shape[:2]) > 300

    page = (folder / 'report.html').read_text()
    assert page.count('src="data:image/png;base64,') == 2
    assert 'ifan_mini-city.py' in page and 'SHA-256' in page

    checkpoints = {
        path: path.stat().st_mtime_ns
        for path in folder.rglob(f'iter_{ITERATIONS}.pth')
    }
    assert len(checkpoints) == 4
    demo.main()
    assert all(path.stat().st_mtime_ns == time
               for path, time in checkpoints.items())
    assert 'gap recovered' in capsys.readouterr().out
