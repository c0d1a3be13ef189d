import json
import tracemalloc
from pathlib import Path

import pytest
from pycocotools.coco import COCO

from mmdet_ifan.preparation import (
    CocoFiles,
    LabelledImage,
    Options,
    Problem,
    coco_files,
)
from mmdet_ifan.utils.errors import DataError

NAMES = ['instances_train.json', 'instances_val.json']
CATEGORIES = {24: 'person', 26: 'car'}


def image(number, *boxes):
    return LabelledImage(
        f'å/{number}.png',
        10,
        20,
        [
            dict(category_id=key, bbox=[1, 2, 3, 4.5], area=13.5, iscrowd=crowd)
            for key, crowd in boxes
        ],
    )


TRAIN = [image(0, (26, 0), (24, 1)), image(1), image(2, (24, 0), (24, 0))]
VAL = [image(3)]


def write(out, train=TRAIN, problems=(), names=NAMES, **options):
    with CocoFiles(out, names, dict(CATEGORIES), 'Boxes', Options(**options)) as files:
        for name, images in zip(NAMES, (train, VAL), strict=True):
            for each in images:
                files.add(name, each)
        for problem in problems:
            files.note(problem)
        return files.publish()


def files_below(folder):
    return sorted(path for path in folder.rglob('*') if path.is_file())


def test_file_equals_one_written_at_once(tmp_path):
    write(tmp_path / 'new/folder')
    annotations = [
        dict(
            category_id=key,
            bbox=[1, 2, 3, 4.5],
            area=13.5,
            iscrowd=crowd,
            image_id=image_id,
            id=number,
        )
        for number, (image_id, key, crowd) in enumerate(
            [(0, 26, 0), (0, 24, 1), (2, 24, 0), (2, 24, 0)], 1
        )
    ]
    expected = dict(
        info=dict(description='Boxes'),
        licenses=[],
        images=[
            dict(file_name=f'å/{number}.png', height=10, width=20, id=number)
            for number in range(3)
        ],
        categories=[dict(id=24, name='person'), dict(id=26, name='car')],
        annotations=annotations,
    )
    path = tmp_path / 'new/folder' / NAMES[0]
    assert path.read_text() == json.dumps(expected)
    # Nothing else is left.
    assert files_below(tmp_path) == [path.with_name(name) for name in NAMES]


def test_file_loads_in_pycocotools(tmp_path):
    write(tmp_path)
    coco = COCO(str(tmp_path / NAMES[0]))
    assert coco.getAnnIds(imgIds=[2]) == [3, 4]
    assert coco.getAnnIds(iscrowd=True) == [2]


def test_memory_does_not_grow_with_the_images(tmp_path):
    peaks = []
    for count in (100, 2000):
        tracemalloc.start()
        with CocoFiles(
            tmp_path / str(count), NAMES[:1], dict(CATEGORIES), '', Options()
        ) as files:
            for number in range(count):
                files.add(NAMES[0], image(number, *[(26, 0)] * 10))
            files.publish()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (tmp_path / '2000' / NAMES[0]).stat().st_size > 2_000_000
    assert peaks[1] < peaks[0] + 100_000


def test_summary_counts(tmp_path):
    train, val = write(tmp_path).summaries
    assert (train.images, train.empty, train.crowds) == (3, 1, 1)
    assert dict(train.boxes) == dict(person=2, car=1)
    assert list(train.boxes) == ['person', 'car']
    assert (val.images, val.empty, dict(val.boxes)) == (1, 1, dict(person=0, car=0))


def test_table(tmp_path):
    lines = list(write(tmp_path).lines())
    assert [line.split() for line in lines] == [
        ['file', 'images', 'empty', 'person', 'car', 'boxes', 'crowds', 'state'],
        ['instances_train.json', '3', '1', '2', '1', '3', '1', 'written'],
        ['instances_val.json', '1', '1', '0', '0', '0', '0', 'written'],
    ]
    assert len(set(map(len, lines[:2]))) == 1


def test_table_of_many_categories_stands_upright(tmp_path):
    categories = {key: f'name{key}' for key in range(13)}
    with CocoFiles(tmp_path, NAMES[:1], categories, '', Options()) as files:
        files.add(NAMES[0], image(0, (7, 0)))
        lines = [line.split() for line in files.publish().lines()]
    assert lines[0] == ['file', 'instances_train.json']
    assert ['name7', '1'] in lines and ['name6', '0'] in lines
    assert len(lines) == 3 + 13 + 2


def test_writing_again_changes_nothing(tmp_path):
    write(tmp_path)
    stamps = [path.stat().st_mtime_ns for path in files_below(tmp_path)]
    report = write(tmp_path)
    assert [each.is_new for each in report.summaries] == [False, False]
    assert list(report.lines())[1].endswith('up to date')
    assert stamps == [path.stat().st_mtime_ns for path in files_below(tmp_path)]


def test_what_differs_is_kept_unless_overwritten(tmp_path):
    write(tmp_path)
    (tmp_path / NAMES[1]).unlink()
    before = (tmp_path / NAMES[0]).read_bytes()
    with pytest.raises(
        DataError, match='instances_train.json exists and differs: pass --overwrite'
    ):
        write(tmp_path, TRAIN[:2])
    # Not even the file that could be written was.
    assert files_below(tmp_path) == [tmp_path / NAMES[0]]
    assert (tmp_path / NAMES[0]).read_bytes() == before
    write(tmp_path, TRAIN[:2], overwrite=True)
    assert len(COCO(str(tmp_path / NAMES[0])).getImgIds()) == 2


# --- Problems --------------------------------------------------------------

