import json
from pathlib import Path

import pytest
from PIL import Image

from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.coco import CocoSets
from mmdet_ifan.preparation.custom import open_source, prepare_custom
from mmdet_ifan.utils.errors import DataError


def annotation(number, image=10, category=7, bbox=(2, 3, 10, 9), **more):
    return dict(
        id=number, image_id=image, category_id=category, bbox=list(bbox), **more
    )


def content(**changes):
    """Two images; a dog and a crowd of cats on the first."""
    return dict(
        dict(
            images=[
                dict(id=10, file_name='a.jpg', height=20, width=30),
                dict(id=4, file_name='b.jpg', height=20, width=30),
            ],
            categories=[dict(id=7, name='dog'), dict(id=3, name='cat')],
            annotations=[
                annotation(1, area=50.5, iscrowd=0, segmentation=[[1, 2, 3]]),
                annotation(2, area=0, category=3, iscrowd=1),
            ],
        ),
        **changes,
    )


@pytest.fixture
def write(tmp_path, write_image):
    """Writer of a COCO file and its images; gives the data root."""

    def write(value, name='annotations/instances_train.json', images='images'):
        for image in 'ab':
            write_image(tmp_path / images / f'{image}.jpg')
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return tmp_path

    return write


def prepare(root, **arguments):
    options = Options(root / 'out/annotations', workers=1)
    return prepare_custom(CocoSets(root), options, **arguments)


def test_boxes_are_kept(write, read):
    root = write(content())
    report = prepare(root)
    assert read(root / 'out') == {
        'images/a.jpg': [('dog', [2, 3, 10, 9], 0), ('cat', [2, 3, 10, 9], 1)],
        'images/b.jpg': [],
    }
    assert not report.problems.counts
    text = (root / 'out/annotations/instances_train.json').read_text()
    assert 'segmentation' not in text
    assert [each['area'] for each in json.loads(text)['annotations']] == [50.5, 90]


def test_ignored_boxes_are_crowds(write, read):
    root = write(content(annotations=[annotation(1, iscrowd=0, ignore=1)]))
    prepare(root)
    assert read(root / 'out')['images/a.jpg'] == [('dog', [2, 3, 10, 9], 1)]


@pytest.mark.parametrize(
    'name, split',
    [
        ('annotations/instances_val2017.json', 'val2017'),
        ('annotations/test.json', 'test'),
        ('boxes.json', 'boxes'),
        ('valid/_annotations.coco.json', 'valid'),
    ],
)
@pytest.mark.parametrize('images', ['', 'images', 'SPLIT', 'images/SPLIT', 'FILE'])
def test_images_are_found(write, read, name, split, images):
    folder = images.replace('SPLIT', split).replace('FILE', name.rpartition('/')[0])
    root = write(content(), name, folder)
    source, shown = open_source(root)
    assert isinstance(source, CocoSets) and shown == str(root / name)
    prepare(root)
    assert list(read(root / 'out', split))[0] == (
        f'{folder}/a.jpg' if folder else 'a.jpg'
    )


def test_names_are_never_taken_out_of_the_data_root(write, read, write_image, tmp_path):
    write_image(tmp_path.parent / 'outside.jpg')
    value = content()
    value['images'].append(dict(id=5, file_name='../../outside.jpg'))
    value['images'][0]['file_name'] = '..\\images/a.jpg'
    root = write(value)
    assert prepare(root).problems.counts == {'images outside the data root': 1}
    assert list(read(root / 'out')) == ['images/a.jpg', 'images/b.jpg']


