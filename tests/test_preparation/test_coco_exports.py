"""COCO files as tools export them: every box is kept or reported."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmdet_ifan.preparation import Options, Report
from mmdet_ifan.preparation.custom import open_source, prepare_custom

#: x, y, width, height, of images of 30 x 20 px.
CAT, DOG = [2, 3, 10, 9], [12.5, 4, 9.5, 11]
#: What every export below holds.
TRUTH = {'a.jpg': [('cat', CAT, 0), ('dog', DOG, 0)], 'b.jpg': []}


def outline(box: list) -> list:
    """Write a box as a polygon."""
    x, y, w, h = box
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def coco(
    names: tuple[str, str], first: int = 1, categories: Any = None, **more: Any
) -> dict:
    """Make two images, the first with a cat and a dog; ids from `first`."""
    categories = categories or [
        dict(id=first, name='cat', supercategory=''),
        dict(id=first + 1, name='dog', supercategory=''),
    ]
    ids = {each['name']: each['id'] for each in categories}
    return dict(
        images=[
            dict(id=first + i, file_name=name, width=30, height=20)
            for i, name in enumerate(names)
        ],
        categories=categories,
        annotations=[
            dict(
                id=first + i,
                image_id=first,
                category_id=ids[name],
                bbox=box,
                area=box[2] * box[3],
                iscrowd=0,
                segmentation=[],
                **more,
            )
            for i, (name, box) in enumerate([('cat', CAT), ('dog', DOG)])
        ],
    )


@pytest.fixture
def write(tmp_path, write_image) -> Callable[[str, Any, str], Path]:
    """Writer of a COCO file and its two images; gives the data root."""
    root = tmp_path / 'export'

    def write(file: str, content: Any, images: str) -> Path:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        for name in 'ab':
            write_image(root / images.format(name))
        return root

    return write


def prepare(root: Path, **arguments: Any) -> Report:
    source, _ = open_source(root)
    assert source.FORMAT == 'coco'
    return prepare_custom(source, Options(root / 'out/annotations', 1), **arguments)


@pytest.fixture
def boxes(read) -> Callable[..., dict]:
    """Reader of the result by the base names of the images."""
    return lambda root, split: {
        Path(name).name: found for name, found in read(root / 'out', split).items()
    }


# --- Tools -------------------------------------------------------------------


@pytest.mark.parametrize(
    'name',
    [
        'images/{}.jpg',
        'images\\{}.jpg',
        '{}.jpg',
        '..\\..\\label-studio\\data\\media\\upload\\3\\{}.jpg',
        '/data/upload/3/{}.jpg',
        '/data/local-files/?d=street/{}.jpg',
        '/data/local-files/?d={}.jpg',
        's3://bucket/street/{}.jpg',
        'https://label.example.org/data/upload/3/{}.jpg',
    ],
)
def test_label_studio(write, boxes, name):
    """result.json and images, named by where they were imported."""
    content = dict(
        coco((name.format('a'), name.format('b')), 0, ignore=0),
        info=dict(
            year=2024, version='1.0', description='', contributor='Label Studio', url=''
        ),
    )
    report = prepare(root := write('result.json', content, 'images/{}.jpg'))
    assert boxes(root, 'result') == TRUTH
    assert not report.problems.counts
    # The guess is reported.
    assert len(report.notes) == ('images' not in name and name != '{}.jpg')


@pytest.mark.parametrize('images', ['images/default/{}.jpg', 'images/{}.jpg'])
def test_cvat(write, boxes, images):
    content = dict(
        coco(('a.jpg', 'b.jpg'), attributes=dict(occluded=False, rotation=0.0)),
        licenses=[dict(name='', id=0, url='')],
        info=dict(
            contributor='', date_created='', description='', url='', version='', year=''
        ),
    )
    for each in content['images']:
        each.update(license=0, flickr_url='', coco_url='', date_captured=0)
    root = write('annotations/instances_default.json', content, images)
    assert not prepare(root).problems.counts
    assert boxes(root, 'default') == TRUTH


def test_box_that_cvat_turned(write, boxes):
    content = coco(('a.jpg', 'b.jpg'))
    for each, angle in zip(content['annotations'], (90.0, 45.0), strict=True):
        each.update(bbox=[10, 6, 8, 4], attributes=dict(rotation=angle))
    prepare(
        root := write('annotations/instances_default.json', content, 'images/{}.jpg')
    )
    (_, cat, _), (_, dog, _) = boxes(root, 'default')['a.jpg']
    assert cat == [12, 4, 4, 8]
    side = 12 / 2**0.5
    assert dog == pytest.approx([14 - side / 2, 8 - side / 2, side, side], abs=1e-3)


def test_roboflow(write, boxes):
    """The super-category has id 0, no box, and may share a category's name."""
    for split, group in (('train', 'pets'), ('valid', 'pets'), ('test', 'cat')):
        content = dict(
            coco(
                ('a.jpg', 'b.jpg'),
                0,
                [
                    dict(id=0, name=group, supercategory='none'),
                    dict(id=1, name='cat', supercategory=group),
                    dict(id=2, name='dog', supercategory=group),
                ],
            ),
            info=dict(year='2024', version='3', description='Roboflow.com'),
            licenses=[dict(id=1, url='', name='CC BY 4.0')],
        )
        root = write(f'{split}/_annotations.coco.json', content, f'{split}/{{}}.jpg')
    (root / 'README.roboflow.txt').write_text('pets - v3')
    report = prepare(root)
    assert not report.problems.counts
    assert report.notes == [
        'pets has no box and only names the group that other categories '
        'belong to: it is not kept.'
    ]
    for split in ('train', 'valid', 'test'):
        assert boxes(root, split) == TRUTH
    assert list(report.summaries[0].boxes) == ['cat', 'dog']


