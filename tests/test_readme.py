"""What the README tells a user to write works as it stands there."""
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.fileio import dump

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text()


def coco(names: list[str]) -> dict:
    """A COCO file with one dog an image."""
    return dict(
        images=[
            dict(id=i, file_name=name, height=40, width=60)
            for i, name in enumerate(names)
        ],
        annotations=[
            dict(
                id=i + 1,
                image_id=i,
                category_id=7,
                bbox=[5, 6, 20, 10],
                area=200,
                iscrowd=0) for i in range(len(names))
        ],
        categories=[dict(id=7, name='dog'),
                    dict(id=9, name='cat')])


@pytest.fixture
def own_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The README's config beside ours, and data as it describes."""
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    block, = re.findall(r'```python\n(.*?)```', README, re.DOTALL)
    (tmp_path / 'configs/my_pair.py').write_text(block)
    root = tmp_path / 'data/my_pair'
    (root / 'target_images').mkdir(parents=True)
    names = ['a.png', 'b.png', 'target_images/c.png', 'target_images/d.png']
    for name in names:
        cv2.imwrite(str(root / name), np.zeros((40, 60, 3), np.uint8))
    for split in ('source_train', 'source_test'):
        dump(coco(names[:2]), root / f'{split}.json')
    dump(coco(names[2:]), root / 'target_test.json')
    monkeypatch.chdir(tmp_path)
    return Config.fromfile('configs/my_pair.py')


def test_own_pair(own_pair: Config) -> None:
    train = DATASETS.build(own_pair.train_dataloader.dataset)
    assert len(train.source) == len(train.target) == 2
    assert train.metainfo['classes'] == ('cat', 'dog')
    item = train[0, 1]
    source, target = (item['data_samples'][k] for k in ('source', 'target'))
    assert source.gt_instances.labels.tolist() == [1]
    assert not len(target.get('gt_instances', []))
    assert target.img_path.endswith('target_images/d.png')

    test = DATASETS.build(own_pair.test_dataloader.dataset)
    assert len(test) == 4
    assert own_pair.model.roi_head.bbox_head.num_classes == 2
    assert own_pair.model.alignments.instance.num_classes == 2


@pytest.mark.parametrize('path', sorted(
    set(re.findall(r'\]\(((?:docs|CITATION)[^)]*)\)', README))))
def test_links(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize('command', sorted(
    set(re.findall(r'^    make (\w+)$', README, re.MULTILINE))))
def test_make_targets(command: str) -> None:
    assert re.search(rf'^{command}:', (ROOT / 'Makefile').read_text(),
                     re.MULTILINE)


def test_named_configs() -> None:
    for name in re.findall(r'configs/(\w[\w-]*)\.py', README):
        if name != 'my_pair':
            assert (ROOT / f'configs/{name}.py').exists(), name
    for kinds, pair in re.findall(r'`\{([\w,-]+)\}(_[\w-]+)\.py`', README):
        for kind in kinds.split(','):
            assert (ROOT / f'configs/{kind}{pair}.py').exists(), pair
