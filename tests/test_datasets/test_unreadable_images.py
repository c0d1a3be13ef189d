"""Images that cannot be loaded: named, skipped up to a limit, counted."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import mmcv
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmdet_ifan.datasets import (
    DomainCocoDataset,
    PairedDomainDataset,
    UnlabelledDataset,
)
from mmdet_ifan.engine import UnreadableImagesHook
from mmdet_ifan.utils.errors import DataError

SIZE = (8, 12)
LOAD = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_path',)),
]


@pytest.fixture
def pair(write_coco: Callable, tmp_path: Path) -> Callable:
    """Builder of five source and five target images."""
    write_coco(
        'source.json',
        [(f's{i}.png', SIZE) for i in range(5)],
        [(i, 'car', (i, 1, 3, 4)) for i in range(5)],
        ('car',),
    )
    for i in range(5):
        mmcv.imwrite(np.zeros((*SIZE, 3), np.uint8), str(tmp_path / f'target/t{i}.png'))

    def build(limit: int = 0, **kwargs) -> PairedDomainDataset:
        source = DomainCocoDataset(
            data_root=str(tmp_path),
            ann_file='source.json',
            pipeline=LOAD,
            metainfo=dict(classes=('car',)),
            max_unreadable=limit,
            **kwargs,
        )
        return PairedDomainDataset(
            source,
            UnlabelledDataset(
                'target',
                data_root=str(tmp_path),
                pipeline=[LOAD[0], LOAD[2]],
                max_unreadable=limit,
            ),
        )

    return build


def damage(tmp_path: Path, *names: str) -> None:
    """Damage images in the middle of a run."""
    for name in names:
        (tmp_path / name).write_bytes(b'no image')


def names(items: list[dict], branch: str) -> list[str]:
    """Names of the files in the items."""
    return [Path(item['data_samples'][branch].img_path).stem for item in items]


PAIRS = [(0, 4), (1, 0), (2, 1), (4, 2), (1, 3), (3, 3)]


def test_the_first_one_is_an_error_by_default(pair, tmp_path):
    dataset = pair()
    damage(tmp_path, 's1.png')
    with pytest.raises(DataError, match=r'image \S+s1.png cannot be loaded'):
        dataset[1, 0]


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 2])
def test_the_next_image_takes_its_place(pair, tmp_path, workers):
    dataset = pair(2)
    damage(tmp_path, 's1.png', 's2.png', 'target/t4.png')
    items = list(
        DataLoader(dataset, sampler=PAIRS, batch_size=None, num_workers=workers)
    )
    # 1 and 2 are damaged, so that 3 follows; after the last comes the first.
    assert names(items, 'source') == ['s0', 's3', 's3', 's4', 's3', 's3']
    assert names(items, 'target') == ['t0', 't0', 't1', 't2', 't3', 't3']
    # With its own boxes.
    boxes = items[1]['data_samples']['source'].gt_instances.bboxes.tensor
    assert boxes.tolist() == [[3, 1, 6, 5]]
    # Images that workers found are known here, each once.
    assert dataset.source.unreadable.tolist() == [False, True, True, False, False]
    assert dataset.target.unreadable.nonzero().tolist() == [[4]]


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 2])
def test_one_too_many_is_an_error_that_names_all(pair, tmp_path, workers):
    dataset = pair(1)
    damage(tmp_path, 's1.png', 's4.png')
    loader = DataLoader(dataset, sampler=PAIRS, batch_size=None, num_workers=workers)
    with pytest.raises(
        DataError,
        match=(
            r'image \S+s4.png cannot be loaded (.|\s)*2 of 5 images cannot, '
            r'and max_unreadable allows 1: \S+s1.png, \S+s4.png\. Replace'
        ),
    ):
        list(loader)


@pytest.mark.slow
def test_not_one_readable_image_is_an_error(pair, tmp_path):
    dataset = pair(99)
    damage(tmp_path, *(f's{i}.png' for i in range(5)))
    with pytest.raises(DataError, match='5 of 5 images cannot'):
        dataset[0, 0]


def test_no_test_image_is_skipped(pair, tmp_path):
    dataset = pair(5, test_mode=True)
    damage(tmp_path, 's1.png')
    with pytest.raises(DataError, match=r's1.png cannot be loaded'):
        dataset[1, 0]


def test_a_folder_that_vanished_is_no_bad_image(pair, tmp_path):
    dataset = pair(5)
    shutil.rmtree(tmp_path / 'target')
    with pytest.raises(
        DataError,
        match=(
            r't3.png cannot be loaded .*: its folder is gone. Check that '
            'its disk is mounted'
        ),
    ):
        dataset[1, 3]
    assert not dataset.target.unreadable.any()


def test_damage_before_training_counts_too(pair, tmp_path, caplog):
    path = tmp_path / 's1.png'
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match='1 of the 5 images .* cut short'):
        pair()
    assert names([pair(1)[1, 0]], 'source') == ['s2']


@pytest.mark.parametrize('limit', [-1, 1.5, '3'])
def test_limit_that_is_none(pair, limit):
    with pytest.raises(ValueError, match='max_unreadable must be an integer'):
        pair(limit)


def test_they_are_counted_at_the_end(pair, tmp_path, monkeypatch):
    dataset = pair(2)
    damage(tmp_path, 's1.png', 'target/t0.png', 'target/t4.png')
    loader = DataLoader(
        dataset, sampler=PAIRS, num_workers=2, batch_size=2, collate_fn=pseudo_collate
    )
    list(loader)

    # Another process found another image.
    def all_reduce(found: torch.Tensor, op: str) -> None:
        assert op == 'max'
        if found[1]:
            found[2] = 1

    monkeypatch.setattr(
        'mmdet_ifan.engine.robustness.unreadable_images_hook.all_reduce', all_reduce
    )
    said = []
    UnreadableImagesHook().after_train(
        SimpleNamespace(
            train_dataloader=loader, logger=SimpleNamespace(warning=said.append)
        )
    )
    ours, theirs = said
    assert ours.startswith('2 of the 5 source images could not be loaded')
    assert ours.endswith(f'{tmp_path}/s1.png, {tmp_path}/s2.png.')
    assert theirs.startswith('2 of the 5 target images could not be loaded')


def test_nothing_is_said_of_whole_images(pair):
    said = []
    UnreadableImagesHook().after_train(
        SimpleNamespace(
            train_dataloader=DataLoader(pair(1), sampler=PAIRS),
            logger=SimpleNamespace(warning=said.append),
        )
    )
    assert said == []