@pytest.mark.parametrize(
    'change, kind, left',
    [
        (
            dict(
                images=content()['images'] + [dict(id=4, file_name='c.jpg')],
                annotations=[annotation(1), annotation(2, image=4)],
            ),
            'image ids that clash',
            1,
        ),
        (
            dict(images=content()['images'] + [dict(id=11, file_name='a.jpg')]),
            'images listed twice',
            2,
        ),
        (
            dict(images=content()['images'] + content()['images'][:1]),
            'images listed twice',
            2,
        ),
        (
            dict(images=content()['images'] + [dict(id=11, file_name='c.jpg')]),
            'missing images',
            2,
        ),
        (
            dict(annotations=[annotation(1), annotation(1, category=3)]),
            'annotation ids that clash',
            2,
        ),
        (
            dict(annotations=[annotation(1), annotation(2, category=9)]),
            'boxes of an unknown category',
            1,
        ),
        (
            dict(annotations=[annotation(1), annotation(2, image=9)]),
            'boxes of an unknown image',
            1,
        ),
        (
            dict(annotations=[annotation(1), annotation(2, image=[1])]),
            'boxes of an unknown image',
            1,
        ),
        (
            dict(annotations=[annotation(1), annotation(2, bbox=(3, 3, 0, 9))]),
            'boxes without area',
            1,
        ),
        (
            dict(annotations=[annotation(1), annotation(2, bbox=(3, 3, -5, 9))]),
            'boxes without area',
            1,
        ),
        (
            dict(annotations=[annotation(1), annotation(2, bbox=(40, 3, 9, 9))]),
            'boxes outside the image',
            1,
        ),
        (
            dict(annotations=[annotation(1), annotation(2, bbox=(25, 3, 9, 9))]),
            'boxes cut at the border',
            2,
        ),
        (
            dict(annotations=[annotation(1), annotation(2, bbox=(1, 2, 3))]),
            'unreadable boxes',
            1,
        ),
        (
            dict(annotations=[annotation(1), annotation(2, bbox='abcd')]),
            'unreadable boxes',
            1,
        ),
        (
            dict(
                images=[
                    content()['images'][0],
                    dict(id=4, file_name='b.jpg', height=30, width=20),
                ]
            ),
            'images of another size',
            2,
        ),
    ],
)
def test_problems(write, read, change, kind, left):
    root = write(content(**change))
    report = prepare(root)
    assert report.problems.counts == {kind: 1}
    assert next(report.lines()).startswith(str(root)) or kind == ('images listed twice')
    found = read(root / 'out')
    assert len(found) == 2 - (
        kind in ('image ids that clash', 'images of another size')
    )
    assert len(found['images/a.jpg']) == left


def test_two_files_of_one_id_are_both_left_out(write, read, write_image):
    root = write(content(images=content()['images'] + [dict(id=10, file_name='c.jpg')]))
    write_image(root / 'images/c.jpg')
    report = prepare(root)
    assert next(report.lines()) == (
        f'{root}/annotations/instances_train.json gives id 10 to a.jpg and to '
        'c.jpg: all are left out, since their boxes cannot be told apart.'
    )
    assert read(root / 'out') == {'images/b.jpg': []}


def test_one_file_of_two_ids_keeps_the_boxes_of_both(write, read):
    images = content()['images'] + [dict(id=11, file_name='./a.jpg')]
    root = write(
        content(
            images=images,
            annotations=[
                annotation(1),
                annotation(2, image=11),
                annotation(3, image=11, bbox=(1, 1, 5, 5)),
                annotation(4, image=11, category=3),
            ],
        )
    )
    report = prepare(root)
    assert report.problems.counts == {'images listed twice': 1}
    assert 'lists images/a.jpg twice: kept once' in next(report.lines())
    # A box that both have is kept once.
    assert read(root / 'out')['images/a.jpg'] == [
        ('dog', [2, 3, 10, 9], 0),
        ('dog', [1, 1, 5, 5], 0),
        ('cat', [2, 3, 10, 9], 0),
    ]


def test_second_entry_of_another_size(write, read):
    root = write(
        content(
            images=content()['images']
            + [dict(id=11, file_name='a.jpg', height=40, width=60)]
        )
    )
    assert prepare(root).problems.counts == {
        'images listed twice': 1,
        'images of another size': 1,
    }
    assert list(read(root / 'out')) == ['images/b.jpg']


def test_layout_of_coco_2017(write, read):
    # Files of captions have no categories.
    captions = content()
    del captions['categories']
    write(captions, 'annotations/captions_train2017.json', 'train2017')
    root = write(content(), 'annotations/instances_train2017.json', 'train2017')
    with pytest.raises(
        DataError,
        match='captions_train2017.json .*has no '
        "list 'categories'.* leave it out: name others "
        '.train2017. with --split',
    ):
        prepare(root)
    prepare(root, splits=['train2017'])
    assert list(read(root / 'out', 'train2017')) == [
        'train2017/a.jpg',
        'train2017/b.jpg',
    ]
    with pytest.raises(
        DataError,
        match='There is no split val2017; there is captions_train2017, train2017',
    ):
        prepare(root, splits=['val2017'])


@pytest.mark.parametrize(
    'name', ['train.json', 'annotations/train.json', 'train/_annotations.coco.json']
)
def test_two_files_for_a_split(write, name):
    root = write(content())
    write(content(), name)
    with pytest.raises(
        DataError, match='train.json and .* are both the split train: rename one'
    ) as error:
        CocoSets(root)
    assert str(root / name) in str(error.value)


def test_file_that_two_places_match(write):
    root = write(content(), 'annotations/_annotations.coco.json')
    assert list(CocoSets(root).files) == ['annotations']


