"""The README's commands, configs and tables, as they stand there."""

import json
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from processes import environment, run_tool

from mmdet_ifan.analysis.page_tables import with_table
from mmdet_ifan.utils.named_configs import config_path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text()
(OWN_PAIR,) = re.findall(
    r'^## A pair of your own\n(.*?)^## ', README, re.DOTALL | re.MULTILINE
)
TABLES = runpy.run_path(str(ROOT / 'tools/write_tables.py'))
(CONFIG,) = re.findall(r'```python\n(.*?)```', OWN_PAIR, re.DOTALL)
ITERATIONS = 2
#: A dog and a cat.
SIZE = '<size><width>60</width><height>40</height></size>'
VOC = (
    f'<annotation>{SIZE}'
    + ''.join(
        f'<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>7</ymin>'
        f'<xmax>{x + 19}</xmax><ymax>36</ymax></bndbox></object>'
        for name, x in (('dog', 6), ('cat', 31))
    )
    + '</annotation>'
)
#: Tiny images, thin layers, weights that need no download.
SMALL = [
    'model.backbone.init_cfg=None',
    'model.rpn_head.feat_channels=16',
    'model.roi_head.bbox_head.init_cfg=None',
    'model.roi_head.bbox_head.fc_out_channels=16',
    'train_dataloader.dataset.source.pipeline.2.scale=(96,64)',
    'train_dataloader.dataset.target.pipeline.1.scale=(96,64)',
    'val_dataloader.dataset.pipeline.1.scale=(96,64)',
    'test_dataloader.dataset.pipeline.1.scale=(96,64)',
]
SHORT = [
    f'train_cfg.max_iters={ITERATIONS}',
    'param_scheduler.0.end=1',
    'param_scheduler.1.begin=1',
    'default_hooks.late_launch.launch.image=0',
    'default_hooks.late_launch.launch.instance=0',
    'default_hooks.late_launch.launch.correlation=1',
]


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a README section, those that go on a line as one."""
    for block in re.findall(r'(?:^    .*\n)+', text, re.MULTILINE):
        for line in block.replace('\\\n', ' ').splitlines():
            program, *arguments = shlex.split(line)
            if program in ('python', 'mim'):
                yield [program, *arguments]


def write_pair(root: Path) -> None:
    """Images and VOC files as the README describes them."""
    for domain, splits in (('source', ('train', 'val')), ('target', ('val',))):
        for split in splits:
            names = [f'{split}_{i}' for i in range(2)]
            for name in names:
                draw(root / domain / f'JPEGImages/{name}.jpg')
                write(root / domain / f'Annotations/{name}.xml', VOC)
            write(root / domain / f'ImageSets/Main/{split}.txt', '\n'.join(names))
    for i in range(3):
        draw(root / f'target/train/{i}.png')


def write(path: Path, text: str) -> None:
    """Write a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def draw(path: Path) -> None:
    """Write an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.randint(256, size=(40, 60, 3), dtype=np.uint8)
    cv2.imwrite(str(path), image)


@pytest.fixture
def own_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with the README's config, data and our tools."""
    (tmp_path / 'tools').symlink_to(ROOT / 'tools')
    (tmp_path / 'my_pair.py').write_text(CONFIG)
    write_pair(tmp_path / 'data/my_pair')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_own_pair(own_pair: Path, wheel: Path) -> None:
    """Two folders in, pictures, a checkpoint and its mAP out."""
    extra = {
        'custom.py': [],
        'browse_pairs.py': ['-n', '2', '--cfg-options', *SMALL],
        'train': ['--cfg-options', *SMALL, *SHORT],
        'test': ['--out', 'metrics.json', '--cfg-options', *SMALL],
    }
    # mim runs the installed package, the tools their checkout's.
    env = environment(wheel)
    ran = []
    for program, *arguments in commands(OWN_PAIR):
        (name,) = {Path(arguments[0]).name} & extra.keys()
        ran.append(name)
        arguments = [
            argument.replace('iter_1000', f'iter_{ITERATIONS}')
            for argument in arguments
        ]
        arguments += extra[name]
        if program == 'python':
            tool = arguments.pop(0).removeprefix('tools/')
            result = run_tool(tool, *arguments, cwd=own_pair)
        else:
            command = [sys.executable, '-m', 'mim', *arguments]
            result = subprocess.run(command, env=env, capture_output=True, text=True)
        said = result.stdout + result.stderr
        assert result.returncode == 0, said
        if program == 'mim':
            assert str(wheel) in said
            assert str(ROOT / 'mmdet_ifan') not in said
    assert ran == ['custom.py', 'custom.py', 'browse_pairs.py', 'train', 'test']
    for picture in Path('work_dirs/my_pair_pictures').iterdir():
        # Side by side, enlarged from 64 x 96.
        assert cv2.imread(str(picture)).shape == (384, 2 * 576 + 8, 3)
    assert len(list(Path('work_dirs/my_pair_pictures').iterdir())) == 2
    assert Path(f'work_dirs/my_pair/iter_{ITERATIONS}.pth').stat().st_size
    metrics = json.loads(Path('metrics.json').read_text())
    for domain in ('source', 'target'):
        assert 0 <= metrics[f'{domain}/mAP50'] <= 100
        assert f'{domain}/AP50/cat' in metrics


