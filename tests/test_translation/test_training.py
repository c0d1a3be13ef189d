"""CycleGAN in a run: resumed, shown, and with data that does not fit."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from leaves import FOLDER
from mmengine.config import Config

from mmdet_ifan.engine import checked_runner
from mmdet_ifan.engine.checks.config import check_config
from mmdet_ifan.translation import samples_hook

SIZES = [(40, 48), (36, 60), (50, 40)]


@pytest.fixture
def make_cfg(tmp_path: Path, write_coco: Callable) -> Callable[..., Config]:
    """Maker of the config of a run on three images of each domain."""
    for domain in ('source', 'target'):
        write_coco(
            f'{domain}.json',
            [(f'{domain}/{i}.png', size) for i, size in enumerate(SIZES)],
            [(i, 'car', (2, 3, 20, 20)) for i in range(len(SIZES))],
        )

    def make(name: str, iterations: int = 6, **options) -> Config:
        cfg = Config.fromfile(FOLDER / 'dt-ft/cyclegan_mini-city.py')
        data, metainfo = cfg.train_dataloader, dict(classes=('car', 'person'))
        data.update(num_workers=0, persistent_workers=False)
        data.dataset.source.update(
            data_root=str(tmp_path), ann_file='source.json', metainfo=metainfo
        )
        data.dataset.target.update(data_root=str(tmp_path), images='target.json')
        data.dataset.augmentation[0].crop_size = (32, 32)
        cfg.model.generator.update(width=4, num_blocks=1)
        cfg.model.classifier.update(width=4, num_halvings=2)
        cfg.model.pool_size = 2
        cfg.train_cfg.max_iters = 6
        cfg.param_scheduler[0].update(begin=3, end=6, end_factor=1 / 3)
        cfg.default_hooks.checkpoint.interval = iterations
        cfg.default_hooks.samples.interval = 4
        cfg.merge_from_dict(
            dict(
                work_dir=str(tmp_path / name),
                experiment_name=f'{tmp_path.name}_{name}',
                visualizer=dict(name=f'{tmp_path.name}_{name}'),
                log_level='ERROR',
                **options,
            )
        )
        return cfg

    return make


def train(cfg: Config) -> dict:
    """Run a config; give its last checkpoint."""
    check_config(cfg)
    runner = checked_runner(cfg)
    runner.train()
    return torch.load(
        Path(cfg.work_dir, 'iter_6.pth'), map_location='cpu', weights_only=False
    )


def assert_equal(left: dict, right: dict) -> None:
    """Compare bit for bit."""
    assert left.keys() == right.keys()
    for key, value in left.items():
        assert torch.equal(value, right[key]), key


def test_a_resumed_run_is_the_uninterrupted_one(make_cfg):
    whole = train(make_cfg('whole', iterations=3))
    resumed = train(
        make_cfg(
            'resumed',
            resume=True,
            load_from=str(Path(make_cfg('whole').work_dir, 'iter_3.pth')),
        )
    )
    # Full, and seen by the classifiers since.
    assert len(whole['state_dict']['pools.target.images']) == 2
    assert_equal(whole['state_dict'], resumed['state_dict'])
    moments = [c['optimizer']['state'] for c in (whole, resumed)]
    for one, other in zip(*(m.values() for m in moments), strict=True):
        assert_equal(one, other)


def test_samples_show_a_batch_and_change_nothing(make_cfg, tmp_path, monkeypatch):
    shown = []
    to_pixels = samples_hook.to_pixels
    monkeypatch.setattr(
        samples_hook,
        'to_pixels',
        lambda image: shown.append(to_pixels(image)) or shown[-1],
    )
    with_samples = train(make_cfg('with'))
    folder = next((tmp_path / 'with').glob('*/vis_data/vis_image'))
    assert {path.name for path in folder.iterdir()} == {
        'translation_4.png',
        'translation_6.png',
    }
    picture = cv2.imread(str(folder / 'translation_4.png'))[..., ::-1]
    assert picture.shape == (64, 96, 3)
    for i, part in enumerate(shown[:6]):
        y, x = 32 * (i // 3), 32 * (i % 3)
        np.testing.assert_array_equal(picture[y : y + 32, x : x + 32], part)
    cfg = make_cfg('without')
    del cfg.default_hooks.samples
    assert_equal(with_samples['state_dict'], train(cfg)['state_dict'])


def test_boxes_of_the_target_are_not_read(make_cfg, tmp_path):
    expected = train(make_cfg('labelled'))
    path = tmp_path / 'target.json'
    content = json.loads(path.read_text())
    content['annotations'] = [dict(bbox='corrupt')]
    path.write_text(json.dumps(content))
    assert_equal(expected['state_dict'], train(make_cfg('corrupt'))['state_dict'])


def test_learning_rates(make_cfg):
    """Constant for half of the steps, then down; the step after would be 0."""
    rates = []
    cfg = make_cfg('rates')
    cfg.train_cfg.max_iters = 10
    cfg.param_scheduler[0].update(begin=5, end=10, end_factor=1 / 5)
    runner = checked_runner(cfg)
    step = runner.model.train_step

    def recorded(*args, **kwargs):
        rates.append(runner.optim_wrapper.get_lr()['lr'][0] / 1e-3)
        return step(*args, **kwargs)

    runner.model.train_step = recorded
    runner.train()
    assert rates == pytest.approx([1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


@pytest.mark.parametrize('pair', ['mini-city', 'city2foggy', 'sim10k2city'])
def test_the_configs_halve_their_runs(pair):
    cfg = Config.fromfile(FOLDER / f'dt-ft/cyclegan_{pair}.py')
    (decay,) = cfg.param_scheduler
    assert decay.end == cfg.train_cfg.max_iters == 2 * decay.begin
    assert decay.end_factor == pytest.approx(1 / decay.begin)


@pytest.mark.parametrize(
    'crop, message',
    [
        # Width first, as mmdet has it.
        ((44, 32), r'2.png has 32 x 40 px .* to cut 32 x 44 px: lower'),
        ((400, 400), 'px behind the pipeline, but RandomCrop is to cut 400 x 400'),
        ((32, 30), '30 x 32 px behind .* at least 12 px .* multiples of 4'),
        ((8, 8), 'sides of at least 12 px'),
    ],
)
def test_crops_that_do_not_fit_are_named_before_training(make_cfg, crop, message):
    cfg = make_cfg(f'crop{crop}')
    cfg.train_dataloader.dataset.augmentation[0].crop_size = crop
    with pytest.raises(ValueError, match=message):
        checked_runner(cfg).train()


def test_uncropped_images_are_refused(make_cfg):
    cfg = copy.deepcopy(make_cfg('uncropped'))
    cfg.train_dataloader.dataset.augmentation = []
    with pytest.raises(ValueError, match='multiples of 4: cut such crops by RandomCr'):
        checked_runner(cfg).train()
