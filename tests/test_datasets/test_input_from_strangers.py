"""Malformed annotation files give either a message or a result.

Valid files are damaged, in their structure and in their bytes, and read. A
reader may refuse a file with a ``DataError`` or ``FileNotFoundError`` that
names what is wrong, or leave out what it cannot use; what it does give must
be sound. ``FUZZ_EXAMPLES=20000`` reads as many files with each reader, other
ones every time.
"""

import copy
import json
import os
import shutil
import signal
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmdet_ifan.datasets import DomainCocoDataset, UnlabelledDataset
from mmdet_ifan.preparation import Options, Report
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes
from mmdet_ifan.preparation.custom import open_source, prepare_custom
from mmdet_ifan.preparation.synthetic_fog import make_fog
from mmdet_ifan.utils.errors import DataError

MANY = os.environ.get('FUZZ_EXAMPLES')
FUZZ = settings(
    max_examples=int(MANY or 100),
    derandomize=not MANY,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
SECONDS = 20  # After which a reader hangs.
SIZE = 20, 30
CLASSES = ('car', 'person')

# --- Damage ------------------------------------------------------------------

NUMBERS = (
    'nan',
    '-inf',
    'Infinity',
    '1e400',
    '-1',
    '0',
    '1e308',
    '1_0',
    '0x10',
    '٣',
    '9' * 5000,
    str(2**63),
    '1e-320',
    '',
)
TEXTS = (
    '',
    '\0',
    '\ud800',
    '../../../etc/passwd',
    '/',
    'a' * 5000,
    '<&;>',
    '\u202e',
    '\r',
    'images',
    'true',
    '{}',
    'NaN',
    '~',
    '*.jpg',
)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(TEXTS),
    st.sampled_from(
        [
            10**400,
            -(10**400),
            2**63,
            2**31,
            1e308,
            -1e308,
            1e-320,
            float('nan'),
            float('inf'),
            -0.0,
            [],
            {},
            [[]],
            [None],
            {'': None},
            [0] * 4,
            ['nan'] * 4,
            {'id': 1},
        ]
    ),
)
numbers = st.one_of(
    st.sampled_from(NUMBERS), st.integers().map(str), st.floats().map(str)
)


