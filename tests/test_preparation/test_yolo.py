import pytest

from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.custom import open_source, prepare_custom
from mmdet_ifan.preparation.yolo import YoloFolders
from mmdet_ifan.utils.errors import DataError

# 30 x 20 px: centre (15, 5), 12 px wide, 6 px tall.
LINE = '1 0.5 0.25 0.4 0.3\n'
BOX = ('dog', [9, 2, 12, 6], 0)


@pytest.fixture
def yolo(tmp_path, write_image):
    """Two images, one of them without labels, and no splits."""
    write_image(tmp_path / 'images/a.jpg')
    write_image(tmp_path / 'images/b.png')
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'labels/a.txt').write_text(LINE)
    (tmp_path / 'classes.txt').write_text('cat\ndog\n')
    return tmp_path


def prepare(root, **arguments):
    return prepare_custom(YoloFolders(root), Options(workers=1), **arguments)


def test_boxes_are_centres_and_sizes_as_parts_of_the_image(yolo, read):
    report = prepare(yolo)
    assert read(yolo) == {'images/a.jpg': [BOX], 'images/b.png': []}
    assert report.summaries[0].boxes == dict(cat=0, dog=1)
    assert not report.problems.counts


def test_splits_of_any_name(yolo, read, write_image):
    write_image(yolo / 'images/night/c.jpg')
    (yolo / 'labels/night').mkdir()
    prepare(yolo)
    assert read(yolo, 'night') == {'images/night/c.jpg': []}


@pytest.mark.parametrize('inside', [False, True])
def test_splits(tmp_path, write_image, read, inside):
    for name in ('train', 'valid', 'test'):
        image, label = (
            (f'{name}/{kind}/a' if inside else f'{kind}/{name}/a')
            for kind in ('images', 'labels')
        )
        write_image(tmp_path / f'{image}.jpg')
        (tmp_path / label).parent.mkdir(parents=True)
        (tmp_path / f'{label}.txt').write_text(LINE)
    (tmp_path / 'data.yaml').write_text('nc: 2\nnames: [cat, dog]\n')
    source, shown = open_source(tmp_path)
    assert isinstance(source, YoloFolders)
    assert shown.endswith('test/labels/*.txt' if inside else 'labels/test/*.txt')
    report = prepare(tmp_path)
    assert [each.path.name for each in report.summaries] == [
        'instances_train.json',
        'instances_val.json',
        'instances_test.json',
    ]
    image = 'valid/images/a.jpg' if inside else 'images/valid/a.jpg'
    assert read(tmp_path, 'val') == {image: [BOX]}


def test_images_of_the_same_name(yolo, read, write_image):
    write_image(yolo / 'images/a.png')
    assert prepare(yolo).problems.counts == {'images of the same name': 1}
    assert read(yolo)['images/a.jpg'] == [BOX]


@pytest.mark.parametrize(
    'images, labels',
    [
        ('images/a.jpg', 'labels/night'),
        ('images/valid/c.jpg', 'labels/vaild'),
        ('images/train/sub/c.jpg', 'labels/train/sub'),
        ('test/images/c.jpg', 'test'),
    ],
)
def test_images_that_no_split_holds(tmp_path, write_image, read, images, labels):
    (tmp_path / 'classes.txt').write_text('cat\n')
    write_image(tmp_path / 'images/train/b.jpg')
    (tmp_path / 'labels/train').mkdir(parents=True)
    write_image(tmp_path / images)
    (tmp_path / labels).mkdir(exist_ok=True)
    report = prepare(tmp_path)
    assert report.problems.counts == {'images that no split holds': 1}
    assert next(report.lines()) == (
        f'{tmp_path / images} is in none of the folders that have labels '
        f'({tmp_path}/images/train): left out.'
    )
    assert list(read(tmp_path)) == ['images/train/b.jpg']


def test_two_folders_for_a_split(yolo):
    for name in ('val', 'valid'):
        (yolo / 'images' / name).mkdir()
        (yolo / 'labels' / name).mkdir()
    with pytest.raises(
        DataError,
        match='images/val and .*images/valid are '
        'both the split val: join them, and their labels',
    ):
        YoloFolders(yolo)


# --- Splits that something else than the folders says -----------------------


@pytest.fixture
def flat(yolo, write_image):
    """Four images in one folder, whose labels are all alike."""
    (yolo / 'images/b.png').unlink()
    for name in 'abcd':
        write_image(yolo / f'images/{name}.jpg')
        (yolo / f'labels/{name}.txt').write_text(LINE)
    return yolo


