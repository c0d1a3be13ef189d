"""Faults of a pair are reported, with names, before training."""

import json
import os
import os.path as osp
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.logging import MMLogger

from mmdet_ifan.datasets import (
    DomainCocoDataset,
    DomainTestDataset,
    PairedDomainDataset,
    UnlabelledDataset,
)
from mmdet_ifan.utils.errors import DataError, name_some, repeated

CLASSES = ('car', 'person')
IMAGES = [(f'{i}.png', (16, 24)) for i in range(9)]
BOXES = [
    (0, 'car', (2, 3, 10, 8)),
    (1, 'person', (1, 2, 6, 6)),
    (1, 'car', (4, 4, 8, 8)),
]
LOAD = [dict(type='LoadImageFromFile'), dict(type='PackDetInputs')]
LOAD_BOXES = [LOAD[0], dict(type='LoadAnnotations', with_bbox=True), LOAD[1]]


@pytest.fixture
def labelled(write_coco: Callable, tmp_path: Path) -> Callable:
    """Builder of a labelled data set from an edited file."""

    def build(
        edit: Callable[[dict], Any] = lambda content: None,
        classes: tuple = CLASSES,
        pipeline: list[dict] = LOAD_BOXES,
        **kwargs: Any,
    ) -> DomainCocoDataset:
        path = write_coco('a.json', IMAGES, BOXES)
        content = json.loads(path.read_text())
        edit(content)
        path.write_text(json.dumps(content))
        return DomainCocoDataset(
            data_root=str(tmp_path),
            ann_file='a.json',
            metainfo=dict(classes=classes),
            pipeline=pipeline,
            **kwargs,
        )

    return build


@pytest.fixture
def target(tmp_path: Path) -> Callable:
    """Builder of an unlabelled data set from the names of its images."""

    def build(names: list[str], kind: str = 'text') -> UnlabelledDataset:
        if kind == 'text':
            (tmp_path / 'list').write_text('\n'.join(names))
        else:
            (tmp_path / 'list.json').write_text(
                json.dumps(dict(images=[dict(file_name=n) for n in names]))
            )
        return UnlabelledDataset(
            'list' if kind == 'text' else 'list.json',
            data_root=str(tmp_path),
            pipeline=LOAD,
        )

    return build


