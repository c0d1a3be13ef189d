import json
import os

import pytest

from mmdet_ifan.datasets.domain_coco_dataset import DomainCocoDataset
from mmdet_ifan.preparation import Options, custom
from mmdet_ifan.preparation.custom import open_source, prepare_custom
from mmdet_ifan.preparation.voc import VocFolders
from mmdet_ifan.preparation.yolo import YoloFolders
from mmdet_ifan.utils.errors import DataError


def prepare(root, *arguments, **options):
    return prepare_custom(VocFolders(root), Options(workers=1, **options), *arguments)


# --- Categories --------------------------------------------------------------


def test_categories_asked_for_keep_their_order(voc, read):
    report = prepare(voc, ['cat'])
    assert read(voc)['JPEGImages/a.jpg'] == [('cat', [2, 3, 10, 11], 0)]
    assert report.notes == ['Not asked for: dog (1).']
    assert list(report.lines())[0] == 'Not asked for: dog (1).'
    prepare(voc, ['cat', 'dog'], overwrite=True)
    content = json.loads((voc / 'annotations/instances_train.json').read_text())
    assert content['categories'] == [dict(id=1, name='cat'), dict(id=2, name='dog')]


def test_category_that_never_occurs(voc):
    with pytest.raises(
        DataError,
        match='No box is of horse, cow; the categories that occur are: cat, dog',
    ):
        prepare(voc, ['horse', 'cat', 'cow'])
    assert not (voc / 'annotations').exists()


def test_renamed_category_that_never_occurs(voc):
    with pytest.raises(
        DataError,
        match='No box is of Cat; the categories '
        'that occur are: cat, dog. Correct --rename',
    ):
        prepare(voc, None, dict(Cat='lion', dog='wolf'))
    assert not (voc / 'annotations').exists()


def test_renamed_category_need_only_be_listed(tmp_path, write_image):
    write_image(tmp_path / 'images/a.jpg')
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'classes.txt').write_text('cat')
    report = prepare_custom(
        YoloFolders(tmp_path), Options(workers=1), rename=dict(cat='lion')
    )
    assert dict(report.summaries[0].boxes) == dict(lion=0)


def test_renamed_categories_may_become_one(voc, read):
    report = prepare(voc, ['animal'], dict(cat='animal', dog='animal'))
    assert [boxes[0][0] for boxes in read(voc).values() if boxes] == ['animal'] * 2
    assert report.summaries[0].boxes == dict(animal=3)


def test_splits_have_the_same_categories(voc):
    (voc / 'ImageSets/Main').mkdir(parents=True)
    (voc / 'ImageSets/Main/train.txt').write_text('b\n')
    (voc / 'ImageSets/Main/val.txt').write_text('a\n')
    train, val = prepare(voc).summaries
    assert dict(train.boxes) == dict(cat=1, dog=0)
    assert dict(val.boxes) == dict(cat=1, dog=1)


def test_region_is_for_categories_that_occur_later_too(voc, read, write_voc):
    write_voc(voc, 'a', [('DontCare', (3, 4, 12, 14))])
    report = prepare(voc)
    assert read(voc)['JPEGImages/a.jpg'] == [('cat', [2, 3, 10, 11], 1)]
    write_voc(voc, 'd', [('dog', (1, 1, 10, 20))])
    report = prepare(voc, overwrite=True)
    assert read(voc)['JPEGImages/a.jpg'] == [
        ('cat', [2, 3, 10, 11], 1),
        ('dog', [2, 3, 10, 11], 1),
    ]
    assert dict(report.summaries[0].boxes) == dict(cat=1, dog=1)
    assert report.summaries[0].crowds == 2
    assert report.notes == [
        'Ignored for every category, as the name says: DontCare (1). Name it '
        'with --classes to learn it.'
    ]


# --- Splits ------------------------------------------------------------------


def test_the_only_split_can_be_named(voc, read):
    prepare(voc, None, None, ['test'])
    assert len(read(voc, 'test')) == 3
    with pytest.raises(
        DataError, match='no splits, so --split can give it one name only'
    ):
        prepare(voc, None, None, ['train', 'test'])


def test_splits_can_be_chosen(voc):
    (voc / 'ImageSets/Main').mkdir(parents=True)
    for name in ('train', 'val', 'odd'):
        (voc / f'ImageSets/Main/{name}.txt').write_text('b\n')
    report = prepare(voc, None, None, ['val'])
    assert [each.path.stem for each in report.summaries] == ['instances_val']
    with pytest.raises(
        DataError,
        match='There is no split test; there is odd, train, val. Correct --split',
    ):
        prepare(voc, None, None, ['test'])


# --- Every file ----------------------------------------------------------