@pytest.mark.parametrize('separator', ['/', '\\'])
def test_labelme(write, boxes, separator):
    """The labels begin with a background that has no box."""
    content = coco(
        (f'JPEGImages{separator}a.jpg', f'JPEGImages{separator}b.jpg'),
        0,
        [
            dict(id=0, name='_background_', supercategory=None),
            dict(id=1, name='cat', supercategory=None),
            dict(id=2, name='dog', supercategory=None),
        ],
    )
    content.update(info=dict(description=None), licenses=[dict(id=0)], type='instances')
    for each in content['annotations']:
        each['segmentation'] = [outline(each['bbox'])]
    root = write('annotations.json', content, 'JPEGImages/{}.jpg')
    (root / 'Visualization').mkdir()
    report = prepare(root)
    assert not report.problems.counts
    assert report.notes == ['No box is of _background_: kept among the categories.']
    assert boxes(root, 'annotations') == TRUTH


@pytest.mark.parametrize('folder', ['', 'train/'])
def test_fiftyone(write, boxes, folder):
    content = coco(
        ('a.jpg', 'b.jpg'),
        1,
        [
            dict(id=0, name='cat', supercategory=None),
            dict(id=1, name='dog', supercategory=None),
        ],
    )
    for each in content['images']:
        each.update(license=None, coco_url=None)
    root = write(f'{folder}labels.json', content, f'{folder}data/{{}}.jpg')
    assert not prepare(root).problems.counts
    assert boxes(root, 'train' if folder else 'labels') == TRUTH


def test_coco_annotator(write, boxes):
    """Flags are true and false; paths are those in its container."""
    content = coco(
        ('a.jpg', 'b.jpg'), isbbox=True, color='#c23', metadata={}, width=30, height=20
    )
    for each in content['images']:
        each.update(
            path=f'/datasets/pets/{each["file_name"]}',
            dataset_id=1,
            annotated=False,
            category_ids=[],
        )
    for each in content['annotations']:
        each['iscrowd'] = False
    # A box that was begun and never drawn.
    content['annotations'].append(
        dict(content['annotations'][0], id=9, bbox=[0, 0, 0, 0], area=0)
    )
    report = prepare(root := write('pets.json', content, '{}.jpg'))
    assert report.problems.counts == {'boxes without area': 1}
    assert boxes(root, 'pets') == TRUTH


