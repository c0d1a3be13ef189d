import pytest

from mmdet_ifan.datasets.disk import DataError
from mmdet_ifan.datasets.preparation import Options
from mmdet_ifan.datasets.preparation.custom import prepare_custom
from mmdet_ifan.datasets.preparation.voc import VocFolders


def prepare(root, **arguments):
    return prepare_custom(VocFolders(root), Options(workers=1), **arguments)


def problems(report):
    return dict(report.problems.counts)


def test_boxes_count_pixels_from_one_and_include_the_last(voc, read):
    report = prepare(voc)
    assert read(voc) == {
        'JPEGImages/a.jpg': [('dog', [0, 0, 10, 20], 0),
                             ('cat', [2, 3, 10, 11], 0)],
        'JPEGImages/b.jpg': [('cat', [2, 3, 10, 11], 0)],
        'JPEGImages/c.jpg': []}
    assert problems(report) == {}
    (summary, ) = report.summaries
    assert (summary.images, summary.empty) == (3, 1)
    assert summary.boxes == dict(dog=1, cat=2)


def test_difficult_objects_are_crowds(tmp_path, write_voc, read):
    write_voc(tmp_path, 'a', extra='<difficult>1</difficult>')
    write_voc(tmp_path, 'b', extra='<difficult>0</difficult>')
    prepare(tmp_path)
    assert [boxes[0][2] for boxes in read(tmp_path).values()] == [1, 0]


def test_parts_of_an_object_are_no_objects(tmp_path, write_voc, read):
    write_voc(tmp_path, 'a', extra='<part><name>head</name><bndbox><xmin>1'
              '</xmin></bndbox></part>')
    prepare(tmp_path)
    assert read(tmp_path)['JPEGImages/a.jpg'] == [('cat', [2, 3, 10, 11], 0)]


@pytest.mark.parametrize('folder', ['VOC2012', 'VOC2007'])
def test_folders_inside_a_voc_folder(tmp_path, write_voc, read, folder):
    write_voc(tmp_path / folder, 'a')
    prepare(tmp_path)
    assert list(read(tmp_path)) == [f'{folder}/JPEGImages/a.jpg']


def test_lists_are_the_splits(voc, read):
    lists = voc / 'ImageSets/Main'
    lists.mkdir(parents=True)
    (lists / 'val.txt').write_text('c\n\n')
    (lists / 'train.txt').write_text('b\na')
    (lists / 'trainval.txt').write_text('a\nb\nc\n')
    # Which images hold a cat; no split.
    (lists / 'cat_train.txt').write_text('a 1\nb -1\n')
    report = prepare(voc)
    assert [each.path.name for each in report.summaries] == [
        'instances_train.json', 'instances_val.json',
        'instances_trainval.json']
    assert list(read(voc)) == ['JPEGImages/b.jpg', 'JPEGImages/a.jpg']
    assert list(read(voc, 'val')) == ['JPEGImages/c.jpg']
    assert len(read(voc, 'trainval')) == 3
    assert problems(report) == {}


def test_lists_without_meaning(voc):
    lists = voc / 'ImageSets/Main'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('a\nb\na\nlost\n')
    (lists / 'val.txt').write_text('b\nc\n')
    report = prepare(voc)
    assert [each.images for each in report.summaries] == [2, 1]
    assert problems(report) == {'images listed twice': 1,
                                'images in two splits': 1,
                                'missing images': 1}
    lines = '\n'.join(report.lines())
    assert 'JPEGImages/a.jpg is listed twice in train: kept once.' in lines
    assert ('JPEGImages/b.jpg is listed in val too: kept in train only.'
            in lines)
    assert 'JPEGImages/lost.jpg is missing' in lines


def test_names_with_spaces_in_lists(voc, write_voc, read):
    for name in ('IMG (1)', 'b 1'):
        write_voc(voc, name)
    lists = voc / 'ImageSets/Main'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('a\nIMG (1)\n')
    (lists / 'val.txt').write_text('b 1\n')
    (lists / 'cat_val.txt').write_text('b  1\nc -1\n')
    report = prepare(voc)
    assert [each.images for each in report.summaries] == [2, 1]
    assert list(read(voc)) == ['JPEGImages/a.jpg', 'JPEGImages/IMG (1).jpg']
    assert list(read(voc, 'val')) == ['JPEGImages/b 1.jpg']
    assert problems(report) == {}


def test_list_that_is_no_text(voc):
    (voc / 'ImageSets/Main').mkdir(parents=True)
    (voc / 'ImageSets/Main/train.txt').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(DataError, match='train.txt is not a readable text'):
        prepare(voc)


def test_images_of_the_same_name(voc, read, write_image):
    write_image(voc / 'JPEGImages/b.png')
    report = prepare(voc)
    assert problems(report) == {'images of the same name': 1}
    assert next(report.lines()) == (
        f'{voc}/JPEGImages/b.jpg and {voc}/JPEGImages/b.png have one '
        'annotation file: the second is left out.')
    assert 'JPEGImages/b.jpg' in read(voc) and len(read(voc)) == 3


# --- Bad images and files ----------------------------------------------------


