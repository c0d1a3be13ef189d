import pytest

from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.custom import prepare_custom
from mmdet_ifan.preparation.voc import VocFolders
from mmdet_ifan.utils.errors import DataError


def prepare(root, **arguments):
    return prepare_custom(VocFolders(root), Options(workers=1), **arguments)


def problems(report):
    return dict(report.problems.counts)


def test_boxes_count_pixels_from_one_and_include_the_last(voc, read):
    report = prepare(voc)
    assert read(voc) == {
        'JPEGImages/a.jpg': [('dog', [0, 0, 10, 20], 0), ('cat', [2, 3, 10, 11], 0)],
        'JPEGImages/b.jpg': [('cat', [2, 3, 10, 11], 0)],
        'JPEGImages/c.jpg': [],
    }
    assert problems(report) == {}
    (summary,) = report.summaries
    assert (summary.images, summary.empty) == (3, 1)
    assert summary.boxes == dict(dog=1, cat=2)


def test_difficult_objects_are_crowds(tmp_path, write_voc, read):
    write_voc(tmp_path, 'a', extra='<difficult>1</difficult>')
    write_voc(tmp_path, 'b', extra='<difficult>0</difficult>')
    prepare(tmp_path)
    assert [boxes[0][2] for boxes in read(tmp_path).values()] == [1, 0]


@pytest.mark.parametrize(
    'flag, expected',
    [
        ('true', 1),
        ('True', 1),
        (' 1 ', 1),
        ('1.0', 1),
        ('1e0', 1),
        ('yes', 1),
        ('false', 0),
        ('0.0', 0),
        ('no', 0),
        ('', 0),
        ('None', 0),
        ('Unspecified', 0),
    ],
)
def test_difficult_in_any_notation(tmp_path, write_voc, read, flag, expected):
    write_voc(tmp_path, 'a', extra=f'<difficult>{flag}</difficult>')
    assert problems(prepare(tmp_path)) == {}
    assert read(tmp_path)['JPEGImages/a.jpg'][0][2] == expected


@pytest.mark.parametrize('flag', ['2', 'perhaps', '-1', '1,0', 'nan'])
def test_difficult_that_says_nothing(tmp_path, write_voc, read, flag):
    write_voc(tmp_path, 'a', extra=f'<difficult>{flag}</difficult>')
    report = prepare(tmp_path)
    assert problems(report) == {'unreadable flags': 1}
    assert f'({flag!r} is neither yes nor no): taken as not' in next(report.lines())
    assert read(tmp_path)['JPEGImages/a.jpg'] == [('cat', [2, 3, 10, 11], 0)]


def test_objects_inside_another_element(tmp_path, write_voc, read):
    path = write_voc(tmp_path, 'a')
    path.write_text(
        path.read_text()
        .replace('<object>', '<objects><object>')
        .replace('</object>', '</object></objects>')
    )
    prepare(tmp_path)
    assert read(tmp_path)['JPEGImages/a.jpg'] == [('cat', [2, 3, 10, 11], 0)]


@pytest.mark.parametrize('number', ['12.0', ' 12 ', '1.2e+01', '+12', '12.'])
def test_numbers_in_any_notation(voc, read, number):
    replace('<xmax>12', f'<xmax>{number}')(voc)
    replace('<width>30', f'<width>{float(30):e}')(voc)
    assert problems(prepare(voc)) == {}
    assert read(voc)['JPEGImages/b.jpg'] == [('cat', [2, 3, 10, 11], 0)]


@pytest.mark.parametrize('number', ['12,5', '1_2', '٣', 'inf', '1e400', ''])
def test_what_is_no_number_is_named(voc, read, number):
    path = replace('<xmax>12', f'<xmax>{number}')(voc)
    report = prepare(voc)
    assert problems(report) == {'unreadable boxes': 1}
    assert next(report.lines()) == (
        f'{path} has an object without a name or readable bndbox (xmax: '
        f'{number!r} is not a number): left out.'
    )
    assert read(voc)['JPEGImages/b.jpg'] == []


