"""Ignored boxes and unusual pixels, as training and testing see them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image

from mmdet_ifan.datasets import DomainCocoDataset, UnlabelledDataset
from mmdet_ifan.preparation import LeftOut
from mmdet_ifan.preparation.images import image_size, lost_pixels
from mmdet_ifan.utils.errors import DataError
from mmdet_ifan.utils.values import is_region

CLASSES = ('car', 'person')
IMAGES = [(f'{i}.png', (16, 24)) for i in range(4)]
BOXES = [
    (0, 'car', (2, 3, 10, 8)),
    (0, 'person', (1, 2, 6, 6)),
    (1, 'car', (4, 4, 8, 8)),
    (2, 'DontCare', (3, 3, 9, 9)),
]
LOAD = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs'),
]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Reader of the output of mmengine's logger."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level('INFO')
    yield lambda: caplog.text
    logger.removeHandler(caplog.handler)


@pytest.fixture
def labelled(write_coco, tmp_path) -> Callable[..., DomainCocoDataset]:
    """Builder of a data set with a changed first annotation."""

    def build(
        classes: tuple = CLASSES,
        images: list = IMAGES,
        boxes: list = BOXES,
        test_mode: bool = False,
        ignore_crowds: bool = True,
        **changes: Any,
    ) -> DomainCocoDataset:
        path = write_coco(
            'a.json', images, boxes, (*CLASSES, 'DontCare', 'Ignored regions')
        )
        content = json.loads(path.read_text())
        content['annotations'][0].update(changes)
        path.write_text(json.dumps(content))
        return DomainCocoDataset(
            data_root=str(tmp_path),
            ann_file='a.json',
            pipeline=LOAD,
            metainfo=dict(classes=classes),
            test_mode=test_mode,
            ignore_crowds=ignore_crowds,
            filter_cfg=dict(filter_empty_gt=True),
        )

    return build


def first(dataset: DomainCocoDataset) -> dict:
    return dataset.get_data_info(0)['instances'][0]


# Flags


@pytest.mark.parametrize(
    ('changes', 'ignored'),
    [
        (dict(iscrowd='0'), 0),
        (dict(iscrowd=False), 0),
        (dict(iscrowd=None), 0),
        (dict(iscrowd='1'), 1),
        (dict(iscrowd=True), 1),
        (dict(ignore=1), 1),
        (dict(ignore='0'), 0),
        (dict(difficult='1'), 1),
    ],
)
def test_flags(labelled, changes, ignored):
    """mmdet takes '0' for a crowd and trains on 'ignore' as background."""
    found = first(labelled(**changes))
    assert found['bbox'] == [2, 3, 12, 11]
    assert found['ignore_flag'] == ignored


def test_crowds_may_be_background(labelled, log):
    """The images stay the same; the boxes that count do too."""
    ignoring = labelled(iscrowd=1)
    dataset = labelled(iscrowd=1, ignore_crowds=False)
    assert len(dataset) == len(ignoring) == 2
    for i in range(2):
        expected = [
            each
            for each in ignoring.get_data_info(i)['instances']
            if not each['ignore_flag']
        ]
        assert dataset.get_data_info(i)['instances'] == expected
    # The crowd, and DontCare for either class.
    assert '3 ignored boxes of' in log()
    assert 'a.json are background, as ignore_crowds=False says' in log()


def test_flag_that_says_nothing(labelled):
    with pytest.raises(
        DataError,
        match='a.json has annotation 1 whose '
        r"'iscrowd' is neither 0 nor 1 \('maybe'\). Make it "
        'again, or prepare it: tools/prepare/custom.py',
    ):
        labelled(iscrowd='maybe')


# Regions


@pytest.mark.parametrize('name', ['DontCare', 'Ignored regions'])
def test_regions_are_ignored_for_every_class(labelled, name):
    boxes = [*BOXES[:3], (1, name, (3, 3, 9, 9))]
    dataset = labelled(boxes=boxes, test_mode=True)
    assert [
        (each['bbox_label'], each['bbox'], each['ignore_flag'])
        for each in dataset.get_data_info(1)['instances']
    ] == [(0, [4, 4, 12, 12], 0), (0, [3, 3, 12, 12], 1), (1, [3, 3, 12, 12], 1)]
    sample = dataset[1]['data_samples']
    assert len(sample.gt_instances) == 1
    assert sample.ignored_instances.labels.tolist() == [0, 1]


def test_region_that_is_a_class_is_one(labelled):
    dataset = labelled(('car', 'DontCare'), test_mode=True)
    assert [
        (each['bbox_label'], each['ignore_flag'])
        for each in dataset.get_data_info(2)['instances']
    ] == [(1, 0)]


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('DontCare', True),
        ("Don't care", True),
        ('ignored-regions', True),
        ('_IGNORE_', True),
        ('car', False),
        ('ignored car', False),
        ('', False),
    ],
)
def test_is_region(name, expected):
    assert is_region(name) == expected


# Counts


def test_what_is_left_out_is_counted(labelled, log):
    # The last two have no box of a class; the second is all ignored.
    boxes = [*BOXES[:3], (0, 'car', (0, 0, 0.5, 9)), (0, 'car', (30, 2, 9, 9))]
    content = labelled(boxes=boxes)
    assert len(content) == 2
    assert 'a.json has 2 boxes without area, outside their image' in log()
    assert '2 of the 4 images of' in log() and 'are left out of training' in log()
    assert 'ignored boxes alone' not in log()


def test_images_of_ignored_boxes_alone_are_trained_on_and_counted(
    write_coco, tmp_path, log
):
    write_coco('a.json', IMAGES, BOXES[:3], CLASSES, crowds=[2])
    dataset = DomainCocoDataset(
        data_root=str(tmp_path),
        ann_file='a.json',
        metainfo=dict(classes=CLASSES),
        pipeline=LOAD,
        filter_cfg=dict(filter_empty_gt=True),
    )
    assert len(dataset) == 2
    assert '1 of the 4 images of' in log()
    assert 'have only ignored boxes: all else in them is background' in log()


def test_nothing_is_left_out_of_a_test(labelled, log):
    assert len(labelled(test_mode=True)) == 4
    assert 'left out' not in log() and 'alone' not in log()


# Files of other tools, named as a target's images or as the source itself


@pytest.mark.parametrize('kind', ['json', 'txt'])
@pytest.mark.parametrize('written', ['sub\\{}.png', 'sub/%7B{}.png'])
def test_names_of_target_images_in_other_spellings(tmp_path, kind, written):
    there = 'sub/{{{}.png' if '%' in written else 'sub/{}.png'
    (tmp_path / 'sub').mkdir()
    for name in 'ab':
        cv2.imwrite(str(tmp_path / there.format(name)), np.zeros((9, 9)))
    names = [written.format(name) for name in 'ab']
    path = tmp_path / f'images.{kind}'
    path.write_text(
        '\n'.join(names)
        if kind == 'txt'
        else json.dumps(dict(images=[dict(filename=name) for name in names]))
    )
    dataset = UnlabelledDataset(path.name, data_root=str(tmp_path))
    assert [Path(dataset.get_data_info(i)['img_path']) for i in (0, 1)] == [
        tmp_path / there.format(name) for name in 'ab'
    ]


def test_back_slashes(labelled, tmp_path):
    labelled()
    (tmp_path / 'sub').mkdir()
    for path in tmp_path.glob('*.png'):
        path.rename(tmp_path / 'sub' / path.name)
    content = (tmp_path / 'a.json').read_text()
    for i in range(4):
        content = content.replace(f'{i}.png', f'sub\\\\{i}.png')
    (tmp_path / 'a.json').write_text(content)
    dataset = DomainCocoDataset(
        data_root=str(tmp_path),
        ann_file='a.json',
        pipeline=LOAD,
        metainfo=dict(classes=CLASSES),
        test_mode=True,
    )
    assert len(dataset[0]['data_samples'].gt_instances) == 2


def test_other_keys(labelled, tmp_path):
    labelled()
    content = json.loads((tmp_path / 'a.json').read_text())
    content['annotation'] = content.pop('annotations')
    for each in content['images']:
        each['filename'] = each.pop('file_name')
    (tmp_path / 'b.json').write_text(json.dumps(content))
    dataset = DomainCocoDataset(
        data_root=str(tmp_path),
        ann_file='b.json',
        metainfo=dict(classes=CLASSES),
        test_mode=True,
    )
    assert first(dataset)['bbox'] == [2, 3, 12, 11]


# Pixels

RAMP = np.arange(16 * 24).reshape(16, 24).astype(np.uint16)
GREY = (RAMP // 2).astype(np.uint8)


def pictures() -> dict[str, tuple[str, Any]]:
    """Writers of images by kind, and the pixels that training must see."""
    colours = np.stack([GREY, 255 - GREY, GREY // 2], axis=2)
    palette = Image.fromarray(colours).quantize(64)
    opaque = np.dstack([colours, np.full_like(GREY, 255)])
    return dict(
        grey=(Image.fromarray(GREY), GREY[..., None].repeat(3, 2)),
        palette=(palette, np.asarray(palette.convert('RGB'))[..., ::-1]),
        alpha=(Image.fromarray(opaque), colours[..., ::-1]),
        black_and_white=(
            Image.fromarray(GREY > 99),
            np.where(GREY > 99, 255, 0)[..., None].repeat(3, 2),
        ),
        sixteen=(
            Image.fromarray(GREY.astype(np.uint16) * 256),
            GREY[..., None].repeat(3, 2),
        ),
    )


@pytest.mark.parametrize('kind', pictures())
def test_every_kind_of_pixels_is_seen_as_it_is(tmp_path, kind):
    image, expected = pictures()[kind]
    image.save(tmp_path / 'a.png')
    dataset = UnlabelledDataset(
        '.', data_root=str(tmp_path), pipeline=[LOAD[0], LOAD[2]]
    )
    seen = dataset[0]['inputs'].permute(1, 2, 0).numpy()
    assert np.array_equal(seen, expected)


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_sixteen_bits_are_warned_of(tmp_path, log, suffix):
    """A radiometric image uses few of the upper eight bits."""
    cv2.imwrite(str(tmp_path / f'a{suffix}'), 29_000 + RAMP)
    cv2.imwrite(str(tmp_path / 'b.png'), GREY)
    UnlabelledDataset('.', data_root=str(tmp_path))
    assert (
        f'1 of the 2 images that {tmp_path}/. names have more than 8 bits '
        f'per channel: {tmp_path}/./a{suffix}. Training sees the upper 8.' in log()
    )
    problem = lost_pixels(tmp_path / f'a{suffix}')
    assert problem.kind == 'images of 16 bits'
    assert f'a{suffix} has 16 bits per channel' in problem.sentence
    assert image_size(tmp_path / f'a{suffix}') == (16, 24)


@pytest.mark.parametrize('dtype', [np.float32, np.int32])
def test_what_cannot_be_loaded_is_named_before_training(tmp_path, dtype):
    cv2.imwrite(str(tmp_path / 'a.tif'), RAMP.astype(dtype))
    with pytest.raises(
        DataError,
        match='a.tif. OpenCV does not load those of more than 16. Convert them',
    ):
        UnlabelledDataset('.', data_root=str(tmp_path))
    with pytest.raises(LeftOut, match='a.tif has 32 bits per channel'):
        image_size(tmp_path / 'a.tif')


@pytest.mark.parametrize('mode', ['RGBA', 'LA', 'P'])
def test_what_is_transparent_is_named(tmp_path, mode):
    image = Image.new('RGBA', (24, 16), (9, 8, 7, 255))
    image.putpixel((3, 3), (1, 2, 3, 255))
    image.convert(mode).save(tmp_path / 'a.png')
    assert lost_pixels(tmp_path / 'a.png') is None
    image.putpixel((3, 3), (1, 2, 3, 0))
    image.convert(mode).save(tmp_path / 'a.png')
    problem = lost_pixels(tmp_path / 'a.png')
    assert problem.kind == 'transparent images'
    assert f'{tmp_path}/a.png is partly transparent' in problem.sentence