@st.composite
def altered_json(draw: st.DrawFn, document: Any) -> bytes:
    """JSON of a document with changed keys and values."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 4))):
        spots = list(_spots(document))
        if not spots:
            break
        parent, key = draw(st.sampled_from(spots))
        kind = draw(
            st.sampled_from(['replace', 'delete', 'move', 'repeat', 'wrap', 'insert'])
        )
        if kind == 'replace':
            parent[key] = copy.deepcopy(draw(values))
        elif kind == 'delete':
            del parent[key]
        elif kind == 'move':
            other, there = draw(st.sampled_from(spots))
            parent[key] = copy.deepcopy(other[there])
        elif kind == 'repeat' and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        elif kind == 'wrap':
            parent[key] = [parent[key]]
        elif isinstance(parent, dict):
            parent[draw(st.text())] = copy.deepcopy(draw(values))
    return json.dumps(document).encode()


def _spots(node: Any) -> Iterator[tuple[Any, Any]]:
    """All places in a document: a list or dict, and an index or key."""
    if isinstance(node, dict | list):
        keys = node if isinstance(node, dict) else range(len(node))
        for key in list(keys):
            yield node, key
            yield from _spots(node[key])


@st.composite
def altered_xml(draw: st.DrawFn, text: str) -> bytes:
    """XML with changed elements."""
    root = ElementTree.fromstring(text)
    for _ in range(draw(st.integers(1, 4))):
        parent = draw(st.sampled_from(list(root.iter())))
        kind = draw(
            st.sampled_from(['text', 'number', 'tag', 'delete', 'repeat', 'move'])
        )
        children = list(parent)
        if kind == 'text':
            parent.text = draw(st.sampled_from(TEXTS) | st.text())
        elif kind == 'number':
            parent.text = draw(numbers)
        elif kind == 'tag':
            parent.tag = draw(
                st.sampled_from(
                    ['object', 'bndbox', 'name', 'size', 'xmin', 'a:b', '1']
                )
            )
        elif children:
            child = draw(st.sampled_from(children))
            if kind != 'repeat':
                parent.remove(child)
            if kind != 'delete':
                other = draw(st.sampled_from(list(root.iter())))
                other.append(copy.deepcopy(child))
    encoding = draw(st.sampled_from(['utf-8', 'utf-16', 'latin-1', 'utf-32', 'cp037']))
    content = ElementTree.tostring(root, encoding='unicode')
    head = draw(
        st.sampled_from(
            [
                '',
                f'<?xml version="1.0" encoding="{encoding}"?>',
                '<?xml version="1.0" encoding="bogus"?>',
                '<!DOCTYPE a>',
                ' ',
                '\ufeff',
                '<!-- a -- b -->',
                '<?a?>',
            ]
        )
    )
    return (head + content).encode(encoding, 'replace')


@st.composite
def altered_lines(draw: st.DrawFn, text: str) -> bytes:
    """Lines with changed words."""
    lines = [line.split(' ') for line in text.split('\n')]
    for _ in range(draw(st.integers(1, 4))):
        line = draw(st.sampled_from(lines))
        kind = draw(st.sampled_from(['number', 'text', 'delete', 'insert']))
        place = draw(st.integers(0, len(line)))
        if kind == 'insert':
            line.insert(place, draw(numbers | st.sampled_from(TEXTS)))
        elif place < len(line):
            line[place : place + 1] = {
                'number': [draw(numbers)],
                'text': [draw(st.sampled_from(TEXTS) | st.text())],
                'delete': [],
            }[kind]
    separator = draw(st.sampled_from(['\n', '\r\n', '\n\n', '\r', '\x85']))
    return separator.join(' '.join(line) for line in lines).encode(
        draw(st.sampled_from(['utf-8', 'utf-8-sig', 'utf-16'])), 'surrogatepass'
    )


@st.composite
def corrupt(draw: st.DrawFn, contents: st.SearchStrategy[bytes]) -> bytes:
    """Bytes that were cut, overwritten, inserted or repeated."""
    content = draw(contents)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        new = draw(
            st.one_of(
                st.binary(max_size=8),
                st.just(content[start:end] * 2),
                st.sampled_from(
                    [
                        b'[' * 5000,
                        b'{"a":' * 5000,
                        b'<a>' * 5000,
                        b'- ' * 5000,
                        b'\xff\xfe',
                        b'\x00' * 64,
                        b'\xef\xbb\xbf',
                    ]
                ),
            )
        )
        content = content[:start] + draw(st.sampled_from([new, b''])) + content[end:]
        if draw(st.integers(0, 9)) == 0:
            content = content[:start]
    return content


def damaged(document: Any, altered: Callable) -> st.SearchStrategy[bytes]:
    """Possible contents of a file that should hold a document."""
    whole = json.dumps(document) if altered is altered_json else document
    return st.one_of(
        altered(document), corrupt(st.just(whole.encode())), corrupt(altered(document))
    )


@contextmanager
def no_hang() -> Iterator[None]:
    """Raise if the block takes too long."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f'It takes more than {SECONDS} s.')

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def read(work: Callable[[], Any], root: Path) -> Any:
    """Read; a refusal must be a message of ours."""
    with no_hang():
        try:
            return work()
        except (DataError, FileNotFoundError) as error:
            # The system's message about a missing file is not ours.
            assert getattr(error, 'errno', None) is None, error
            assert str(root) in str(error) or 'No box is of' in str(error)
            return None


# --- Data sets of which one file is damaged ----------------------------------

VOC = """<annotation><filename>b.jpg</filename>
<size><width>30</width><height>20</height><depth>3</depth></size>
<object><name>car</name><difficult>0</difficult><bndbox><xmin>3</xmin>
<ymin>4</ymin><xmax>12</xmax><ymax>14</ymax></bndbox></object>
<object><name>person</name><difficult>1</difficult><bndbox><xmin>1</xmin>
<ymin>1</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object></annotation>"""
KITTI = """Car 0.00 0 1.5 3.0 4.0 12.0 14.0 1.5 1.6 3.9 1.0 1.4 18.0 1.6
DontCare -1 -1 -10 1.0 2.0 9.0 9.0 -1 -1 -1 -1000 -1000 -1000 -10"""
YOLO = '0 0.5 0.5 0.2 0.4\n1 0.3 0.25 0.1 0.5'
YAML = 'path: .\ntrain: images\nnc: 2\nnames:\n  0: car\n  1: person\n'
COCO = dict(
    info=dict(description='made by a stranger'),
    images=[
        dict(id=i, file_name=f'{name}.jpg', height=20, width=30)
        for i, name in enumerate('ab')
    ],
    categories=[dict(id=3, name='car'), dict(id=8, name='person')],
    annotations=[
        dict(
            id=1,
            image_id=0,
            category_id=3,
            bbox=[2, 3, 10, 11],
            area=110,
            iscrowd=0,
            segmentation=[],
        ),
        dict(
            id=2, image_id=1, category_id=8, bbox=[1.5, 2, 4, 5.5], area=22, iscrowd=1
        ),
    ],
)
CAMERA = dict(
    extrinsic=dict(baseline=0.209313, pitch=0.038, roll=0.0, x=1.7),
    intrinsic=dict(fx=2262.52, fy=2265.3, u0=1096.98, v0=513.137),
)
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs'),
]
#: The box of the image whose file is whole.
SOUND = [3 - 1, 4 - 1, 10, 11]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the data sets."""
    return tmp_path_factory.mktemp('strangers')


def draw_images(folder: Path, *names: str) -> None:
    """Write photographs of noise."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
    for name in names:
        cv2.imwrite(str(folder / name), noise)