def draw(folder: Path, *names: str) -> None:
    """Write images."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        png = cv2.imencode('.png', np.zeros((8, 9, 3), np.uint8))[1]
        (folder / name).write_bytes(png.tobytes())


# Clashes in a labelled file


@pytest.mark.parametrize(
    ('edit', 'sentence'),
    [
        (
            lambda c: c['images'][2].update(id=7),
            r'In \S*a.json several images share the same id: 7\.',
        ),
        (
            lambda c: c['annotations'][2].update(id=1),
            'several annotations share the same id: 1',
        ),
        (
            lambda c: c['categories'].append(dict(id=40, name='bus')),
            'several categories share the same id: 40',
        ),
        (
            lambda c: c['categories'].append(dict(id=1, name='car')),
            'several categories share the same name: car',
        ),
        (
            lambda c: c['annotations'][0].update(category_id=5),
            r'categories that it does not list: ids 5\.',
        ),
        (
            lambda c: c['images'][4].update(file_name='./3.png'),
            r'1 of its images more than once: \S*/3\.png\.',
        ),
        (
            lambda c: c['images'][4].update(file_name='gone.png'),
            r'1 of the 9 images that \S*a.json names .*: \S*/gone\.png\.',
        ),
        (lambda c: c.pop('images'), "a.json is not a COCO file.*'images'"),
        (lambda c: c['annotations'][0].pop('area'), "not a COCO file.*'area'"),
        (lambda c: c['annotations'].append(3), 'not a COCO file'),
    ],
)
def test_clash_in_a_labelled_file(labelled, edit, sentence):
    with pytest.raises((DataError, FileNotFoundError), match=sentence):
        labelled(edit)


def test_labelled_file_that_is_no_json(labelled, tmp_path):
    labelled()
    (tmp_path / 'b.json').write_text('{"images": [')
    with pytest.raises(DataError, match='b.json is not valid JSON'):
        DomainCocoDataset(
            data_root=str(tmp_path), ann_file='b.json', metainfo=dict(classes=CLASSES)
        )


def test_sound_file_is_read(labelled):
    assert len(labelled()) == 9
    # An annotation of an image that is left out does no harm.
    assert len(labelled(lambda c: c['images'].pop(0))) == 8


# Classes


def test_class_of_another_name(labelled):
    with pytest.raises(
        DataError,
        match='a.json lacks the categories motorbike; it has car, '
        'motorcycle.*the same name in the files of both domains',
    ):
        labelled(
            lambda c: c['categories'][1].update(name='motorcycle'),
            classes=('car', 'motorbike'),
        )


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Reader of the output of mmengine's logger."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield lambda: caplog.text
    logger.removeHandler(caplog.handler)


def test_boxes_of_unknown_images_are_counted(labelled, log):
    labelled()
    assert 'that it does not list' not in log()
    labelled(
        lambda c: [
            each.update(image_id=str(each['image_id'])) for each in c['annotations'][1:]
        ]
    )
    assert (
        'a.json has 2 annotations of images that it does not list, such '
        "as '8'. These boxes are not used" in log()
    )


def test_class_without_a_box_in_source(labelled, target, log):
    PairedDomainDataset(labelled(), target(['2.png']))
    assert 'has no box' not in log()
    # Nothing is learned from a crowd.
    PairedDomainDataset(
        labelled(lambda c: c['annotations'][1].update(iscrowd=1)), target(['2.png'])
    )
    assert 'a.json has no box of person, so the detector ' in log()


def test_source_of_crowds_alone(labelled, target):
    def crowd(content: dict) -> None:
        for annotation in content['annotations']:
            annotation['iscrowd'] = 1

    with pytest.raises(DataError, match='nothing to learn from'):
        PairedDomainDataset(labelled(crowd), target(['2.png']))


@pytest.mark.parametrize(
    'loads', [[], [dict(type='LoadAnnotations', with_bbox=False, with_label=True)]]
)
def test_source_pipeline_that_loads_no_boxes(labelled, target, loads):
    with pytest.raises(DataError, match='LoadAnnotations.*behind the one'):
        PairedDomainDataset(
            labelled(pipeline=[LOAD[0], *loads, LOAD[1]]), target(['2.png'])
        )


def test_test_images_with_other_classes(labelled, tmp_path):
    labelled()
    domain = dict(type='DomainCocoDataset', data_root=str(tmp_path), ann_file='a.json')
    with pytest.raises(
        DataError,
        match='source have the classes car, person, those of target person, car',
    ):
        DomainTestDataset(
            dict(domain, metainfo=dict(classes=CLASSES)),
            dict(domain, metainfo=dict(classes=CLASSES[::-1])),
            LOAD,
        )


# Lists of images


@pytest.mark.parametrize('kind', ['text', 'coco'])
def test_target_images_that_are_missing_are_all_named(target, tmp_path, kind):
    draw(tmp_path, 'a.png', 'c.png')
    (tmp_path / 'empty.png').write_bytes(b'')
    with pytest.raises(
        FileNotFoundError, match=r'3 of the 5 images that \S*list\S* names'
    ) as e:
        target(['a.png', 'b.png', 'c.png', 'empty.png', 'd.png'], kind)
    for name in ('b.png', 'empty.png', 'd.png'):
        assert f'/{name}' in str(e.value)
    assert '/a.png' not in str(e.value)


@pytest.mark.parametrize('kind', ['text', 'coco'])
def test_target_image_listed_twice(target, tmp_path, kind):
    draw(tmp_path, 'a.png', 'sub/b.png')
    with pytest.raises(
        DataError, match=r'list\S* lists 1 of its images more than once: \S*sub/b'
    ):
        target(['a.png', 'sub/b.png', 'sub/../sub/b.png'], kind)


def test_target_names_of_any_script(target, tmp_path):
    names = ['räder/größe 1.png', 'räder/車.png', 'ß.png']
    draw(tmp_path / 'mögen', *names)
    folder = UnlabelledDataset('mögen', data_root=str(tmp_path), pipeline=LOAD)
    for dataset in (
        folder,
        *(
            target([f'mögen/{name}' for name in names], kind)
            for kind in ('text', 'coco')
        ),
    ):
        assert [dataset[i]['data_samples'].img_path for i in range(3)] == [
            str(tmp_path / 'mögen' / name) for name in names
        ]


def test_target_list_with_a_byte_order_mark(tmp_path):
    draw(tmp_path, 'ä.png')
    (tmp_path / 'list').write_bytes('\ufeffä.png\r\n'.encode())
    dataset = UnlabelledDataset('list', data_root=str(tmp_path))
    assert dataset.get_data_info(0)['img_path'] == str(tmp_path / 'ä.png')


def test_target_list_in_another_encoding(tmp_path):
    (tmp_path / 'list').write_bytes('ä.png'.encode('latin-1'))
    with pytest.raises(DataError, match='list is not text in UTF-8'):
        UnlabelledDataset('list', data_root=str(tmp_path))


@pytest.mark.parametrize('kind', ['text', 'coco', 'folder'])
def test_target_in_a_folder_that_is_not_utf8(tmp_path, kind):
    """OpenCV would end the process at the BMP."""
    folder = tmp_path / os.fsdecode(b'\xe9')
    folder.mkdir()
    (folder / 'a.bmp').write_bytes(encode('.bmp'))
    (folder / 'list').write_text('a.bmp')
    (folder / 'list.json').write_text('{"images": [{"file_name": "a.bmp"}]}')
    images = dict(text='list', coco='list.json', folder='.')[kind]
    with pytest.raises(
        DataError, match=(r"1 images .* not UTF-8 .*\\udce9/\S*a.bmp'\. Rename")
    ):
        UnlabelledDataset(images, data_root=str(folder))


@pytest.mark.parametrize('suffix', ['.bmp', '.png'])
def test_target_image_whose_name_is_not_utf8(tmp_path, suffix):
    draw(tmp_path, 'a.png')
    (tmp_path / os.fsdecode(b'\xe9')).with_suffix(suffix).write_bytes(encode(suffix))
    with pytest.raises(DataError, match=rf"/\\udce9{suffix}'\. Rename"):
        UnlabelledDataset('.', data_root=str(tmp_path))


# Damaged images


def encode(suffix: str) -> bytes:
    """Make an image of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    return cv2.imencode(suffix, noise)[1].tobytes()