@pytest.mark.parametrize(
    'name, says, is_in',
    [
        ('猫', 'GB2312', 'gb2312'),
        ('猫', 'gbk', 'gbk'),
        # Characters beyond GB2312 that programs still declare as GB2312.
        ('貓', 'gb2312', 'gbk'),
        ('猫①', 'Shift_JIS', 'cp932'),
        ('猫', 'EUC-JP', 'euc_jp'),
        ('고양이', 'euc-kr', 'euc_kr'),
        ('貓', 'Big5', 'big5'),
        ('кошка', 'windows-1251', 'windows-1251'),
        ('chât', 'ISO-8859-1', 'iso-8859-1'),
        ('猫', 'utf-16', 'utf-16'),
        # The declaration could not be read if it were true.
        ('猫', 'utf-16', 'utf-8'),
        ('猫', 'gb2312', 'utf-8-sig'),
        ('猫', 'GB_HOME', 'utf-8'),
    ],
)
def test_encodings(voc, read, name, says, is_in):
    path = voc / 'Annotations/b.xml'
    path.write_bytes(
        (
            f'<?xml version="1.0" encoding="{says}"?>'
            + path.read_text().replace('cat', name)
        ).encode(is_in)
    )
    assert problems(prepare(voc)) == {}
    assert read(voc)['JPEGImages/b.jpg'] == [(name, [2, 3, 10, 11], 0)]


def test_parts_of_an_object_are_no_objects(tmp_path, write_voc, read):
    write_voc(
        tmp_path,
        'a',
        extra='<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>',
    )
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
        'instances_train.json',
        'instances_val.json',
        'instances_trainval.json',
    ]
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
    assert problems(report) == {
        'images listed twice': 1,
        'images in two splits': 1,
        'missing images': 1,
    }
    lines = '\n'.join(report.lines())
    assert 'JPEGImages/a.jpg is listed twice in train: kept once.' in lines
    assert 'JPEGImages/b.jpg is listed in val too: kept in train only.' in lines
    assert 'JPEGImages/lost.jpg is missing' in lines


@pytest.mark.parametrize(
    'lines, names',
    [
        ('b.jpg\nc.JPG\n', 'bc'),
        ('JPEGImages/b.jpg\n./JPEGImages/c.jpg\n', 'bc'),
        ('/home/me/voc/JPEGImages/b.jpg\nD:\\voc\\c.jpg\n', 'bc'),
        ('JPEGImages/b.jpg Annotations/b.xml\n', 'b'),
    ],
)
@pytest.mark.parametrize('place', ['ImageSets/Main', 'ImageSets', '.'])
def test_lists_of_paths(voc, read, place, lines, names):
    (voc / place).mkdir(parents=True, exist_ok=True)
    (voc / place / 'train.txt').write_text('a\n')
    (voc / place / 'val.txt').write_text(lines)
    report = prepare(voc)
    assert list(read(voc)) == ['JPEGImages/a.jpg']
    assert list(read(voc, 'val')) == [f'JPEGImages/{name}.jpg' for name in names]
    assert problems(report) == {}


def test_texts_beside_the_data_are_no_lists(voc, read):
    (voc / 'train.txt').write_text('How we trained.\n')
    (voc / 'labels.txt').write_text('a\nb\n')
    report = prepare(voc)
    assert len(read(voc)) == 3
    assert report.account[-1] == ('Not looked at: *.txt: 2 (labels.txt, train.txt).')


def test_images_that_no_list_names(voc, read):
    (voc / 'ImageSets/Main').mkdir(parents=True)
    (voc / 'ImageSets/Main/train.txt').write_text('b\n/lost.jpg\n')
    report = prepare(voc)
    assert list(read(voc)) == ['JPEGImages/b.jpg']
    assert problems(report) == {'missing images': 1}
    assert report.account == [
        f'Used under {voc}: images: 1; annotation files and lists: 2.',
        'Left out: in no split: 2 (JPEGImages/a.jpg, JPEGImages/c.jpg); '
        'missing images: 1 (JPEGImages/lost.jpg).',
    ]


def test_list_of_an_export_without_splits(voc, read):
    (voc / 'ImageSets/Main').mkdir(parents=True)
    (voc / 'ImageSets/Main/default.txt').write_text('b\n')
    prepare(voc, splits=['val'])
    assert list(read(voc, 'val')) == ['JPEGImages/b.jpg']


# --- Other folders -----------------------------------------------------------