def test_via(write, boxes):
    """Image ids are text in annotations only; outlines are not nested."""
    content = coco(('a.jpg', 'b.jpg'), 0)
    for each in content['annotations']:
        each.update(image_id=str(each['image_id']), segmentation=outline(each['bbox']))
    assert not prepare(
        root := write('via_export_coco.json', content, '{}.jpg')
    ).problems.counts
    assert boxes(root, 'via_export_coco') == TRUTH


def test_azure(write, boxes):
    """Boxes are fractions of the image; sizes have a decimal point."""
    content = coco(('street/a.jpg', 'street/b.jpg'))
    for each in content['images']:
        each.update(
            width=30.0,
            height=20.0,
            coco_url='AmlDatastore://x',
            absolute_url='https://x.blob.core.windows.net/x',
        )
    for each in content['annotations']:
        x, y, w, h = each['bbox']
        each.update(bbox=[x / 30, y / 20, w / 30, h / 20], area=0.15)
    report = prepare(root := write('export.json', content, 'street/{}.jpg'))
    assert boxes(root, 'export') == TRUTH
    assert report.notes == [
        f'{root}/export.json gives boxes as fractions of the image, from 0 '
        'to 1: they are converted to px.'
    ]
    made = json.loads((root / 'out/annotations/instances_export.json').read_text())
    assert [each['area'] for each in made['annotations']] == [90, 104.5]


def test_makesense(write, boxes):
    content = dict(coco(('a.jpg', 'b.jpg')), info=dict(description='pets'))
    for each in content['annotations']:
        del each['iscrowd']
    assert not prepare(
        root := write('labels_pets_2024-03-01.json', content, '{}.jpg')
    ).problems.counts
    assert boxes(root, 'labels_pets_2024-03-01') == TRUTH


def test_hit_uav(write, boxes):
    """Other keys, category ids from 0, regions instead of a segmentation."""
    content = coco(
        ('a.jpg', 'b.jpg'),
        0,
        [
            dict(id=0, name='cat', supercategory='cat'),
            dict(id=1, name='dog', supercategory='dog'),
            dict(id=4, name='DontCare', supercategory='DontCare'),
        ],
    )
    content['annotations'].append(
        dict(id=7, image_id=1, category_id=4, bbox=[1, 1, 20, 9], area=180)
    )
    content['annotation'] = content.pop('annotations')
    for each in content['images']:
        each['filename'] = each.pop('file_name')
    report = prepare(
        root := write('annotations/train.json', content, 'JPEGImages/{}.jpg')
    )
    assert not report.problems.counts
    assert report.notes == [
        'Ignored for every category, as the name says: DontCare (1). Name it '
        'with --classes to learn it.'
    ]
    region = [1, 1, 20, 9]
    assert boxes(root, 'train') == {
        'a.jpg': TRUTH['a.jpg'],
        'b.jpg': [('cat', region, 1), ('dog', region, 1)],
    }


# --- Names -------------------------------------------------------------------


@pytest.mark.parametrize(
    ('written', 'there'),
    [
        ('C:\\Users\\me\\pets\\{}.jpg', 'images/{}.jpg'),
        ('/home/me/pets/{}.jpg', 'images/{}.jpg'),
        ('C:\\pets\\street\\{}.jpg', 'street/{}.jpg'),
        ('my%20pets/{}%20%231.jpg', 'images/my pets/{} #1.jpg'),
        ('my%20pets/{}.jpg', 'images/my%20pets/{}.jpg'),
        ('M\u00fcnchen/{}.jpg', 'Mu\u0308nchen/{}.jpg'),
        ('Mu\u0308nchen/{}.jpg', 'M\u00fcnchen/{}.jpg'),
        ('{}.jpg', 'whatever they call it/{}.jpg'),
    ],
)
def test_names_of_another_computer(write, read, written, there):
    content = coco((written.format('a'), written.format('b')))
    assert not prepare(root := write('pets.json', content, there)).problems.counts
    assert list(read(root / 'out', 'pets')) == [there.format('a'), there.format('b')]


