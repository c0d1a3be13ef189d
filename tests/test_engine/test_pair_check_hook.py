"""What training and testing say of each other before the first iteration."""
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from mmengine.config import Config

from mmdet_ifan.datasets import DomainTestDataset, PairedDomainDataset
from mmdet_ifan.engine import PairCheckHook
from mmdet_ifan.utils.errors import DataError

CLASSES = ('car', 'person')
SIZE = (16, 24)


@pytest.fixture
def make_runner(write_coco: Callable, tmp_path: Path) -> Callable[..., Mock]:
    """Maker of a runner whose data sets have these images."""

    def make(source: str = 'ab',
             target: str = 'cd',
             source_test: str = 'ef',
             target_test: str = 'gh',
             test_classes: tuple = CLASSES) -> Mock:
        def domain(name: str, images: str, classes: tuple = CLASSES) -> dict:
            write_coco(f'{name}.json', [(f'{i}.png', SIZE) for i in images],
                       [(0, cat, (2, 3, 10, 8)) for cat in CLASSES])
            return dict(
                type='DomainCocoDataset',
                data_root=str(tmp_path),
                ann_file=f'{name}.json',
                metainfo=dict(classes=classes),
                pipeline=[dict(type='LoadAnnotations', with_bbox=True)])

        (tmp_path / 'list').write_text(
            '\n'.join(f'{i}.png' for i in target))
        # The target's paths are written another way.
        unlabelled = dict(
            type='UnlabelledDataset', data_root=f'{tmp_path}/.', images='list')
        tests = DomainTestDataset(
            domain('source_test', source_test, test_classes),
            domain('target_test', target_test, test_classes), [])
        for image in target:
            write_coco('unused.json', [(f'{image}.png', SIZE)])
        train = PairedDomainDataset(domain('source', source), unlabelled)
        runner = Mock()
        runner.train_dataloader.dataset = train
        runner.val_dataloader.dataset = tests
        return runner

    return make


def warnings(runner: Mock) -> list[str]:
    """What the runner was warned of."""
    return [call.args[0] for call in runner.logger.warning.call_args_list]


def test_disjoint_images_pass(make_runner):
    runner = make_runner()
    PairCheckHook().before_train(runner)
    assert warnings(runner) == []


@pytest.mark.parametrize(('images', 'expected'), [
    (dict(source_test='eba'), ['2 of the 3 test images of source']),
    (dict(target_test='gd'), ['1 of the 2 test images of target']),
    (dict(target_test='a'), ['1 of the 1 test images of target']),
    (dict(source_test='a', target_test='c'), [
        '1 of the 1 test images of source', '1 of the 1 test images of target'
    ]),
])
def test_test_images_that_are_trained_on(make_runner, tmp_path, images,
                                         expected):
    runner = make_runner(**images)
    PairCheckHook().before_train(runner)
    said = warnings(runner)
    assert [text.split(' are trained on too')[0] for text in said] == expected
    if 'eba' in images.values():
        assert f'{tmp_path}/a.png, {tmp_path}/b.png.' in said[0]


def test_classes_in_another_order(make_runner):
    with pytest.raises(DataError, match='Training has the classes car, person,'
                       ' but testing person, car'):
        PairCheckHook().before_train(make_runner(test_classes=CLASSES[::-1]))


def test_nothing_to_compare(make_runner):
    runner = make_runner(source_test='a')
    runner.val_loop = None
    PairCheckHook().before_train(runner)
    runner = make_runner(source_test='a')
    runner.val_dataloader.dataset = object()
    PairCheckHook().before_train(runner)
    assert warnings(runner) == []


def test_every_config_has_it(configs):
    for path in configs.glob('*.py'):
        hooks = Config.fromfile(path).default_hooks
        assert hooks.pair_check.type == 'PairCheckHook'
        assert hooks.num_class_check.type == 'NumClassCheckHook'
