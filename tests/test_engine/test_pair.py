"""The data of training, of the tests and the detector, compared."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmdet.registry import MODELS

from mmdet_ifan.datasets import DomainTestDataset, PairedDomainDataset
from mmdet_ifan.engine.checks.pair import check_num_classes, check_pair
from mmdet_ifan.utils.errors import DataError

CLASSES = ('car', 'person')
SIZE = (16, 24)


@pytest.fixture
def make_pair(write_coco: Callable, tmp_path: Path) -> Callable[..., tuple]:
    """Maker of training and test data that have these images."""

    def make(
        source: str = 'ab',
        target: str = 'cd',
        source_test: str = 'ef',
        target_test: str = 'gh',
        test_classes: tuple = CLASSES,
    ) -> tuple:
        def domain(name: str, images: str, classes: tuple = CLASSES) -> dict:
            write_coco(
                f'{name}.json',
                [(f'{i}.png', SIZE) for i in images],
                [(0, cat, (2, 3, 10, 8)) for cat in CLASSES],
            )
            return dict(
                type='DomainCocoDataset',
                data_root=str(tmp_path),
                ann_file=f'{name}.json',
                metainfo=dict(classes=classes),
                pipeline=[dict(type='LoadAnnotations', with_bbox=True)],
            )

        (tmp_path / 'list').write_text('\n'.join(f'{i}.png' for i in target))
        # The target's paths are written another way.
        unlabelled = dict(
            type='UnlabelledDataset', data_root=f'{tmp_path}/.', images='list'
        )
        tests = DomainTestDataset(
            domain('source_test', source_test, test_classes),
            domain('target_test', target_test, test_classes),
            [],
        )
        for image in target:
            write_coco('unused.json', [(f'{image}.png', SIZE)])
        train = PairedDomainDataset(domain('source', source), unlabelled)
        return train, tests

    return make


def test_disjoint_images_pass(make_pair):
    assert check_pair(*make_pair()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ('images', 'expected'),
    [
        (dict(source_test='eba'), ['2 of the 3 test images of source']),
        (dict(target_test='gd'), ['1 of the 2 test images of target']),
        (dict(target_test='a'), ['1 of the 1 test images of target']),
        (
            dict(source_test='a', target_test='c'),
            ['1 of the 1 test images of source', '1 of the 1 test images of target'],
        ),
    ],
)
def test_test_images_that_are_trained_on(make_pair, tmp_path, images, expected):
    said = check_pair(*make_pair(**images))
    assert [text.split(' are trained on too')[0] for text in said] == expected
    if 'eba' in images.values():
        assert f'{tmp_path}/a.png, {tmp_path}/b.png.' in said[0]


def test_classes_in_another_order(make_pair):
    with pytest.raises(
        DataError, match='Training has the classes car, person, but testing person, car'
    ):
        check_pair(*make_pair(test_classes=CLASSES[::-1]))


@pytest.mark.parametrize('part', ['roi_head.bbox_head', 'alignments.instance'])
def test_another_number_of_classes(tiny_cfg, part):
    data = SimpleNamespace(metainfo=dict(classes=('car', 'person', 'dog')))
    model = MODELS.build(tiny_cfg)
    model.backbone.num_classes = 1000
    assert model.rpn_head.num_classes == 1
    check_num_classes(model, data)
    model.get_submodule(part).num_classes = 4
    check_num_classes(model, SimpleNamespace(metainfo={}))
    check_num_classes(model, object())
    with pytest.raises(
        ValueError,
        match=(f'The data have 3 classes, but num_classes of model.{part} is 4: make'),
    ):
        check_num_classes(model, data)