def test_splits_that_were_not_asked_for_are_accounted_for(voc):
    (voc / 'ImageSets/Main').mkdir(parents=True)
    for name, stem in (('train', 'a'), ('val', 'b'), ('trainval', 'a\nb')):
        (voc / f'ImageSets/Main/{name}.txt').write_text(stem)
    report = prepare(voc, None, None, ['val'])
    assert report.account == [
        f'Used under {voc}: images: 1; annotation files and lists: 4.',
        'Left out: in splits that were not asked for: 1 (JPEGImages/a.jpg); '
        'in no split: 1 (JPEGImages/c.jpg).',
    ]


def test_every_file_is_accounted_for(voc, write_image):
    (voc / 'JPEGImages/b.jpg').write_bytes(b'\xff\xd8')
    write_image(voc / 'JPEGImages/c.png')
    for i in range(5):
        write_image(voc / f'more/a/deep/{i}.png')
    (voc / 'boxes.csv').touch()
    report = prepare(voc)
    assert report.account == [
        f'Used under {voc}: images: 2; annotation files and lists: 2.',
        'Left out: images of the same name: 1 (JPEGImages/c.png); damaged '
        'images: 1 (JPEGImages/b.jpg).',
        'Not looked at: more/a/*.png: 5 (more/a/deep/0.png, '
        'more/a/deep/1.png, more/a/deep/2.png and 2 more); *.csv: 1 '
        '(boxes.csv).',
    ]
    # It comes before the table; unread files are not problems.
    lines = list(report.lines())
    assert lines[3:6] == report.account and lines[6].startswith('file ')


def test_files_that_nobody_looked_at_are_no_problem(voc, write_image):
    write_image(voc / 'more/d.jpg')
    assert len(prepare(voc, strict=True).account) == 2


def test_coco_files_are_accounted_for(tmp_path, voc):
    prepare(voc)
    made = voc / 'annotations/instances_train.json'
    content = json.loads(made.read_text())
    content['info'] = {}
    content['images'] = content['images'][:2]
    content['annotations'] = [
        each for each in content['annotations'] if each['image_id'] < 2
    ]
    made.write_text(json.dumps(content))
    source, _ = open_source(voc, 'coco')
    report = prepare_custom(source, Options(tmp_path / 'out', workers=1))
    assert report.account == [
        f'Used under {voc}: images: 2; annotation files and lists: 1.',
        'Not looked at: Annotations/*.xml: 3 (Annotations/a.xml, '
        'Annotations/b.xml, Annotations/c.xml); JPEGImages/*.jpg: 1 '
        '(JPEGImages/c.jpg).',
    ]


@pytest.mark.parametrize('workers', [1, 2])
@pytest.mark.parametrize(
    'error',
    [
        ZeroDivisionError('by zero'),
        RecursionError('deep\x1b'),
        DataError('a.xml is nonsense'),
    ],
)
def test_reader_that_fails_costs_its_image_alone(
    voc, read, monkeypatch, error, workers
):
    def fail(source, item, height, width):
        if item.labels.name == 'b.xml':
            raise error
        return boxes(source, item, height, width)

    boxes = VocFolders.boxes
    monkeypatch.setattr(VocFolders, 'boxes', fail)
    report = prepare_custom(VocFolders(voc), Options(workers=workers))
    assert list(read(voc)) == ['JPEGImages/a.jpg', 'JPEGImages/c.jpg']
    assert report.problems.counts == {'unreadable files': 1}
    line = next(report.lines())
    assert line.startswith(
        f'{voc}/Annotations/b.xml cannot be read ({type(error).__name__}: '
    )
    assert line.endswith('): its image is left out.') and '\x1b' not in line


def test_image_library_that_fails_costs_its_image_alone(voc, monkeypatch):
    def fail(path):
        if path.name == 'b.jpg':
            raise IndexError('list index out of range')
        return image_size(path)

    image_size = custom.image_size
    monkeypatch.setattr(custom, 'image_size', fail)
    assert prepare(voc).problems.counts == {'unreadable files': 1}


# --- Names ---------------------------------------------------------------


@pytest.mark.parametrize('name', [b'caf\xe9', b'a\x1b[2J'])
def test_names_that_training_refuses(voc, read, write_voc, run_tool, name):
    write_voc(voc, os.fsdecode(name))
    code, out, _ = run_tool('custom.py', voc)
    assert code == 0 and 'images with unusable names: 1.' in out
    assert 'is not UTF-8 or has control characters, which training' in out
    assert '\x1b' not in out
    assert len(read(voc)) == 3


# --- Recognition -------------------------------------------------------------