def say(root, splits):
    (root / 'data.yaml').write_text(f'{splits}\nnames: [cat, dog]\n')


@pytest.mark.parametrize(
    'line',
    [
        './images/{}.jpg',
        'images/{}.jpg',
        '/content/pets/images/{}.jpg',
        'C:\\pets\\images\\{}.jpg',
        '../pets/images/{}.jpg',
        '{}.jpg',
        '{}',
        'images/{}',
    ],
)
@pytest.mark.parametrize(
    'path', ['', 'path: .', 'path: ../pets', 'path: /content/pets']
)
def test_lists_are_splits(flat, read, line, path):
    say(flat, f'{path}\ntrain: train.txt\nval: ./val.txt')
    (flat / 'train.txt').write_text('\r\n'.join(map(line.format, 'ba')))
    (flat / 'val.txt').write_text(line.format('c') + '\n')
    report = prepare(flat)
    assert list(read(flat)) == ['images/b.jpg', 'images/a.jpg']
    assert read(flat, 'val') == {'images/c.jpg': [BOX]}
    assert not report.problems.counts
    assert report.account == [
        f'Used under {flat}: images: 3; annotation files and lists: 7.',
        'Left out: in no split: 1 (images/d.jpg).',
    ]


@pytest.mark.parametrize('place', ['.', 'ImageSets', 'ImageSets/Main'])
def test_lists_that_nothing_names(flat, read, place):
    (flat / place).mkdir(parents=True, exist_ok=True)
    (flat / place / 'train.txt').write_text('a.jpg\nb.jpg\n')
    (flat / place / 'valid.txt').write_text('c.jpg\n')
    prepare(flat)
    assert list(read(flat)) == ['images/a.jpg', 'images/b.jpg']
    assert list(read(flat, 'val')) == ['images/c.jpg']


def test_lists_in_lists(flat, read):
    say(flat, 'train: [one.txt, images/b.jpg]\nval: [two.txt]')
    (flat / 'one.txt').write_text('images/a.jpg\n')
    (flat / 'two.txt').write_text('images/c.jpg\nimages/b.jpg\n')
    report = prepare(flat)
    assert list(read(flat)) == ['images/a.jpg', 'images/b.jpg']
    assert list(read(flat, 'val')) == ['images/c.jpg']
    assert report.problems.counts == {'images in two splits': 1}


def test_folders_in_lists(yolo, write_image, read):
    for name in ('p/a', 'q/b', 'r/c', 'p/deep/e'):
        write_image(yolo / f'images/{name}.jpg')
        (yolo / f'labels/{name}.txt').parent.mkdir(parents=True, exist_ok=True)
        (yolo / f'labels/{name}.txt').write_text(LINE)
    say(yolo, 'train: [images/p, images/q]\nval: images/r/')
    prepare(yolo)
    assert read(yolo) == {
        f'images/{name}.jpg': [BOX] for name in ('p/a', 'p/deep/e', 'q/b')
    }
    assert read(yolo, 'val') == {'images/r/c.jpg': [BOX]}


def test_splits_of_the_same_images(flat, read):
    say(flat, 'train: images\nval: images')
    report = prepare(flat)
    assert len(read(flat)) == 4
    assert report.problems.counts == {'splits of the same images': 1}
    assert next(report.lines()) == (
        f'{flat}/data.yaml gives train and val the same images: val is left out.'
    )


def test_images_of_the_same_name_in_a_folder_named_twice(yolo, write_image):
    for name in ('a.jpg', 'a.png'):
        write_image(yolo / f'train/images/{name}')
    (yolo / 'train/labels').mkdir()
    say(yolo, 'train: ./train')
    assert prepare(yolo).problems.counts == {
        'images of the same name': 1,
        'images that no split holds': 2,
    }


def test_list_that_is_missing(flat, read):
    say(flat, 'train: train.txt\nval: val.txt')
    (flat / 'train.txt').write_text('images/a.jpg\n')
    report = prepare(flat)
    # Not with images that may be the validation images.
    assert list(read(flat)) == ['images/a.jpg']
    assert report.notes == [
        f"{flat}/data.yaml names 'val.txt' for val, which is not under "
        f'{flat}: not used.',
        'No box is of cat: kept among the categories.',
    ]