def test_names_that_are_the_same_without_their_folders(write, read):
    content = coco(('C:\\monday\\a.jpg', 'C:\\monday\\b.jpg'))
    content['images'].append(
        dict(id=9, file_name='C:\\friday\\a.jpg', width=30, height=20)
    )
    root = write('pets.json', content, 'images/{}.jpg')
    report = prepare(root)
    # Whose boxes are those of a.jpg?
    assert report.problems.counts == {'images of the same name': 2}
    assert list(read(root / 'out', 'pets')) == ['images/b.jpg']
    # With their folders, both are there.
    write('pets.json', content, 'monday/{}.jpg')
    (root / 'friday').mkdir()
    (root / 'friday/a.jpg').hardlink_to(root / 'monday/a.jpg')
    (root / 'images/a.jpg').unlink()
    source, _ = open_source(root)
    assert not prepare_custom(
        source, Options(root / 'new/annotations', 1)
    ).problems.counts
    assert list(read(root / 'new', 'pets')) == [
        'monday/a.jpg',
        'monday/b.jpg',
        'friday/a.jpg',
    ]


# --- Numbers, flags and ids in another notation ------------------------------


def one(write, **changes: Any) -> Path:
    """Write a cat whose annotation was changed, and a dog."""
    content = coco(('a.jpg', 'b.jpg'))
    content['annotations'][0].update(changes)
    return write('pets.json', content, '{}.jpg')


@pytest.mark.parametrize(
    ('key', 'value', 'ignored'),
    [
        ('iscrowd', False, 0),
        ('iscrowd', '0', 0),
        ('iscrowd', None, 0),
        ('iscrowd', 'false', 0),
        ('iscrowd', '', 0),
        ('iscrowd', 0.0, 0),
        ('iscrowd', 'No', 0),
        ('iscrowd', True, 1),
        ('iscrowd', '1', 1),
        ('iscrowd', 'True', 1),
        ('iscrowd', '1.0', 1),
        ('ignore', '0', 0),
        ('ignore', 'yes', 1),
        ('difficult', 'false', 0),
        ('difficult', 1, 1),
    ],
)
def test_flags(write, boxes, key, value, ignored):
    root = one(write, **{key: value})
    assert not prepare(root).problems.counts
    assert boxes(root, 'pets')['a.jpg'][0] == ('cat', CAT, ignored)


@pytest.mark.parametrize('value', ['maybe', 2, [], '0,0'])
def test_flag_that_says_neither_yes_nor_no(write, boxes, value):
    root = one(write, iscrowd=value)
    report = prepare(root)
    assert report.problems.counts == {'unreadable boxes': 1}
    assert (
        f"{root}/pets.json has annotation 1 whose 'iscrowd' is neither "
        '0 nor 1 (' in next(report.lines())
    )
    assert boxes(root, 'pets')['a.jpg'] == TRUTH['a.jpg'][1:]


@pytest.mark.parametrize(
    'changes',
    [
        dict(bbox=['2', '3.0', ' 10', '9e0']),
        dict(area='90'),
        dict(area=None),
        dict(area='about 90'),
        dict(image_id='1'),
        dict(image_id=1.0),
        dict(category_id='1.0'),
        dict(id='1'),
        dict(id=None),
        dict(bbox=[], segmentation=[outline(CAT)]),
        dict(bbox=None, segmentation=[outline(CAT)[:4], outline(CAT)[4:]]),
        dict(bbox=[0, 0, 0, 0], segmentation=[outline(CAT)]),
        dict(bbox=None, segmentation=outline(CAT)),
        dict(bbox=None, segmentation=[[[2, 3], [12, 3], ['12', 12.0]]]),
    ],
)
def test_other_notations(write, boxes, changes):
    root = one(write, **changes)
    assert not prepare(root).problems.counts
    assert boxes(root, 'pets') == TRUTH