@pytest.mark.parametrize('kind', ['text', 'coco', 'folder'])
def test_damaged_target_images_are_all_named_before_training(target, tmp_path, kind):
    names = ['a.jpg', 'b.jpg', 'c.png', 'd.png', 'e.webp', 'f.bmp']
    for name in names:
        (tmp_path / 'sub').mkdir(exist_ok=True)
        (tmp_path / 'sub' / name).write_bytes(encode(name[1:]))
    for name in ('b.jpg', 'd.png'):
        path = tmp_path / 'sub' / name
        path.write_bytes(path.read_bytes()[:-2])
    (tmp_path / 'sub/f.bmp').write_text('Sorry, log in to download this.')
    with pytest.raises(
        DataError,
        match=r'3 of the 6 images that \S+ names are cut short or not '
        r'images: \S+/b.jpg, \S+/d.png, \S+/f.bmp\. Replace them',
    ):
        if kind == 'folder':
            UnlabelledDataset('sub', data_root=str(tmp_path))
        else:
            target([f'sub/{name}' for name in names], kind)


def test_target_image_with_something_after_its_end_is_sound(target, tmp_path):
    for name in ('a.jpg', 'b.png'):
        (tmp_path / name).write_bytes(encode(name[1:]) + b'\0' * 50)
    assert len(target(['a.jpg', 'b.png'])) == 2


def test_cut_labelled_image_is_named_before_training(labelled, tmp_path):
    def cut(content: dict) -> None:
        path = tmp_path / '3.png'
        path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(DataError, match=r'1 of the 9 images .*: \S+/3.png\.'):
        labelled(cut)


def test_hidden_files_are_no_target_images(tmp_path):
    draw(tmp_path, 'a.png', 'sub/B.PNG', 'sub/.ipynb_checkpoints/B-checkpoint.PNG')
    (tmp_path / 'sub/._B.PNG').write_bytes(b'where macOS keeps its notes')
    dataset = UnlabelledDataset('.', data_root=str(tmp_path))
    assert [
        osp.basename(dataset.get_data_info(i)['img_path']) for i in range(len(dataset))
    ] == ['a.png', 'B.PNG']


@pytest.mark.parametrize('content', [b'no image', None])
def test_damaged_image_is_named(target, tmp_path, content):
    draw(tmp_path, 'good.png', 'bad.png')
    dataset = target(['good.png', 'bad.png'])
    whole = (tmp_path / 'bad.png').read_bytes()
    (tmp_path / 'bad.png').write_bytes(content or whole[: len(whole) // 2])
    assert dataset[0]['inputs'].shape == (3, 8, 9)
    with pytest.raises(DataError, match=r'image \S*bad.png cannot be loaded'):
        dataset[1]


@pytest.mark.parametrize('content', [b'', b'no image'])
def test_damaged_labelled_image_is_named(labelled, tmp_path, content):
    dataset = labelled()
    (tmp_path / '3.png').write_bytes(content)
    with pytest.raises(DataError, match=r'image \S*3.png cannot be loaded'):
        dataset[3]


def test_other_errors_of_the_pipeline_stay(labelled):
    dataset = labelled()
    dataset.pipeline = lambda info: info['gone']
    with pytest.raises(KeyError, match='gone'):
        dataset[0]


# The sentences' parts


@pytest.mark.parametrize(
    ('names', 'text'),
    [
        ([], ''),
        ('a', 'a'),
        ('abcde', 'a, b, c, d, e'),
        ('abcdefg', 'a, b, c, d, e and 2 more'),
        ([3, 1], '3, 1'),
    ],
)
def test_name_some(names, text):
    assert name_some(names) == text


def test_repeated():
    assert repeated('abcbabd') == ['a', 'b']
    assert repeated([1, 2]) == []