def test_lists_of_other_images(flat):
    say(flat, 'train: train.txt')
    (flat / 'train.txt').write_text('pictures/q.jpg\n')
    with pytest.raises(DataError, match='train.txt give no image under'):
        prepare(flat)


def test_listed_image_that_is_missing_or_not_known(flat, write_image):
    write_image(flat / 'images/other/a.jpg')
    say(flat, 'train: train.txt')
    (flat / 'train.txt').write_text('images/q.jpg\na.jpg\nb.jpg\n')
    report = prepare(flat)
    assert report.problems.counts == {
        'missing images': 2,
        'images that no split holds': 1,
    }
    assert next(report.lines()) == (
        f"{flat}/train.txt names 'images/q.jpg', which no image, or several, "
        f'under {flat} can be: left out.'
    )


def test_split_without_a_path(flat):
    say(flat, 'train: {images: a}')
    with pytest.raises(
        DataError,
        match='data.yaml has no readable path for '
        'train: write, for example, train: images/train',
    ):
        YoloFolders(flat)


def test_images_outside_the_root_are_never_listed(flat, write_image):
    write_image(flat.parent / 'secret.jpg')
    say(flat, 'train: train.txt')
    (flat / 'train.txt').write_text(
        f'../secret.jpg\n{flat.parent}/secret.jpg\nimages/a.jpg\n'
    )
    report = prepare(flat)
    assert report.problems.counts == {'missing images': 2}
    assert report.summaries[0].images == 1


# --- Names -------------------------------------------------------------------


@pytest.mark.parametrize(
    'text',
    [
        'names: [cat, dog]',
        'names: {"0": cat, "1": dog}',
        'names:\n  1: dog\n  0: cat\n',
        '\ufeffnames:\n- cat\n- dog\n',
    ],
)
def test_names_in_yaml(yolo, read, text):
    (yolo / 'classes.txt').unlink()
    (yolo / 'data.yaml').write_text(text, encoding='utf-8')
    prepare(yolo)
    assert read(yolo)['images/a.jpg'] == [BOX]


@pytest.mark.parametrize(
    'text',
    [
        'nc: 2',
        'names: 3',
        'names: cat',
        'names: []',
        'names: {0: cat, 2: dog}',
        'names: [cat',
        '',
        '!!python/object/apply:os.getcwd []',
    ],
)
def test_yaml_without_names(yolo, text):
    (yolo / 'data.yaml').write_text(text)
    with pytest.raises(DataError, match='data.yaml has no readable list'):
        YoloFolders(yolo)


def test_names_from_an_editor_that_marks_utf_8(yolo):
    (yolo / 'classes.txt').write_text('cat\ndog\n', encoding='utf-8-sig')
    assert YoloFolders(yolo).names == ['cat', 'dog']


def test_no_names_at_all(yolo):
    (yolo / 'classes.txt').rename(yolo / 'labels/classes.txt')
    prepare(yolo)
    (yolo / 'labels/classes.txt').unlink()
    with pytest.raises(DataError, match='neither data.yaml nor classes.txt'):
        YoloFolders(yolo)


def test_yaml_in_another_encoding(yolo):
    (yolo / 'data.yaml').write_bytes('names: [猫, 狗]'.encode('gbk'))
    with pytest.raises(
        DataError,
        match='data.yaml has no readable list of '
        'names, for it is not UTF-8: save it as',
    ):
        YoloFolders(yolo)


def test_names_in_another_yaml(yolo, read):
    (yolo / 'classes.txt').unlink()
    (yolo / 'hyp.yaml').write_text('lr0: 0.01')
    (yolo / 'pets.yaml').write_text('names: [cat, dog]')
    prepare(yolo)
    assert read(yolo)['images/a.jpg'] == [BOX]
    (yolo / 'others.yaml').write_text('names: [dog, cat]')
    with pytest.raises(
        DataError,
        match='others.yaml and .*pets.yaml list '
        'other categories: call the right one data.yaml',
    ):
        YoloFolders(yolo)


def test_other_names_beside_those_used(yolo):
    (yolo / 'labels/classes.txt').write_text('dog\ncat\n')
    assert prepare(yolo).notes == [
        f'{yolo}/labels/classes.txt lists other categories than '
        f'{yolo}/classes.txt, or in another order: not used.',
        'No box is of cat: kept among the categories.',
    ]
    assert YoloFolders(yolo).names == ['cat', 'dog']


