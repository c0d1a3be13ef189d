"""RoI features of both domains, embedded and measured."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from mmdet_ifan.analysis.embedding import (
    Objects,
    in_words,
    plot_embedding,
    proxy_a_distance,
    roi_features,
)
from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes

ROOT = Path(__file__).resolve().parents[2]


def objects(shift: float, apart: float, num: int = 120) -> Objects:
    """Make objects of two classes, ``apart``, all of them shifted."""
    rng = np.random.default_rng(int(100 * shift) + 1)
    labels = np.arange(num) % 2
    features = rng.normal(size=(num, 20))
    features[:, 0] += shift
    features[:, 1] += apart * labels
    return Objects(features, labels, np.arange(num) // 3)


@pytest.mark.parametrize(
    ('shift', 'low', 'high'), [(0.0, 0.0, 0.6), (2.0, 1.0, 1.8), (9.0, 1.9, 2.0)]
)
def test_a_distance_grows_with_the_shift(shift, low, high):
    parts = objects(0.0, 1.0), objects(shift, 1.0)
    distance = proxy_a_distance(
        np.concatenate([part.features for part in parts]),
        np.repeat([False, True], 120),
        np.concatenate([part.images for part in parts]),
    )
    assert low <= distance <= high


@pytest.mark.slow
def test_draws_and_measures_each_detector(tmp_path):
    path = tmp_path / 'new' / 'features.png'
    measures = plot_embedding(
        {
            'apart': dict(source=objects(0.0, 1.0), target=objects(9.0, 1.0)),
            'aligned': dict(source=objects(0.0, 9.0), target=objects(0.0, 9.0)),
        },
        ['cat', 'dog'],
        path,
    )
    assert list(measures) == ['apart', 'aligned']
    assert measures['apart']['a_distance'] > measures['aligned']['a_distance']
    assert measures['apart']['silhouette'] < measures['aligned']['silhouette']
    assert cv2.imread(str(path)).shape[1] > 800
    assert in_words(dict(a_distance=1.5, silhouette=0.25)) == (
        'A-distance 1.50, silhouette 0.25'
    )


def test_one_category_has_no_silhouette(tmp_path):
    parts = dict(source=objects(0.0, 1.0), target=objects(9.0, 1.0))
    for part in parts.values():
        part.labels[:] = 0
    path = tmp_path / 'features.png'
    measures = plot_embedding({'iFAN': parts}, ['car'], path)
    assert list(measures['iFAN']) == ['a_distance']
    assert in_words(dict(a_distance=1.5)) == 'A-distance 1.50'
    assert path.exists()


@pytest.fixture
def cfg_and_checkpoint(tmp_path: Path) -> tuple[Config, str]:
    """Config of a tiny pair, and an untrained detector's checkpoint."""
    root = tmp_path / 'mini_city'
    write_mini_city(root, MiniCity(train=1, val=6), 1)
    prepare_cityscapes(root, Options(workers=1))
    cfg = Config.fromfile(ROOT / 'configs/ifan/ifan_mini-city.py')
    cfg.merge_from_dict(
        {
            f'test_dataloader.dataset.{domain}.data_root': str(root)
            for domain in ('source', 'target')
        }
    )
    model = MODELS.build(cfg.model)
    classes = cfg.test_dataloader.dataset.target.metainfo.classes
    checkpoint = tmp_path / 'a.pth'
    torch.save(
        dict(
            meta=dict(dataset_meta=dict(classes=classes)), state_dict=model.state_dict()
        ),
        checkpoint,
    )
    return cfg, str(checkpoint)


@pytest.mark.slow
def test_features_are_those_of_the_true_boxes(cfg_and_checkpoint):
    cfg, checkpoint = cfg_and_checkpoint
    found = roi_features(cfg, checkpoint, max_per_class=2)
    source, target = found['source'], found['target']
    # The foggy scenes are the clear ones, with the same boxes.
    assert source.labels.tolist() == target.labels.tolist()
    assert source.features.shape == target.features.shape
    assert source.features.shape[1] == 112 * 4 * 4
    assert not np.allclose(source.features, target.features)
    assert np.bincount(source.labels).max() == 2
    # The config is unchanged: another detector can use it.
    assert cfg.test_dataloader.dataset.pipeline[0].type == 'LoadImageFromFile'


@pytest.mark.slow
def test_features_are_copied_from_a_gpu(cfg_and_checkpoint, monkeypatch):
    cpu, numpy, copies = torch.Tensor.cpu, torch.Tensor.numpy, []

    def copy(tensor):
        copies.append(cpu(tensor).clone())
        return copies[-1]

    def to_numpy(tensor):
        # As on a GPU: what is not copied cannot be read.
        assert any(tensor is known for known in copies)
        return numpy(tensor)

    monkeypatch.setattr(torch.Tensor, 'cpu', copy)
    monkeypatch.setattr(torch.Tensor, 'numpy', to_numpy)
    found = roi_features(*cfg_and_checkpoint, max_per_class=2)
    assert len(found['source'].labels)