@pytest.mark.parametrize('above', ['', 'VOCdevkit', 'VOCtrainval/VOCdevkit'])
def test_years_are_one_data_set(tmp_path, write_voc, read, above):
    for year, names in (('VOC2007', 'ab'), ('VOC2012', 'ac')):
        base = tmp_path / above / year
        for name in names:
            write_voc(base, name)
        (base / 'ImageSets/Main').mkdir(parents=True)
        (base / 'ImageSets/Main/trainval.txt').write_text(
            'a\nc\n' if year == 'VOC2012' else 'a\n'
        )
    (tmp_path / above / 'VOC2007/ImageSets/Main/test.txt').write_text('b\n')
    report = prepare(tmp_path)
    start = f'{above}/' * bool(above)
    assert list(read(tmp_path, 'trainval')) == [
        f'{start}{name}.jpg'
        for name in (
            'VOC2007/JPEGImages/a',
            'VOC2012/JPEGImages/a',
            'VOC2012/JPEGImages/c',
        )
    ]
    assert list(read(tmp_path, 'test')) == [f'{start}VOC2007/JPEGImages/b.jpg']
    assert report.notes == [
        f'{start}VOC2007, {start}VOC2012 are read as parts of one data set.'
    ]
    assert problems(report) == {} and len(report.account) == 1


def test_years_without_lists(tmp_path, write_voc, read):
    for year in ('VOC2007', 'VOC2012'):
        write_voc(tmp_path / year, 'a')
    prepare(tmp_path)
    assert list(read(tmp_path)) == [
        'VOC2007/JPEGImages/a.jpg',
        'VOC2012/JPEGImages/a.jpg',
    ]


def test_folders_below_are_splits_if_all_are(tmp_path, write_voc, read):
    for name in ('train/a', 'valid/b', 'test/c'):
        write_voc(tmp_path, name)
    prepare(tmp_path)
    assert list(read(tmp_path, 'val')) == ['JPEGImages/valid/b.jpg']
    write_voc(tmp_path, 'd')
    prepare(tmp_path, splits=['all'])
    assert len(read(tmp_path, 'all')) == 4


def test_images_beside_xml_come_before_other_folders(
    tmp_path, write_image, write_voc, read
):
    path = write_voc(tmp_path, 'a')
    path.rename(tmp_path / 'a.xml')
    path.parent.rmdir()
    (tmp_path / 'JPEGImages/a.jpg').rename(tmp_path / 'a.jpg')
    write_image(tmp_path / 'images/icon.png')
    report = prepare(tmp_path)
    assert list(read(tmp_path)) == ['a.jpg'] and problems(report) == {}
    assert 'images/*.png: 1' in report.account[-1]


def test_xml_of_another_tool_is_not_taken_for_voc(tmp_path, write_image):
    write_image(tmp_path / 'images/a.jpg')
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/a.xml').write_text('<annotations></annotations>')
    assert VocFolders.recognise(tmp_path) is None
    (tmp_path / 'annotations/a.xml').write_text('<annotation></annotation>')
    assert VocFolders.recognise(tmp_path)


def test_hidden_files_are_no_data(voc, read):
    for name in (
        'Annotations/._a.xml',
        'JPEGImages/._a.jpg',
        'JPEGImages/.ipynb_checkpoints/a.jpg',
        '.DS_Store',
        '__MACOSX/a.xml',
        'JPEGImages/Thumbs.db',
    ):
        (voc / name).parent.mkdir(exist_ok=True)
        (voc / name).write_bytes(b'Mac')
    report = prepare(voc)
    assert problems(report) == {} and len(report.account) == 1


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
        'annotation file: the second is left out.'
    )
    assert 'JPEGImages/b.jpg' in read(voc) and len(read(voc)) == 3


# --- Bad images and files ----------------------------------------------------


def cut_image(voc):
    path = voc / 'JPEGImages/b.jpg'
    path.write_bytes(path.read_bytes()[:-30])
    return 'damaged images', f'{path} is not an intact image'


def lose_image(voc):
    path = voc / 'JPEGImages/b.jpg'
    path.unlink()
    return 'missing images', f'{path} is missing'


def cut_xml(voc):
    path = voc / 'Annotations/b.xml'
    path.write_text(path.read_text()[:-30])
    return 'damaged annotation files', f'{path} is not valid XML'


def empty_xml(voc):
    path = voc / 'Annotations/b.xml'
    path.write_text('')
    return 'damaged annotation files', f'{path} is not valid XML'


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
        f'{path} is for an image of 20 x 31 px, but JPEGImages/b.jpg has 20 x 30'
    )


def size_in_words(voc):
    path = replace('<width>30', '<width>wide')(voc)
    return 'damaged annotation files', f'{path} has no readable size'