PROBLEMS = [
    Problem('boxes without area', f'{number}.xml: none') for number in range(13)
] + [Problem('missing images', 'x: gone')]


def test_problems_are_counted_and_the_first_named(tmp_path):
    lines = list(write(tmp_path, problems=PROBLEMS).lines())
    assert lines[:10] == [f'{number}.xml: none' for number in range(10)]
    assert lines[10:13] == [
        '... and 3 more boxes without area.',
        'x: gone',
        'Problems in the data - boxes without area: 13, missing images: 1.',
    ]


def test_strict_allows_no_problem(tmp_path):
    with pytest.raises(
        DataError, match='boxes without area: 13, missing images: 1'
    ) as error:
        write(tmp_path, problems=PROBLEMS, strict=True)
    assert '\n9.xml: none\n... and 3 more' in str(error.value)
    assert not files_below(tmp_path)
    write(tmp_path, strict=True)


def test_file_without_images_is_refused(tmp_path):
    with pytest.raises(
        DataError, match='No image is left for .*instances_train.json(.|\n)*x: gone'
    ):
        write(tmp_path, [], PROBLEMS)
    assert not files_below(tmp_path)


# --- Checking --------------------------------------------------------------


def change(function):
    def apply(path):
        content = json.loads(path.read_text())
        function(content)
        path.write_text(json.dumps(content))

    return apply


def rename_car(content):
    content['categories'][1]['name'] = 'bus'


def forget_size(content):
    del content['images'][0]['height']


CHANGES = [
    (
        Path.unlink,
        'instances_train.json is missing: run the same command without --check',
    ),
    (lambda path: path.write_text('[]'), 'it is not a valid COCO file'),
    (
        lambda path: path.write_text(path.read_text()[:-9]),
        'it is not a valid COCO file',
    ),
    (change(forget_size), 'it is not a valid COCO file'),
    (change(lambda content: content['images'].pop()), 'it is not a valid COCO file'),
    (
        change(lambda content: content['images'][1].update(file_name='b')),
        'it lacks å/1.png.',
    ),
    (
        change(
            lambda content: [
                each.update(file_name=str(each['id'])) for each in content['images']
            ]
        ),
        'it lacks å/0.png and 2 more',
    ),
    (
        change(
            lambda content: content['images'].append(
                dict(file_name='z', height=1, width=1, id=9)
            )
        ),
        'it should not list z.',
    ),
    (change(rename_car), 'its categories are person, bus instead of person, car'),
    (
        change(lambda content: content['images'][1].update(width=21)),
        'the size or the boxes changed of å/1.png.',
    ),
    (
        change(lambda content: content['annotations'].pop(1)),
        'the size or the boxes changed of å/0.png.',
    ),
    (
        change(lambda content: content['annotations'][3].update(iscrowd=1)),
        'the size or the boxes changed of å/2.png.',
    ),
    (
        change(lambda content: content['images'].reverse()),
        'order, ids or description are not the same',
    ),
]


@pytest.mark.parametrize('damage, message', CHANGES)
def test_check_says_what_differs(tmp_path, damage, message):
    write(tmp_path)
    damage(tmp_path / NAMES[0])
    before = {path: path.read_bytes() for path in files_below(tmp_path)}
    with pytest.raises(DataError) as error:
        write(tmp_path, problems=PROBLEMS[-1:], check=True)
    assert message in str(error.value)
    assert before == {path: path.read_bytes() for path in files_below(tmp_path)}


def test_check_of_what_is_right(tmp_path):
    write(tmp_path)
    report = write(tmp_path, check=True)
    assert [each.is_new for each in report.summaries] == [False, False]


def test_check_leaves_the_disk_of_the_data_alone(tmp_path):
    with CocoFiles(tmp_path, NAMES, dict(CATEGORIES), '', Options(check=True)) as files:
        files.add(NAMES[0], TRAIN[0])
        assert list(tmp_path.iterdir()) == []


def test_check_of_nothing_makes_no_folder(tmp_path):
    with pytest.raises(DataError, match='is missing'):
        write(tmp_path / 'out', check=True)
    assert not (tmp_path / 'out').exists()


# --- Disks -----------------------------------------------------------------


def test_interruption_leaves_nothing(tmp_path):
    def images():
        yield TRAIN[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / 'out', images())
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_read_only(tmp_path, monkeypatch):
    class ReadOnly:
        def __init__(self, **_):
            raise PermissionError(13, 'Permission denied')

    # Root may write anywhere, so the error is raised here.
    monkeypatch.setattr(coco_files, 'TemporaryDirectory', ReadOnly)
    with pytest.raises(
        DataError,
        match='out cannot be written .Permission '
        'denied.: free some space or choose another folder',
    ):
        write(tmp_path / 'out')


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / 'out').write_text('mine')
    with pytest.raises(DataError, match='out cannot be written .Not a dir'):
        write(tmp_path / 'out')
    assert (tmp_path / 'out').read_text() == 'mine'


@pytest.mark.parametrize('stream', ['_main', '_side'])
def test_full_disk(tmp_path, stream):
    with pytest.raises(
        DataError, match='instances_train.json cannot be written .No space left'
    ):
        with CocoFiles(tmp_path, NAMES, dict(CATEGORIES), '', Options()) as files:
            for name in NAMES:
                setattr(files._files[name], stream, open('/dev/full', 'w'))
                files.add(name, TRAIN[0])
            files.publish()
    assert list(tmp_path.iterdir()) == []


def test_workers_must_be_positive():
    with pytest.raises(DataError, match='workers must be at least 1, but'):
        Options(workers=0)