def prepare(root: Path, name: str) -> dict | None:
    """Convert a data set; None if it was refused."""
    return convert(
        root, lambda options: prepare_custom(open_source(root, name)[0], options)
    )


def convert(root: Path, work: Callable[[Options], Report]) -> dict | None:
    """Convert a data set; None if it was refused."""
    with TemporaryDirectory() as out:
        report = read(lambda: work(Options(Path(out), workers=1)), root)
        if report is None:
            assert not list(Path(out).iterdir())
            return None
        '\n'.join(report.lines()).encode()  # It can be printed.
        path = Path(out, 'instances_train.json')
        return json.loads(path.read_bytes(), parse_constant=pytest.fail)


def boxes_of(content: dict, name: str) -> list[list[float]]:
    """Boxes of an image of an intact COCO file."""
    sizes = {each['id']: (each['height'], each['width']) for each in content['images']}
    labels = [each['id'] for each in content['categories']]
    assert len(set(labels)) == len(labels)
    assert all(each['name'].encode() for each in content['categories'])
    numbers = [each['id'] for each in content['annotations']]
    assert numbers == list(range(1, len(numbers) + 1))
    for each in content['annotations']:
        x, y, w, h = each['bbox']
        height, width = sizes[each['image_id']]
        assert x >= 0 and y >= 0 and w >= 1 and h >= 1
        assert x + w <= width + 1e-6 and y + h <= height + 1e-6
        assert 0 < each['area'] < float('inf')
        assert each['iscrowd'] in (0, 1) and each['category_id'] in labels
    ids = [each['id'] for each in content['images'] if each['file_name'].endswith(name)]
    return [each['bbox'] for each in content['annotations'] if each['image_id'] in ids]


@FUZZ
@given(content=damaged(VOC, altered_xml))
def test_voc(root, content):
    folder = root / 'voc'
    if not folder.exists():
        draw_images(folder / 'JPEGImages', 'a.jpg', 'b.jpg')
        (folder / 'Annotations').mkdir()
        (folder / 'Annotations/a.xml').write_text(VOC)
    (folder / 'Annotations/b.xml').write_bytes(content)
    # Whatever one image has, the other keeps its boxes.
    assert boxes_of(prepare(folder, 'voc'), 'a.jpg')[0] == SOUND


@FUZZ
@given(content=damaged(KITTI, altered_lines))
def test_kitti(root, content):
    folder = root / 'kitti'
    if not folder.exists():
        draw_images(folder / 'image_2', 'a.png', 'b.png')
        (folder / 'label_2').mkdir()
        (folder / 'label_2/a.txt').write_text(KITTI)
    (folder / 'label_2/b.txt').write_bytes(content)
    assert boxes_of(prepare(folder, 'kitti'), 'a.png')[0] == [3, 4, 9, 10]


@FUZZ
@given(content=damaged(YOLO, altered_lines))
def test_yolo(root, content):
    folder = root / 'yolo'
    if not folder.exists():
        draw_images(folder / 'images', 'a.jpg', 'b.jpg')
        (folder / 'labels').mkdir()
        (folder / 'labels/a.txt').write_text(YOLO)
        (folder / 'data.yaml').write_text(YAML)
    (folder / 'labels/b.txt').write_bytes(content)
    assert boxes_of(prepare(folder, 'yolo'), 'a.jpg')[0] == [12, 6, 6, 8]


@FUZZ
@given(content=damaged(YAML, altered_lines))
def test_yaml_of_yolo(root, content):
    folder = root / 'yolo_yaml'
    if not folder.exists():
        draw_images(folder / 'images', 'a.jpg')
        (folder / 'labels').mkdir()
        (folder / 'labels/a.txt').write_text(YOLO)
    (folder / 'data.yaml').write_bytes(content)
    made = prepare(folder, 'yolo')
    assert made is None or len(boxes_of(made, 'a.jpg')) <= 2