def size_with_a_comma(voc):
    path = replace('<width>30', '<width>30,0')(voc)
    return 'damaged annotation files', (
        f"{path} has no readable size ('30,0' is not a number)"
    )


def size_between_pixels(voc):
    path = replace('<width>30', '<width>30.4')(voc)
    return 'images of another size', f'{path} is for an image of 20 x 30.4 px'


def other_encoding(voc):
    path = voc / 'Annotations/b.xml'
    path.write_bytes(
        b'<?xml version="1.0" encoding="us-ascii"?>'
        + path.read_bytes().replace(b'cat', b'caf\xe9')
    )
    return 'damaged annotation files', (
        f'{path} is not valid XML (it declares us-ascii, but is not in it)'
    )


def other_xml(voc):
    path = voc / 'Annotations/b.xml'
    path.write_text('<html><body>404</body></html>')
    return 'damaged annotation files', (
        f'{path} is not a VOC file (<html> instead of <annotation>)'
    )


def entity(voc):
    path = replace('<annotation>', '<!DOCTYPE a [<!ENTITY c "cat">]><annotation>')(voc)
    return 'damaged annotation files', f'{path} is not valid XML (it has a'


def file_entity(voc):
    path = replace(
        '<annotation>',
        '<!DOCTYPE a [<!ENTITY c SYSTEM "file:///etc/hostname">]><annotation>&c;',
    )(voc)
    return 'damaged annotation files', f'{path} is not valid XML (it has a'


@pytest.mark.parametrize(
    'damage',
    [
        cut_image,
        lose_image,
        cut_xml,
        empty_xml,
        lose_xml,
        folder_for_xml,
        other_size,
        size_in_words,
        size_with_a_comma,
        size_between_pixels,
        other_encoding,
        other_xml,
        entity,
        file_entity,
    ],
)
def test_images_that_are_left_out(voc, read, damage):
    kind, sentence = damage(voc)
    report = prepare(voc)
    assert problems(report) == {kind: 1}
    first = next(report.lines())
    assert first.startswith(sentence) and first.endswith('left out.')
    assert list(read(voc)) == ['JPEGImages/a.jpg', 'JPEGImages/c.jpg']
    with pytest.raises(DataError, match=f'{kind}: 1'):
        prepare_custom(VocFolders(voc), Options(voc / 'strict', workers=1, strict=True))
    assert not (voc / 'strict').exists()


@pytest.mark.parametrize(
    'old, new',
    [
        ('<width>30', '<width>0'),
        ('<height>20</height>', ''),
        ('<width>30</width>', ''),
        ('<width>30', '<width>30.0'),
        ('<width>30', '<width> '),
        ('<depth>3</depth></size>', '</size>'),
        ('<size><width>30</width><height>20</height><depth>3</depth></size>', ''),
        (
            '<size><width>30</width><height>20</height><depth>3</depth></size>',
            '<size/>',
        ),
    ],
)
def test_size_that_nobody_looked_up(voc, read, old, new):
    replace(old, new)(voc)
    assert problems(prepare(voc)) == {}
    assert read(voc)['JPEGImages/b.jpg'] == [('cat', [2, 3, 10, 11], 0)]


@pytest.mark.parametrize(
    'old, new, kind',
    [
        ('<xmax>12', '<xmax>3', 'boxes without area'),
        ('<xmax>12', '<xmax>2', 'boxes without area'),
        ('<ymax>14', '<ymax>4', 'boxes without area'),
        (
            '<xmin>3</xmin><ymin>4</ymin><xmax>12</xmax>',
            '<xmin>31</xmin><ymin>4</ymin><xmax>40</xmax>',
            'boxes outside the image',
        ),
        ('<xmin>3', '<xmin>three', 'unreadable boxes'),
        ('<xmin>3</xmin>', '', 'unreadable boxes'),
        ('<name>cat', '<name> ', 'unreadable boxes'),
        ('<xmax>12', '<xmax>nan', 'unreadable boxes'),
    ],
)
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
    assert read(root) == {'JPEGImages/straße 猫.jpg': [('猫', [2, 3, 10, 11], 0)]}


def test_folder_without_images(tmp_path):
    (tmp_path / 'Annotations').mkdir()
    (tmp_path / 'Annotations/a.xml').write_text('<annotation/>')
    with pytest.raises(DataError, match='has no folder JPEGImages'):
        prepare(tmp_path)