def test_absolute_names_below_a_relative_root(write, read, monkeypatch):
    value = content()
    root = write(value)
    for each in value['images']:
        each['file_name'] = str(root / 'images' / each['file_name'])
    write(value)
    monkeypatch.chdir(root.parent)
    prepare(Path(root.name))
    assert list(read(root / 'out')) == ['images/a.jpg', 'images/b.jpg']


def test_names_that_are_all_outside_are_named(write, tmp_path):
    root = write(content(images=[dict(id=10, file_name='../a.jpg')]))
    (tmp_path.parent / 'a.jpg').touch()
    with pytest.raises(
        DataError, match='lists no image.\n.*names .*/a.jpg, which is not under'
    ):
        prepare(root)


def test_what_is_no_file_is_not_read(write):
    root = write(content())
    (root / 'backup.json').mkdir()
    (root / 'lost.json').symlink_to('nowhere')
    assert list(CocoSets(root).files) == ['train']


def test_file_that_may_not_be_read(write, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, 'Permission denied')

    root = write(content())
    # Root may read anything, so the error is raised here.
    monkeypatch.setattr(Path, 'open', refuse)
    with pytest.raises(
        DataError, match='train.json cannot be read .Permission denied.: allow it'
    ):
        CocoSets(root)


def test_images_in_two_splits(write, read, write_image, tmp_path):
    root = write(content())
    value = content()
    value['images'].append(dict(id=5, file_name='c.jpg'))
    write(value, 'annotations/instances_val.json')
    write_image(tmp_path / 'images/c.jpg')
    report = prepare(root)
    assert report.problems.counts == {'images in two splits': 2}
    assert len(read(root / 'out')) == 2
    assert list(read(root / 'out', 'val')) == ['images/c.jpg']


def test_file_of_another_split(write):
    value = content()
    for each in value['images']:
        each['file_name'] = f'other_{each["file_name"]}'
    root = write(value)
    with pytest.raises(
        DataError,
        match='None of the images that .*train.json'
        ' names, such as other_a.jpg, exists .looked in .*: '
        'is it the file of another split',
    ):
        prepare(root)


@pytest.mark.parametrize(
    'value, message',
    [
        ('{"images": [', 'is not valid JSON .Expecting value'),
        ('{"images": ' + '[' * 9999, 'is not valid JSON .maximum recursion'),
        ('[{"images": 1}]', "is not a COCO file: it has no list 'images'"),
        (dict(images=[], annotations=[]), "it has no list 'categories'"),
        (
            content(images=[dict(id=1)]),
            "not a COCO file: the 'file_name' of entry 0 in its 'images' is missing",
        ),
        (content(images=[dict(file_name='a.jpg')]), "the 'id' of entry 0 in "),
        (content(images=[dict(id=1, file_name=3)]), r'not usable \(3\)'),
        (content(categories=[dict(id=1, name='a\x1b[2J')]), "the 'name' of entry"),
        (content(annotations=[3]), "entry 0 in its 'annotations' is not an object"),
        (
            content(categories=[dict(id=1, name='a'), dict(id=1, name='b')]),
            'two categories with the id 1',
        ),
        (
            content(categories=[dict(id=7, name='a'), dict(id=3, name='a')]),
            'two categories with the name a',
        ),
    ],
)
def test_damaged_files(write, value, message):
    root = write(value)
    with pytest.raises(DataError, match=message) as error:
        prepare(root)
    assert str(root / 'annotations/instances_train.json') in str(error.value)


def test_input_is_not_written_over(write):
    root = write(content())
    before = (root / 'annotations/instances_train.json').read_bytes()
    with pytest.raises(DataError, match='is read and would be overwritten'):
        prepare_custom(CocoSets(root), Options(overwrite=True))
    assert before == (root / 'annotations/instances_train.json').read_bytes()


def test_other_json_files_are_no_coco_files(write):
    root = write('{"seed": 3}', 'settings.json')
    assert CocoSets.recognise(root) is None
    with pytest.raises(DataError, match='has no COCO file'):
        CocoSets(root)


def test_what_we_wrote_is_no_input(voc):
    prepare_custom(open_source(voc)[0], Options(workers=1))
    assert (voc / 'annotations/instances_train.json').exists()
    assert open_source(voc)[0].FORMAT == 'voc'
    assert CocoSets.recognise(voc) is None


def test_turned_photograph_keeps_its_size(write, read, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    value = content()
    value['images'][0].update(height=30, width=20)
    root = write(value)
    Image.new('RGB', (30, 20)).save(tmp_path / 'images/a.jpg', exif=exif)
    assert not prepare(root).problems.counts