@pytest.mark.parametrize(
    'bbox',
    [
        ['2,5', '3', '10', '9'],
        [2, 3, 10],
        [2, 3, 10, None],
        [[2, 3, 10, 9]],
        dict(x=2, y=3, width=10, height=9),
        '2 3 10 9',
        [2, 3, True, 9],
        [2, 3, float('nan'), 9],
    ],
)
def test_box_that_says_nothing(write, boxes, bbox):
    """The bbox is used where it differs from that of the outline."""
    root = one(write, bbox=bbox, segmentation=[outline(CAT)])
    report = prepare(root)
    assert report.problems.counts == {'unreadable boxes': 1}
    assert boxes(root, 'pets')['a.jpg'] == TRUTH['a.jpg'][1:]


@pytest.mark.parametrize(
    'segmentation',
    [
        None,
        [],
        [[1, 2, 3]],
        [[1, 2, 3, 4]],
        [[2, 3, 12, 3, 'x', 12]],
        dict(counts=[5, 6], size=[20, 30]),
    ],
)
def test_no_box_and_no_outline(write, segmentation):
    root = one(write, bbox=[], segmentation=segmentation)
    assert prepare(root).problems.counts == {'unreadable boxes': 1}


@pytest.mark.parametrize(
    ('size', 'problems'),
    [
        (dict(width='30', height='20'), {}),
        (dict(width=30.0, height=20.4), {}),
        (dict(width=0, height=0), {}),
        (dict(width=None), {}),
        (dict(width='', height=''), {}),
        (dict(width='30 px'), {'unreadable sizes': 1}),
        (dict(width='60', height='40'), {'images of another size': 1}),
    ],
)
def test_sizes(write, boxes, size, problems):
    content = coco(('a.jpg', 'b.jpg'))
    content['images'][0].update(size)
    root = write('pets.json', content, '{}.jpg')
    assert prepare(root).problems.counts == problems
    left_out = 'images of another size' in problems
    assert ('a.jpg' in boxes(root, 'pets')) != left_out


def test_text_ids_everywhere(write, boxes):
    content = coco(('a.jpg', 'b.jpg'))
    for part in content.values():
        for each in part:
            for key in ('id', 'image_id', 'category_id'):
                if key in each:
                    each[key] = str(each[key])
    content['annotations'][0]['category_id'] = 1
    root = write('pets.json', content, '{}.jpg')
    assert not prepare(root).problems.counts
    assert boxes(root, 'pets') == TRUTH


def test_category_that_is_a_number(write, boxes):
    content = coco(
        ('a.jpg', 'b.jpg'),
        1,
        [dict(id=1, name='cat'), dict(id=2, name='dog'), dict(id=3, name=7)],
    )
    prepare(root := write('pets.json', content, '{}.jpg'))
    made = json.loads((root / 'out/annotations/instances_pets.json').read_text())
    assert [each['name'] for each in made['categories']] == ['cat', 'dog', '7']


def test_an_entry_that_cannot_be_used_costs_itself_alone(write, boxes):
    content = coco(('a.jpg', 'b.jpg'))
    content['images'].append(dict(id=9))
    content['categories'].append('bird')
    content['annotations'].append(None)
    report = prepare(root := write('pets.json', content, '{}.jpg'))
    assert report.problems.counts == {'unusable entries': 3}
    assert next(report.lines()) == (
        f"{root}/pets.json: the 'file_name' of entry 2 in its 'images' is "
        'missing or not usable (None): left out.'
    )
    assert boxes(root, 'pets') == TRUTH


def test_no_annotations_at_all_is_said(write, boxes):
    content = coco(('a.jpg', 'b.jpg'))
    del content['annotations']
    report = prepare(root := write('pets.json', content, '{}.jpg'))
    assert boxes(root, 'pets') == {'a.jpg': [], 'b.jpg': []}
    assert report.notes[0] == (
        f"{root}/pets.json has no list 'annotations': none of its images has a box."
    )


def test_file_with_a_byte_order_mark_or_in_utf_16(write, boxes):
    content = json.dumps(coco(('a.jpg', 'b.jpg')))
    root = write('pets.json', content, '{}.jpg')
    for encoding in ('utf-8-sig', 'utf-16'):
        (root / 'pets.json').write_text(content, encoding=encoding)
        prepare(root)
        assert boxes(root, 'pets') == TRUTH