def cut_image(voc):
    path = voc / 'JPEGImages/b.jpg'
    path.write_bytes(path.read_bytes()[:-30])
    return 'damaged images', f'{path} is not a whole image'


def lose_image(voc):
    path = voc / 'JPEGImages/b.jpg'
    path.unlink()
    return 'missing images', f'{path} is missing'


def cut_xml(voc):
    path = voc / 'Annotations/b.xml'
    path.write_text(path.read_text()[:-30])
    return 'damaged annotation files', f'{path} is not whole XML'


def empty_xml(voc):
    path = voc / 'Annotations/b.xml'
    path.write_text('')
    return 'damaged annotation files', f'{path} is not whole XML'


def lose_xml(voc):
    path = voc / 'Annotations/b.xml'
    path.unlink()
    return 'images without an annotation file', f'{path} is missing'


def folder_for_xml(voc):
    path = voc / 'Annotations/b.xml'
    path.unlink()
    path.mkdir()
    return 'damaged annotation files', f'{path} cannot be read'


def replace(old, new):
    def apply(voc):
        path = voc / 'Annotations/b.xml'
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return path
    return apply


def other_size(voc):
    path = replace('<width>30', '<width>31')(voc)
    return 'images of another size', (
        f'{path} is for an image of 20 x 31 px, but JPEGImages/b.jpg has '
        '20 x 30')


def size_in_words(voc):
    path = replace('<width>30', '<width>wide')(voc)
    return 'damaged annotation files', f'{path} has no readable size'


def entity(voc):
    path = replace('<annotation>', '<!DOCTYPE a [<!ENTITY c "cat">]>'
                   '<annotation>')(voc)
    return 'damaged annotation files', f'{path} is not whole XML (it has a'


def file_entity(voc):
    path = replace('<annotation>', '<!DOCTYPE a [<!ENTITY c SYSTEM '
                   '"file:///etc/hostname">]><annotation>&c;')(voc)
    return 'damaged annotation files', f'{path} is not whole XML (it has a'


@pytest.mark.parametrize('damage', [
    cut_image, lose_image, cut_xml, empty_xml, lose_xml, folder_for_xml,
    other_size, size_in_words, entity, file_entity])
def test_images_that_are_left_out(voc, read, damage):
    kind, sentence = damage(voc)
    report = prepare(voc)
    assert problems(report) == {kind: 1}
    first = next(report.lines())
    assert first.startswith(sentence) and first.endswith('left out.')
    assert list(read(voc)) == ['JPEGImages/a.jpg', 'JPEGImages/c.jpg']
    with pytest.raises(DataError, match=f'{kind}: 1'):
        prepare_custom(VocFolders(voc),
                       Options(voc / 'strict', workers=1, strict=True))
    assert not (voc / 'strict').exists()


@pytest.mark.parametrize('old, new', [
    ('<width>30', '<width>0'), ('<height>20</height>', ''),
    ('<width>30</width>', ''), ('<width>30', '<width>30.0')])
def test_size_that_nobody_looked_up(voc, read, old, new):
    replace(old, new)(voc)
    assert problems(prepare(voc)) == {}
    assert read(voc)['JPEGImages/b.jpg'] == [('cat', [2, 3, 10, 11], 0)]


@pytest.mark.parametrize('old, new, kind', [
    ('<xmax>12', '<xmax>3', 'boxes without area'),
    ('<xmax>12', '<xmax>2', 'boxes without area'),
    ('<ymax>14', '<ymax>4', 'boxes without area'),
    ('<xmin>3</xmin><ymin>4</ymin><xmax>12</xmax>',
     '<xmin>31</xmin><ymin>4</ymin><xmax>40</xmax>',
     'boxes outside the image'),
    ('<xmin>3', '<xmin>three', 'unreadable boxes'),
    ('<xmin>3</xmin>', '', 'unreadable boxes'),
    ('<name>cat', '<name> ', 'unreadable boxes'),
    ('<xmax>12', '<xmax>nan', 'unreadable boxes')])
def test_boxes_that_are_left_out(voc, read, old, new, kind):
    path = replace(old, new)(voc)
    report = prepare(voc)
    assert problems(report) == {kind: 1}
    assert next(report.lines()).startswith(f'{path} has a')
    assert read(voc)['JPEGImages/b.jpg'] == []


def test_box_over_the_border_is_cut(voc, read):
    replace('<xmax>12', '<xmax>38')(voc)
    report = prepare(voc)
    assert problems(report) == {'boxes cut at the border': 1}
    assert read(voc)['JPEGImages/b.jpg'] == [('cat', [2, 3, 28, 11], 0)]


def test_names_that_are_not_ascii(tmp_path, write_voc, read):
    root = tmp_path / 'Zürich 東京'
    write_voc(root, 'straße 猫', [('猫', (3, 4, 12, 14))])
    prepare(root)
    assert read(root) == {
        'JPEGImages/straße 猫.jpg': [('猫', [2, 3, 10, 11], 0)]}


def test_folder_without_images(tmp_path):
    (tmp_path / 'Annotations').mkdir()
    (tmp_path / 'Annotations/a.xml').write_text('<annotation/>')
    with pytest.raises(DataError, match='has no folder JPEGImages'):
        prepare(tmp_path)