def test_template_is_the_readmes_config(configs: Path) -> None:
    assert (configs / 'template/own_pair.py').read_text() == CONFIG


@pytest.mark.parametrize(
    ('page', 'block'),
    [
        (page.name, block)
        for page in sorted((ROOT / 'docs').rglob('*.md'))
        for block in re.findall(r'```python\n(.*?)```', page.read_text(), re.DOTALL)
    ],
)
def test_configs_of_the_pages(own_pair: Path, page: str, block: str) -> None:
    (own_pair / 'leaf.py').write_text(block)
    cfg = Config.fromfile('leaf.py')
    if cfg.model.type == 'CycleGAN':
        # It tests nothing.
        assert cfg.val_dataloader is None and cfg.test_dataloader is None
        assert cfg.train_dataloader.dataset.augmentation[0].type == 'RandomCrop'
        assert cfg.train_dataloader.dataset.source.metainfo.classes == ('cat', 'dog')
        return
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
    if cfg.val_dataloader is None:
        assert cfg.val_cfg is None and cfg.val_evaluator is None
    else:
        assert cfg.val_dataloader == cfg.test_dataloader
    assert train.source.metainfo == test.target.metainfo
    scales = {
        tuple(step.scale)
        for part in (train.source, train.target, test)
        for step in part.pipeline
        if step.type == 'Resize'
    }
    assert len(scales) == 1
    hook = cfg.default_hooks.late_launch
    length = cfg.train_cfg['max_epochs' if hook.get('by_epoch') else 'max_iters']
    assert all(start < length for start in hook.launch.values())


@pytest.mark.parametrize(
    'path', sorted(set(re.findall(r'\]\((?!https?:)([^)]*)\)', README)))
)
def test_links(path: str) -> None:
    assert (ROOT / path.split('#')[0]).exists()


@pytest.mark.parametrize('name', TABLES['TABLES'])
def test_tables_are_those_of_their_sources(name: str) -> None:
    page, make = TABLES['TABLES'][name]
    assert page.read_text() == with_table(page.read_text(), name, make()), (
        'Run "make tables".'
    )


def test_table_of_the_paper() -> None:
    """Its Table 1 and 2, the column of the mean, typed from there."""
    heading, _, *rows = [
        [cell.strip() for cell in line.split('|')[1:-1]]
        for line in TABLES['paper_table']().splitlines()
    ]
    assert heading == [
        'configs',
        'Source-Only',
        'ADDA',
        'DT+FT',
        'DA-Faster',
        'MTOR',
        'Few-shot',
        'SelectAlign',
        'Strong-Weak',
        'iFAN',
        'Oracle',
    ]
    assert [
        '`*_vgg16_city2foggy.py`',
        '16.9',
        '24.9',
        '26.1',
        '27.6',
        '',
        '31.3',
        '33.8',
        '34.3',
        '35.3',
        '38.9',
    ] in rows
    assert [
        '`*_r50-dc5_sim10k2city.py`',
        '35.1',
        '',
        '',
        '',
        '46.6',
        '',
        '',
        '',
        '47.1',
        '66.4',
    ] in rows
    assert len(rows) == 4


def test_table_goes_between_its_markers() -> None:
    page = 'before\n<!-- a -->\n{}<!-- /a -->\nafter\n'
    written = with_table(page.format('old\n'), 'a', '| \\1 |\n')
    assert written == page.format('\n| \\1 |\n\n')
    with pytest.raises(ValueError, match='<!-- b -->'):
        with_table(page, 'b', '')


@pytest.mark.parametrize(
    'command', sorted(set(re.findall(r'^    make (\w+)$', README, re.MULTILINE)))
)
def test_make_targets(command: str) -> None:
    assert re.search(rf'^{command}:', (ROOT / 'Makefile').read_text(), re.MULTILINE)


def test_named_configs() -> None:
    """They are found by their names, as mim and the tools find them."""
    names = re.findall(r'configs/(\w[\w-]*\.py)', README)
    assert names
    for name in names:
        assert Path(config_path(name)).is_file()