@FUZZ
@given(content=damaged(COCO, altered_json))
def test_coco(root, content):
    folder = root / 'coco'
    if not folder.exists():
        draw_images(folder, 'a.jpg', 'b.jpg')
        (folder / 'annotations').mkdir()
    (folder / 'annotations/train.json').write_bytes(content)
    made = prepare(folder, 'coco')
    if made is not None:
        boxes_of(made, 'a.jpg')


def load(root: Path, dataset: Callable) -> Any:
    """Read as training does; None if it was refused."""
    return read(dataset, root)


@pytest.mark.slow
@FUZZ
@given(content=damaged(COCO, altered_json))
def test_annotations_of_a_training(root, content):
    folder = root / 'labelled'
    if not folder.exists():
        draw_images(folder, 'a.jpg', 'b.jpg')
    (folder / 'train.json').write_bytes(content)
    dataset = load(
        folder,
        lambda: DomainCocoDataset(
            data_root=str(folder),
            ann_file='train.json',
            pipeline=PIPELINE,
            filter_cfg=dict(filter_empty_gt=True),
            metainfo=dict(classes=CLASSES),
        ),
    )
    for i in range(0 if dataset is None else len(dataset)):
        instances = dataset[i]['data_samples'].gt_instances
        assert np.isfinite(instances.bboxes.tensor).all()
        assert set(instances.labels.tolist()) <= {0, 1}


@pytest.mark.slow
@FUZZ
@given(content=damaged(COCO, altered_json))
def test_coco_file_of_a_target(root, content):
    folder = root / 'target'
    if not folder.exists():
        draw_images(folder, 'a.jpg', 'b.jpg')
    (folder / 'images.json').write_bytes(content)
    dataset = load(
        folder, lambda: UnlabelledDataset('images.json', data_root=str(folder))
    )
    assert dataset is None or len(dataset) in (1, 2)


@pytest.mark.slow
@FUZZ
@given(content=damaged('a.jpg\nb.jpg\n', altered_lines))
def test_text_list_of_a_target(root, content):
    folder = root / 'listed'
    if not folder.exists():
        draw_images(folder, 'a.jpg', 'b.jpg')
    (folder / 'images.txt').write_bytes(content)
    dataset = load(
        folder, lambda: UnlabelledDataset('images.txt', data_root=str(folder))
    )
    assert dataset is None or len(dataset) in (1, 2)


# --- Cityscapes: instance maps, disparities, cameras -------------------------

INSTANCES = np.full(SIZE, 7, np.uint16)
INSTANCES[4:12, 3:9] = 26_001


def png(pixels: np.ndarray) -> bytes:
    """A PNG file."""
    return cv2.imencode('.png', pixels)[1].tobytes()


@st.composite
def altered_png(draw: st.DrawFn, pixels: np.ndarray) -> bytes:
    """Image file with other pixels, another type, size or format."""
    dtype = draw(st.sampled_from(['uint8', 'uint16']))
    shape = draw(
        st.sampled_from([SIZE, SIZE, SIZE, (1, 1), (30, 20), (*SIZE, 3), (*SIZE, 4)])
    )
    largest = np.iinfo(dtype).max
    content = png(pixels)
    if draw(st.booleans()):
        codes = draw(
            st.lists(
                st.integers(0, largest) | st.sampled_from([0, 23, 24, 26, 255]),
                min_size=1,
                max_size=6,
            )
        )
        image = np.resize(np.repeat(codes, draw(st.integers(1, 40))), shape)
        content = cv2.imencode(
            draw(st.sampled_from(['.png', '.png', '.tiff', '.webp', '.bmp'])),
            image.astype(dtype),
        )[1].tobytes()
    else:
        # A wrong header with a matching checksum.
        sides = draw(
            st.tuples(*[st.sampled_from([0, 1, 20, 30, 31, 40_000, 2**31 - 1])] * 2)
        )
        kind = struct.pack(
            '>BBBBB',
            draw(st.sampled_from([1, 8, 16])),
            draw(st.sampled_from([0, 2, 3, 4])),
            0,
            0,
            0,
        )
        chunk = b'IHDR' + struct.pack('>II', *sides) + kind
        content = (
            content[:12] + chunk + struct.pack('>I', zlib.crc32(chunk)) + content[33:]
        )
    return content