def test_splits_of_other_names(tmp_path, write_image):
    for split, names in (('train', 'cat\ndog'), ('val', 'dog\ncat')):
        write_image(tmp_path / f'{split}/a.jpg')
        (tmp_path / f'{split}/a.txt').write_text(LINE)
        (tmp_path / f'{split}/classes.txt').write_text(names)
    with pytest.raises(
        DataError,
        match='train/classes.txt and .*val/'
        'classes.txt list other categories, or in another '
        'order: write the right ones into',
    ):
        YoloFolders(tmp_path)


# --- Lines -------------------------------------------------------------------


@pytest.mark.parametrize(
    'line',
    [
        '1.000000000000000000e+00 5e-01 2.5E-01 .4 0.3',
        '01 0.5 0.25 +0.4 0.3',
        '1.0\t0.5\t0.25\t0.4\t0.3\r',
        '\ufeff1 0.5  0.25 0.4 0.3',
        # Outlines, of any number of points.
        '1 0.3 0.1 0.7 0.1 0.7 0.4 0.3 0.4',
        '1 0.3 0.1 0.7 0.3 0.4 0.4',
    ],
)
def test_lines_in_any_notation(yolo, read, line):
    (yolo / 'labels/a.txt').write_text(line)
    assert not prepare(yolo).problems.counts
    assert read(yolo)['images/a.jpg'] == [BOX]


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-8-sig'])
def test_labels_of_windows(yolo, read, encoding):
    (yolo / 'labels/a.txt').write_text(LINE * 2, encoding=encoding)
    prepare(yolo)
    assert read(yolo)['images/a.jpg'] == [BOX] * 2


@pytest.mark.parametrize(
    'shape, points', [('[2, 3]', '0.5 0.5 2 0.1 0.9 1'), ('[2, 2]', '0.5 0.5 0.1 0.9')]
)
def test_key_points_after_a_box(yolo, read, shape, points):
    say(yolo, f'kpt_shape: {shape}')
    (yolo / 'labels/a.txt').write_text(f'{LINE.strip()} {points}\n')
    prepare(yolo)
    assert read(yolo)['images/a.jpg'] == [BOX]


@pytest.mark.parametrize(
    'line, kind',
    [
        ('2 0.5 0.5 0.2 0.2', 'boxes of an unknown category'),
        ('-1 0.5 0.5 0.2 0.2', 'boxes of an unknown category'),
        ('1 0.5 0.5 0.2', 'unreadable boxes'),
        ('dog 0.5 0.5 0.2 0.2', 'unreadable boxes'),
        # With a confidence: these are detections.
        ('1 0.5 0.5 0.2 0.2 0.9', 'unreadable boxes'),
        # And the number of a track.
        ('1 0.5 0.5 0.2 0.2 0.9 7', 'unreadable boxes'),
        ('1.5 0.5 0.5 0.2 0.2', 'unreadable boxes'),
        ('2.0 0.5 0.5 0.2 0.2', 'boxes of an unknown category'),
        ('nan 0.5 0.5 0.2 0.2', 'unreadable boxes'),
        ('1 0,5 0,5 0,2 0,2', 'unreadable boxes'),
        ('1,0.5,0.5,0.2,0.2', 'unreadable boxes'),
        ('1_0 0.5 0.5 0.2 0.2', 'unreadable boxes'),
        ('1 0.5 0.5 inf 0.2', 'unreadable boxes'),
        ('1 0.5 0.5 0 0.2', 'boxes without area'),
        ('1 1.5 0.5 0.2 0.2', 'boxes outside the image'),
        ('1 0.5 0.5 nan 0.2', 'unreadable boxes'),
    ],
)
def test_lines_that_are_left_out(yolo, read, line, kind):
    (yolo / 'labels/a.txt').write_text(f'{line}\n{LINE}')
    report = prepare(yolo)
    assert report.problems.counts == {kind: 1}
    assert next(report.lines()).startswith(f'{yolo}/labels/a.txt has ')
    assert read(yolo)['images/a.jpg'] == [BOX]


def test_label_file_that_is_no_text(yolo, read):
    (yolo / 'labels/a.txt').write_bytes(b'\xff\xfe\x00')
    report = prepare(yolo)
    assert report.problems.counts == {'damaged annotation files': 1}
    assert list(read(yolo)) == ['images/b.png']


def test_labels_without_an_image(yolo):
    (yolo / 'images/a.jpg').unlink()
    assert prepare(yolo).problems.counts == {'missing images': 1}