def test_nothing_is_recognised(tmp_path, write_image):
    write_image(tmp_path / 'a.jpg')
    with pytest.raises(DataError) as error:
        open_source(tmp_path)
    message = str(error.value)
    assert '\n' not in message and str(tmp_path) in message
    for part in (
        'voc has Annotations/*.xml',
        'yolo has images and labels',
        'kitti has image_2',
        'coco has annotations/*.json',
        'A target domain for training needs none',
    ):
        assert part in message


def test_data_set_one_folder_below(voc):
    with pytest.raises(DataError, match=f'name one of {voc}[.]$'):
        open_source(voc.parent)


def test_several_formats(voc, write_image):
    write_image(voc / 'images/a.jpg')
    (voc / 'labels').mkdir()
    (voc / 'labels/a.txt').write_text('0 0.5 0.5 0.5 0.5')
    (voc / 'classes.txt').write_text('cat')
    with pytest.raises(
        DataError,
        match='looks like voc .*Annotations.* and '
        'like yolo .*labels.*: say which it is with --format',
    ):
        open_source(voc)
    assert open_source(voc, 'yolo')[0].FORMAT == 'yolo'


def test_wrong_format_is_refused(voc):
    with pytest.raises(DataError, match='kitti has image_2'):
        open_source(voc, 'kitti')


def test_root_that_does_not_exist(tmp_path):
    with pytest.raises(DataError, match='nowhere does not exist'):
        open_source(tmp_path / 'nowhere')


def test_empty_set(tmp_path):
    for name in ('Annotations', 'JPEGImages'):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match='lists no image'):
        prepare(tmp_path)


# --- The command -------------------------------------------------------------


def test_command(voc, run_tool):
    code, out, err = run_tool(
        'custom.py', voc, '--rename', 'cat=lion', '--classes', 'lion'
    )
    assert code == 0 and 'error' not in err
    assert out.splitlines()[0] == (
        f'{voc} has the format voc, as {voc}/Annotations/*.xml shows.'
    )
    assert out.splitlines()[-1].split() == [
        'instances_train.json',
        '3',
        '1',
        '2',
        '2',
        'written',
    ]
    # The result loads as the source of a run.
    data = DomainCocoDataset(
        data_root=f'{voc}/',
        ann_file='annotations/instances_train.json',
        metainfo=dict(classes=('lion',)),
        test_mode=True,
    )
    assert data[0]['instances'][0]['bbox'] == [2, 3, 12, 14]
    assert len(data) == 3


def test_command_checks(voc, run_tool):
    assert run_tool('custom.py', voc)[0] == 0
    code, out, _ = run_tool('custom.py', voc, '--check')
    assert code == 0
    assert out.endswith('Checked: the files are what ROOT gives now.\n')
    (voc / 'JPEGImages/b.jpg').write_bytes(b'\xff\xd8')
    code, _, err = run_tool('custom.py', voc, '--check')
    assert code == 2 and 'it should not list JPEGImages/b.jpg' in err
    assert 'JPEGImages/b.jpg is not an intact image' in err


def test_command_is_strict(voc, run_tool):
    (voc / 'JPEGImages/b.jpg').unlink()
    code, out, err = run_tool('custom.py', voc, '--strict')
    assert code == 2
    assert 'error: The data has problems (missing images: 1)' in err
    assert f'\n{voc}/JPEGImages/b.jpg is missing: left out.' in err
    assert not (voc / 'annotations').exists()


def test_command_with_nonsense(voc, run_tool):
    code, _, err = run_tool('custom.py', voc, '--rename', 'cat')
    assert code == 2 and "'cat' is not OLD=NEW" in err
    code, _, err = run_tool('custom.py', voc / 'nowhere')
    assert code == 2 and err.startswith('error: The data root')
    assert 'Traceback' not in err


def test_interrupted_command(voc, run_tool, monkeypatch):
    monkeypatch.setattr(VocFolders, 'boxes', interrupt)
    code, _, err = run_tool('custom.py', voc)
    assert code == 130
    assert err.endswith('\nInterrupted: nothing was written.\n')
    assert sorted(path.name for path in voc.iterdir()) == ['Annotations', 'JPEGImages']


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize('name', ['custom.py', 'sim10k.py'])
def test_help_teaches(run_tool, name):
    code, out, _ = run_tool(name, '-h')
    assert code == 0 and 'examples:' in out and 'Exit codes: 0; 2' in out
    for option in (
        '--out',
        '--workers',
        '--overwrite',
        '--strict',
        '--check',
        '--classes',
    ):
        assert option in out
    assert max(map(len, out.splitlines())) <= 80


def test_files_do_not_depend_on_the_workers(voc, tmp_path):
    files = []
    for workers in (1, 3):
        out = tmp_path / str(workers)
        prepare_custom(VocFolders(voc), Options(out, workers))
        files.append((out / 'instances_train.json').read_bytes())
    assert files[0] == files[1]