def cityscapes(root: Path, name: str) -> Path:
    """Make a Cityscapes root of three frames, once."""
    folder = root / name
    if folder.exists():
        return folder
    for split, frame in (('train', 'a'), ('train', 'b'), ('val', 'c')):
        for kind, content in (
            ('leftImg8bit', png(np.zeros((*SIZE, 3), np.uint8))),
            ('gtFine_instanceIds', png(INSTANCES)),
            ('disparity', png(np.full(SIZE, 9000, np.uint16))),
        ):
            place = folder / kind.split('_')[0] / split / 'x'
            place.mkdir(parents=True, exist_ok=True)
            (place / f'{frame}_{kind}.png').write_bytes(content)
        place = folder / 'camera' / split / 'x'
        place.mkdir(parents=True, exist_ok=True)
        (place / f'{frame}_camera.json').write_text(json.dumps(CAMERA))
    return folder


MAPS = st.one_of(
    altered_png(INSTANCES),
    corrupt(st.just(png(INSTANCES))),
    corrupt(altered_png(INSTANCES)),
)


@FUZZ
@given(content=MAPS)
def test_instance_maps(root, content):
    folder = cityscapes(root, 'maps')
    (folder / 'gtFine/train/x/b_gtFine_instanceIds.png').write_bytes(content)
    made = convert(folder, lambda options: prepare_cityscapes(folder, options))
    assert boxes_of(made, 'a_leftImg8bit.png') == [[3, 4, 6, 8]]


@FUZZ
@given(content=MAPS)
def test_images(root, content):
    folder = cityscapes(root, 'images')
    (folder / 'leftImg8bit/train/x/b_leftImg8bit.png').write_bytes(content)
    made = convert(folder, lambda options: prepare_cityscapes(folder, options))
    assert boxes_of(made, 'a_leftImg8bit.png') == [[3, 4, 6, 8]]


def fog(folder: Path) -> None:
    """Make fog; all frames but the damaged one must get it."""
    shutil.rmtree(folder / 'leftImg8bit_foggy', ignore_errors=True)
    report = read(lambda: make_fog(folder, Options(workers=1)), folder)
    '\n'.join(report.lines()).encode()
    assert report.written + report.problems.counts.total() == 3
    assert report.written >= 2


@FUZZ
@given(content=damaged(CAMERA, altered_json))
def test_cameras(root, content):
    folder = cityscapes(root, 'cameras')
    (folder / 'camera/train/x/b_camera.json').write_bytes(content)
    fog(folder)


@FUZZ
@given(content=MAPS)
def test_disparities(root, content):
    folder = cityscapes(root, 'disparities')
    (folder / 'disparity/train/x/b_disparity.png').write_bytes(content)
    fog(folder)


# --- What is made to do harm -------------------------------------------------

LAUGHS = ''.join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))


@pytest.mark.parametrize(
    'head',
    [
        f'<!DOCTYPE annotation [<!ENTITY a0 "ha">{LAUGHS}]>',
        '<!DOCTYPE annotation [<!ENTITY a11 SYSTEM "SECRET">]>',
        '<!DOCTYPE annotation [<!ENTITY % p SYSTEM "SECRET">%p;]>',
        '<!DOCTYPE annotation SYSTEM "SECRET">',
    ],
)
def test_entities_of_xml_are_refused(root, tmp_path, head):
    test_voc.hypothesis.inner_test(root, VOC.encode())
    (tmp_path / 'secret').write_text('truck')
    name = '<name>car</name>'
    assert name in VOC
    content = head.replace('SECRET', str(tmp_path / 'secret')) + VOC.replace(
        name, '<name>&a11;</name>'
    )
    (root / 'voc/Annotations/b.xml').write_text(content)
    made = prepare(root / 'voc', 'voc')
    # All of it is left out: no empty name, no content of the other file.
    assert [each['file_name'] for each in made['images']] == ['JPEGImages/a.jpg']
    assert [each['name'] for each in made['categories']] == ['car', 'person']


def test_aliases_of_yaml_are_refused(root):
    test_yaml_of_yolo.hypothesis.inner_test(root, YAML.encode())
    lines = ['a0: &a0 [ha, ha]'] + [
        f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 10)}]' for i in range(1, 12)
    ]
    for last in ('names: *a11', 'names: [*a11, dog]', 'names: {<<: *a11}'):
        (root / 'yolo_yaml/data.yaml').write_text('\n'.join([*lines, last]))
        assert prepare(root / 'yolo_yaml', 'yolo') is None


def test_many_categories_take_no_time(root):
    test_coco.hypothesis.inner_test(root, json.dumps(COCO).encode())
    content = dict(COCO, categories=[dict(id=i, name=f'c{i}') for i in range(100_000)])
    (root / 'coco/annotations/train.json').write_text(json.dumps(content))
    made = prepare(root / 'coco', 'coco')
    assert len(made['categories']) == 100_000
