import pytest

from mmdet_ifan.datasets.disk import DataError
from mmdet_ifan.datasets.preparation import Options
from mmdet_ifan.datasets.preparation.custom import open_source, prepare_custom
from mmdet_ifan.datasets.preparation.yolo import YoloFolders

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
        image, label = ((f'{name}/{kind}/a' if inside else f'{kind}/{name}/a')
                        for kind in ('images', 'labels'))
        write_image(tmp_path / f'{image}.jpg')
        (tmp_path / label).parent.mkdir(parents=True)
        (tmp_path / f'{label}.txt').write_text(LINE)
    (tmp_path / 'data.yaml').write_text('nc: 2\nnames: [cat, dog]\n')
    source, shown = open_source(tmp_path)
    assert isinstance(source, YoloFolders)
    assert shown.endswith('test/labels/*.txt' if inside else
                          'labels/test/*.txt')
    report = prepare(tmp_path)
    assert [each.path.name for each in report.summaries] == [
        'instances_train.json', 'instances_val.json', 'instances_test.json']
    image = 'valid/images/a.jpg' if inside else 'images/valid/a.jpg'
    assert read(tmp_path, 'val') == {image: [BOX]}


def test_images_of_the_same_name(yolo, read, write_image):
    write_image(yolo / 'images/a.png')
    assert prepare(yolo).problems.counts == {'images of the same name': 1}
    assert read(yolo)['images/a.jpg'] == [BOX]


@pytest.mark.parametrize('images, labels', [
    ('images/a.jpg', 'labels/night'), ('images/valid/c.jpg', 'labels/vaild'),
    ('images/train/sub/c.jpg', 'labels/train/sub'),
    ('test/images/c.jpg', 'test')])
def test_images_that_no_split_holds(tmp_path, write_image, read, images,
                                    labels):
    (tmp_path / 'classes.txt').write_text('cat\n')
    write_image(tmp_path / 'images/train/b.jpg')
    (tmp_path / 'labels/train').mkdir(parents=True)
    write_image(tmp_path / images)
    (tmp_path / labels).mkdir(exist_ok=True)
    report = prepare(tmp_path)
    assert report.problems.counts == {'images that no split holds': 1}
    assert next(report.lines()) == (
        f'{tmp_path / images} is in none of the folders that have labels '
        f'({tmp_path}/images/train): left out.')
    assert list(read(tmp_path)) == ['images/train/b.jpg']


def test_two_folders_for_a_split(yolo):
    for name in ('val', 'valid'):
        (yolo / 'images' / name).mkdir()
        (yolo / 'labels' / name).mkdir()
    with pytest.raises(DataError, match='images/val and .*images/valid are '
                       'both the split val: join them, and their labels'):
        YoloFolders(yolo)


@pytest.mark.parametrize('text', [
    'names: [cat, dog]', 'names:\n  1: dog\n  0: cat\n',
    '\ufeffnames:\n- cat\n- dog\n'])
def test_names_in_yaml(yolo, read, text):
    (yolo / 'classes.txt').unlink()
    (yolo / 'data.yaml').write_text(text, encoding='utf-8')
    prepare(yolo)
    assert read(yolo)['images/a.jpg'] == [BOX]


@pytest.mark.parametrize('text', [
    'nc: 2', 'names: 3', 'names: {0: cat, 2: dog}', 'names: [cat', '',
    '!!python/object/apply:os.getcwd []'])
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


@pytest.mark.parametrize('line, kind', [
    ('2 0.5 0.5 0.2 0.2', 'boxes of an unknown category'),
    ('-1 0.5 0.5 0.2 0.2', 'boxes of an unknown category'),
    ('1 0.5 0.5 0.2', 'unreadable boxes'),
    ('dog 0.5 0.5 0.2 0.2', 'unreadable boxes'),
    # With a confidence: somebody's detections.
    ('1 0.5 0.5 0.2 0.2 0.9', 'unreadable boxes'),
    ('1 0.5 0.5 0 0.2', 'boxes without area'),
    ('1 1.5 0.5 0.2 0.2', 'boxes outside the image'),
    ('1 0.5 0.5 nan 0.2', 'unreadable boxes')])
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