# --- Categories --------------------------------------------------------------


def test_two_spellings_of_a_category_are_named(write):
    content = coco(
        ('a.jpg', 'b.jpg'),
        1,
        [
            dict(id=1, name='cat'),
            dict(id=2, name='dog'),
            dict(id=3, name='Cat'),
            dict(id=4, name='hot dog'),
            dict(id=5, name='hot_dog'),
        ],
    )
    report = prepare(write('pets.json', content, '{}.jpg'))
    assert report.notes[1:] == [
        "'cat' may be the same as 'Cat': if so, give them one name with "
        '--rename OLD=NEW.',
        "'hot_dog' may be the same as 'hot dog': if so, give them one name "
        'with --rename OLD=NEW.',
    ]


def test_group_with_a_box_is_a_category(write, boxes):
    content = coco(
        ('a.jpg', 'b.jpg'),
        1,
        [
            dict(id=1, name='cat', supercategory='dog'),
            dict(id=2, name='dog', supercategory='none'),
        ],
    )
    report = prepare(root := write('pets.json', content, '{}.jpg'))
    assert boxes(root, 'pets') == TRUTH and not report.notes


def test_group_with_a_box_in_another_split_is_one(write):
    groups = [
        dict(id=1, name='cat', supercategory='pet'),
        dict(id=2, name='dog', supercategory='pet'),
        dict(id=3, name='pet', supercategory='none'),
    ]
    write('train.json', coco(('a.jpg', 'b.jpg'), 1, groups), '{}.jpg')
    content = coco(('c.jpg', 'd.jpg'), 1, groups)
    content['annotations'][0]['category_id'] = 3
    root = write('val.json', content, '{}.jpg')
    for old, new in zip('ab', 'cd', strict=True):
        (root / f'{new}.jpg').write_bytes((root / f'{old}.jpg').read_bytes())
    report = prepare(root)
    assert dict(report.summaries[0].boxes) == dict(cat=1, dog=1, pet=0)
    assert not report.notes


@pytest.mark.parametrize(
    'name', ['DontCare', "don't care", 'ignored regions', '__ignore__', 'IGNORE']
)
def test_regions_are_ignored_for_every_category(write, boxes, name):
    content = coco(
        ('a.jpg', 'b.jpg'),
        1,
        [dict(id=1, name='cat'), dict(id=2, name='dog'), dict(id=3, name=name)],
    )
    content['annotations'][0].update(image_id=2, category_id=3)
    prepare(root := write('pets.json', content, '{}.jpg'))
    assert boxes(root, 'pets')['b.jpg'] == [('cat', CAT, 1), ('dog', CAT, 1)]
    source, _ = open_source(root)
    # Some categories, and the region as one of them.
    prepare_custom(source, Options(root / 'out/annotations', 1, True), classes=['dog'])
    assert boxes(root, 'pets')['b.jpg'] == [('dog', CAT, 1)]
    source, _ = open_source(root)
    prepare_custom(
        source, Options(root / 'out/annotations', 1, True), classes=['dog', name]
    )
    assert boxes(root, 'pets')['b.jpg'] == [(name, CAT, 0)]


def test_any_category_can_be_made_a_region(write, boxes):
    root = write('pets.json', coco(('a.jpg', 'b.jpg')), '{}.jpg')
    prepare(root, rename=dict(dog='DontCare'))
    assert boxes(root, 'pets')['a.jpg'] == [('cat', CAT, 0), ('cat', DOG, 1)]


def test_word_that_only_contains_ignore_is_a_category(write, boxes):
    content = coco(
        ('a.jpg', 'b.jpg'), 1, [dict(id=1, name='cat'), dict(id=2, name='dog')]
    )
    content['categories'][0]['name'] = 'ignored cat'
    prepare(root := write('pets.json', content, '{}.jpg'))
    assert boxes(root, 'pets')['a.jpg'][0] == ('ignored cat', CAT, 0)
