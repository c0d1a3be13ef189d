"""Pictures of the pairs that a run trains on."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.runner import Runner

from mmdet_ifan.analysis.pair_pictures import GAP, draw_pairs
from mmdet_ifan.datasets import PairedDomainSampler

#: Height and width; not enlarged.
SOURCE, TARGET = (420, 500), (440, 450)
BOX = (100, 150, 200, 120)


@pytest.fixture
def cfg(write_coco: Callable, tmp_path: Path, configs: Path) -> Config:
    """Config of a pair of three grey source and four target images."""
    write_coco(
        'source.json',
        [(f's{i}.png', SOURCE) for i in range(3)],
        [(i, 'car', BOX) for i in range(3)],
        categories=['car'],
    )
    write_coco(
        'target.json',
        [(f't{i}.png', TARGET) for i in range(4)],
        [(i, 'car', BOX) for i in range(4)],
        categories=['car'],
    )
    for path in tmp_path.glob('*.png'):
        height, width = SOURCE if path.name[0] == 's' else TARGET
        image = np.full((height, width, 3), 90, np.uint8)
        # Blue, to the left.
        image[:, :10] = (255, 0, 0)
        cv2.imwrite(str(path), image)
    cfg = Config.fromfile(configs / '_base_/ifan_mini_pair.py')
    load, boxes, flip, pack = cfg.load, cfg.boxes, cfg.flip, cfg.pack
    flip.prob = 0.0
    loader = cfg.train_dataloader
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader.dataset.source.update(
        data_root=str(tmp_path),
        ann_file='source.json',
        metainfo=dict(classes=('car',)),
        pipeline=[load, boxes, flip, pack],
    )
    loader.dataset.target.update(
        data_root=str(tmp_path), images='target.json', pipeline=[load, flip, pack]
    )
    return cfg


def drawn(picture: np.ndarray) -> np.ndarray:
    """Mark where a picture is neither grey nor blue nor white."""
    grey, blue, white = (
        (picture == colour).all(axis=2) for colour in (90, (0, 0, 255), 255)
    )
    return ~(grey | blue | white)


@pytest.mark.slow
def test_order_is_that_of_the_run(cfg):
    cfg.randomness.seed = 5
    names = [name for name, _ in islice(draw_pairs(cfg), 7)]
    pairs = DATASETS.build(cfg.train_dataloader.dataset)
    stream = PairedDomainSampler(pairs, seed=5)
    assert names == [f's{s}_t{t}' for s, t in islice(stream, 7)]
    # The workers' random transforms are the run's, too.
    cfg.train_dataloader.num_workers = 1
    for part in ('source', 'target'):
        cfg.train_dataloader.dataset[part].pipeline[-2].prob = 0.5
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=5)))
    flips = [sample.flip for sample in batch['data_samples']['target']]
    edges = [
        (picture[:, -5:] == (0, 0, 255)).all()
        for _, picture in islice(draw_pairs(cfg), 2)
    ]
    assert edges == flips


def test_source_has_boxes_and_target_none(cfg):
    _, picture = next(draw_pairs(cfg))
    height, width = SOURCE
    assert picture.shape == (TARGET[0], width + GAP + TARGET[1], 3)
    marks = drawn(picture)
    assert not marks[:, width:].any()
    rows, columns = np.nonzero(marks[:, :width])
    x, y, w, h = BOX
    # Line width and label reach a few pixels farther.
    for found, true in (
        (columns.min(), x),
        (rows.min(), y),
        (columns.max(), x + w),
        (rows.max(), y + h),
    ):
        assert abs(found - true) <= 4
    # RGB; white below the lower image and between the two.
    assert (picture[:, width + GAP :][:, :5] == (0, 0, 255)).all()
    assert (picture[height:, :width] == 255).all()
    assert (picture[:, width : width + GAP] == 255).all()


def test_views_are_drawn_beside_their_domain(cfg):
    pack = cfg.pack
    cfg.train_dataloader.dataset.target.pipeline[-1] = dict(
        type='MultiBranch',
        branch_field=['target', 'target_dark'],
        target=[pack],
        target_dark=[dict(type='Invert', prob=1.0), pack],
    )
    name, picture = next(draw_pairs(cfg))
    assert name.count('_') == 1
    assert picture.shape == (TARGET[0], SOURCE[1] + 2 * (GAP + TARGET[1]), 3)
    plain, dark = (picture[5, 5 - TARGET[1] * i - GAP * (i - 1)] for i in (2, 1))
    assert (dark == 255 - plain).all()


def test_pictures_show_the_pipeline(cfg):
    for part in cfg.train_dataloader.dataset.values():
        if isinstance(part, dict):
            part.pipeline[-2].prob = 1.0
    _, picture = next(draw_pairs(cfg))
    width = SOURCE[1]
    columns = np.nonzero(drawn(picture)[:, :width])[1]
    assert abs(columns.max() - (width - BOX[0])) <= 4
    assert (picture[: SOURCE[0], width - 5 : width] == (0, 0, 255)).all()
    assert (picture[:, -5:] == (0, 0, 255)).all()


def test_small_images_are_enlarged(cfg, tmp_path):
    small = np.zeros((100, 60, 3), np.uint8)
    small[7, 9] = (0, 0, 255)
    large = np.zeros((400, 240, 3), np.uint8)
    large[28:32, 36:40] = (0, 0, 255)
    pictures = []
    for image in small, large:
        for path in tmp_path.glob('t*.png'):
            cv2.imwrite(str(path), image)
        _, picture = next(draw_pairs(cfg))
        pictures.append(picture)
    # The place may differ: Matplotlib before 3.11 moves an image by a row.
    np.testing.assert_array_equal(*pictures)
    assert (pictures[0] == (255, 0, 0)).all(axis=2).sum() == 16


def test_needs_a_pair(cfg):
    cfg.train_dataloader.dataset = cfg.train_dataloader.dataset.source
    cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=False)
    with pytest.raises(ValueError, match='trains on a DomainCocoDataset'):
        next(draw_pairs(cfg))
