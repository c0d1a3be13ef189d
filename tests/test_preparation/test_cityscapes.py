import importlib.util
import json
from pathlib import Path

import cv2
import mmdet
import numpy as np
import pytest
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO

from mmdet_ifan.mini_city import MiniCity, write_mini_city
from mmdet_ifan.preparation import Options, cityscapes
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes
from mmdet_ifan.preparation.cityscapes_files import (
    CLEAR,
    FOGGY,
    LABELS,
    boxes_from_instances,
)
from mmdet_ifan.preparation.stand_in import MANIFEST
from mmdet_ifan.utils.errors import DataError

CONVERTER = Path(mmdet.__file__).parent / (
    '.mim/tools/dataset_converters/cityscapes.py'
)
THING_IDS = (24, 25, 26, 27, 28, 31, 32, 33)
# Road, sky, caravan and trailer (not evaluated), groups, instances.
CODES = np.array(
    [
        7,
        23,
        29,
        30,
        29001,
        30000,
        24,
        26,
        33,
        24000,
        24001,
        25000,
        26000,
        26007,
        27000,
        28000,
        31000,
        32000,
        33000,
        33999,
    ]
)


def brute_force(instances):
    """Look at each pixel once, with one rectangle for each code."""
    found = {}
    for y in range(instances.shape[0]):
        for x in range(instances.shape[1]):
            code = int(instances[y, x])
            x1, y1, x2, y2, area = found.get(code, (x, y, x, y, 0))
            found[code] = (min(x1, x), min(y1, y), max(x2, x), max(y2, y), area + 1)
    annotations = []
    for code in sorted(found):
        label_id = code // 1000 if code >= 1000 else code
        if label_id in THING_IDS:
            x1, y1, x2, y2, area = found[code]
            annotations.append(
                dict(
                    category_id=label_id,
                    area=area,
                    iscrowd=int(code < 1000),
                    bbox=[x1, y1, x2 - x1 + 1, y2 - y1 + 1],
                )
            )
    return annotations


def random_instances(seed, height=23, width=31):
    """Draw overlapping rectangles, then specks of every code."""
    rng = np.random.default_rng(seed)
    instances = np.full((height, width), 7, dtype=np.uint16)
    for _ in range(rng.integers(0, 14)):
        y1, y2 = np.sort(rng.integers(0, height + 1, 2))
        x1, x2 = np.sort(rng.integers(0, width + 1, 2))
        instances[y1:y2, x1:x2] = rng.choice(CODES)
    specks = rng.random(instances.shape) < rng.choice([0, 0.1])
    instances[specks] = rng.choice(CODES, specks.sum())
    return instances


def corner_cases():
    whole = np.full((4, 6), 26000, np.uint16)
    nothing = np.full((4, 6), 23, np.uint16)
    corners = nothing.copy()
    corners[0, 0] = corners[3, 5] = 24000  # One instance in two pieces.
    last = nothing.copy()
    last[3, 5] = 33000
    # The end of a row and the start of the next are adjacent in memory.
    seam = nothing.copy()
    seam[1, 5] = seam[2, 0] = 28001
    column = np.full((5, 1), 31000, np.uint16)
    return [whole, nothing, corners, last, seam, column]


def mini_city_maps():
    """Streets, each with a group of cars that are not separated."""
    maps = []
    for index in range(4):
        content = MiniCity(height=256, width=512).render('train', index)[
            MiniCity.paths('train', index)['instances']
        ]
        instances = cv2.imdecode(np.frombuffer(content, np.uint8), -1)
        instances[120:131, 40 * index : 40 * index + 25] = 26
        maps.append(instances)
    assert sum(len(brute_force(each)) for each in maps) > 12
    return maps


MAPS = [*map(random_instances, range(40)), *corner_cases()]


# --- Boxes -----------------------------------------------------------------


def test_the_maps_hold_what_is_to_be_tested():
    found = [each for instances in MAPS for each in brute_force(instances)]
    assert {each['category_id'] for each in found} == set(THING_IDS)
    assert {each['iscrowd'] for each in found} == {0, 1}
    assert any(not brute_force(instances) for instances in MAPS)


@pytest.mark.parametrize('instances', MAPS)
def test_boxes_equal_a_loop_over_pixels(instances):
    assert boxes_from_instances(instances) == brute_force(instances)


@pytest.mark.parametrize('instances', MAPS)
def test_boxes_equal_pycocotools(instances):
    for code, each in zip(
        [
            code
            for code in np.unique(instances)
            if (code // 1000 if code >= 1000 else code) in THING_IDS
        ],
        boxes_from_instances(instances),
        strict=True,
    ):
        mask = np.asfortranarray(instances == code, dtype=np.uint8)
        encoded = mask_utils.encode(mask)
        assert each['bbox'] == mask_utils.toBbox(encoded).tolist()
        assert each['area'] == mask_utils.area(encoded)


@pytest.mark.skipif(not CONVERTER.exists(), reason='this mmdet comes without its tools')
def test_boxes_equal_the_converter_of_mmdet(tmp_path):
    spec = importlib.util.spec_from_file_location('converter', CONVERTER)
    converter = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(converter)
    for instances in MAPS + mini_city_maps():
        path = str(tmp_path / 'map.png')
        cv2.imwrite(path, instances)
        theirs = converter.load_img_info(('city/image.png', path, 'segm.png'))
        for each in theirs['anno_info']:
            each.pop('segmentation')
        assert boxes_from_instances(instances) == theirs['anno_info']


def test_unknown_label_ids_are_refused():
    with pytest.raises(ValueError, match='label id 40'):
        boxes_from_instances(np.full((2, 2), 40001, np.uint16))


# --- Files -----------------------------------------------------------------


def prepare(root, out=None, betas=None, **options):
    """Summaries of the files."""
    options = Options(out, **dict(dict(workers=1), **options))
    return prepare_cityscapes(root, options, betas).summaries


def write_frame(root, frame, instances, betas=(0.02,)):
    """Write a clear image, its labels and its foggy versions."""
    image = np.zeros((*instances.shape, 3), np.uint8)
    for kind, content in [
        (CLEAR, image),
        (LABELS, instances),
        *((FOGGY[beta], image) for beta in betas),
    ]:
        path = root / kind.path(frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), content)


@pytest.fixture
def root(tmp_path):
    """Three training images, one of them empty, and a validation image."""
    root = tmp_path / 'cityscapes'
    maps = dict(
        zip('abcd', (random_instances(seed) for seed in (1, 2, 3, 4)), strict=True)
    )
    maps['b'] = np.full((23, 31), 7, np.uint16)
    for split, city, name in (
        ('train', 'zurich', 'a'),
        ('train', 'aachen', 'b'),
        ('train', 'aachen', 'c'),
        ('val', 'munster', 'd'),
    ):
        write_frame(root, f'{split}/{city}/{city}_{name}', maps[name])
    return root


def content_of(root, name):
    return json.loads((root / 'annotations' / name).read_text())


def files_of(root):
    return {path: path.read_bytes() for path in root.rglob('*') if path.is_file()}


def test_file_of_a_split(root):
    prepare(root)
    content = content_of(root, 'instances_train.json')
    assert [image['file_name'] for image in content['images']] == [
        'leftImg8bit/train/aachen/aachen_b_leftImg8bit.png',
        'leftImg8bit/train/aachen/aachen_c_leftImg8bit.png',
        'leftImg8bit/train/zurich/zurich_a_leftImg8bit.png',
    ]
    assert [image['id'] for image in content['images']] == [0, 1, 2]
    assert all(
        (image['height'], image['width']) == (23, 31) for image in content['images']
    )
    assert [each['name'] for each in content['categories']] == [
        'person',
        'rider',
        'car',
        'truck',
        'bus',
        'train',
        'motorcycle',
        'bicycle',
    ]
    assert [each['id'] for each in content['categories']] == list(THING_IDS)


def test_annotations_belong_to_their_image(root):
    prepare(root)
    annotations = content_of(root, 'instances_train.json')['annotations']
    for image_id, seed in ((1, 3), (2, 1)):
        mine = [
            {key: each[key] for key in ('category_id', 'area', 'iscrowd', 'bbox')}
            for each in annotations
            if each['image_id'] == image_id
        ]
        assert mine == brute_force(random_instances(seed))
    # pycocotools takes a detection matched to id 0 for a false positive.
    assert [each['id'] for each in annotations] == list(range(1, len(annotations) + 1))


def test_images_without_objects_are_kept(root):
    summary = prepare(root)[0]
    assert (summary.images, summary.empty) == (3, 1)
    content = content_of(root, 'instances_train.json')
    assert 0 not in {each['image_id'] for each in content['annotations']}
    assert len(content['images']) == 3


def test_a_split_without_any_box(tmp_path):
    for split in ('train', 'val'):
        write_frame(tmp_path, f'{split}/{split}/x', np.full((4, 4), 7, np.uint16))
    prepare(tmp_path)
    assert content_of(tmp_path, 'instances_val.json')['annotations'] == []


def test_foggy_files_differ_only_in_their_images(root):
    prepare(root)
    clear = content_of(root, 'instances_train.json')
    foggy = content_of(root, 'instances_train_foggy_beta_0.02.json')
    assert foggy['annotations'] == clear['annotations']
    assert foggy['images'][2] == dict(
        clear['images'][2],
        file_name='leftImg8bit_foggy/train/zurich/'
        'zurich_a_leftImg8bit_foggy_beta_0.02.png',
    )


def test_a_root_without_fog_gives_two_files(root):
    for path in root.glob('leftImg8bit_foggy/*/*/*'):
        path.unlink()
    for folder in sorted(root.glob('leftImg8bit_foggy/**/'), reverse=True):
        folder.rmdir()
    names = [each.path.name for each in prepare(root)]
    assert names == ['instances_train.json', 'instances_val.json']
    with pytest.raises(DataError, match='has no leftImg8bit_foggy'):
        prepare(root, betas=[0.02], workers=1)


def test_files_load_in_pycocotools(root):
    prepare(root)
    coco = COCO(str(root / 'annotations/instances_train.json'))
    assert sorted(coco.getCatIds()) == list(THING_IDS)
    assert len(coco.getImgIds()) == 3
    assert len(coco.getAnnIds(iscrowd=True)) > 0


def test_files_do_not_depend_on_workers(root, tmp_path):
    prepare(root, tmp_path / 'one', workers=1)
    prepare(root, tmp_path / 'two', workers=2)
    one, two = (
        sorted(
            (path.name, content) for path, content in files_of(tmp_path / name).items()
        )
        for name in ('one', 'two')
    )
    assert one == two and len(one) == 4


# --- Running again ---------------------------------------------------------


def test_equal_files_are_up_to_date(root):
    first = prepare(root)
    stamps = [each.path.stat().st_mtime_ns for each in first]
    again = prepare(root)
    assert [each.is_new for each in first] == [True] * 4
    assert [each.is_new for each in again] == [False] * 4
    assert stamps == [each.path.stat().st_mtime_ns for each in again]


def test_files_that_differ_are_kept_unless_overwritten(root):
    prepare(root)
    expected = files_of(root)
    lost = root / 'annotations/instances_train.json'
    mine = root / 'annotations/instances_val.json'
    lost.unlink()
    mine.write_text('{"mine": 1}')
    with pytest.raises(
        DataError, match='instances_val.json exists and differs: pass --overwrite'
    ):
        prepare(root)
    # Not even the file that could be written was.
    assert mine.read_text() == '{"mine": 1}' and not lost.exists()
    prepare(root, overwrite=True)
    assert files_of(root) == expected


def test_table_of_counts(root):
    report = prepare_cityscapes(root, Options(workers=1))
    account, head, *lines = report.lines()
    assert account == (f'Used under {root}: images: 8; annotation files and lists: 4.')
    assert head.split() == [
        'file',
        'images',
        'empty',
        'person',
        'rider',
        'car',
        'truck',
        'bus',
        'train',
        'motorcycle',
        'bicycle',
        'boxes',
        'crowds',
        'state',
    ]
    for line, each in zip(lines, report.summaries, strict=True):
        content = json.loads(each.path.read_text())
        boxes = [one for one in content['annotations'] if not one['iscrowd']]
        counts = [
            sum(one['category_id'] == thing for one in boxes) for thing in THING_IDS
        ]
        crowds = len(content['annotations']) - len(boxes)
        assert line.split() == [
            each.path.name,
            str(len(content['images'])),
            str(each.empty),
            *map(str, counts),
            str(len(boxes)),
            str(crowds),
            'written',
        ]


def test_every_file_is_accounted_for(root):
    write_frame(root, 'test/bonn/bonn_e', random_instances(5), ())
    (root / 'gtFine/train/zurich/zurich_a_gtFine_polygons.json').touch()
    (root / CLEAR.path('train/zurich/zurich_a')).unlink()
    report = prepare_cityscapes(root, Options(workers=1))
    assert report.account == [
        f'Used under {root}: images: 7; annotation files and lists: 4.',
        'Left out: missing images: 1 (leftImg8bit/train/zurich/'
        'zurich_a_leftImg8bit.png).',
        'Not looked at: gtFine/test/*.png: 1 (gtFine/test/bonn/'
        'bonn_e_gtFine_instanceIds.png); gtFine/train/*.json: 1 '
        '(gtFine/train/zurich/zurich_a_gtFine_polygons.json); '
        'leftImg8bit/test/*.png: 1 (leftImg8bit/test/bonn/'
        'bonn_e_leftImg8bit.png).',
    ]


def test_reader_that_fails_costs_its_image_alone(root, monkeypatch):
    def fail(path):
        if path.name.startswith('zurich_a'):
            raise ZeroDivisionError('float division by zero')
        return size(path)

    size = cityscapes.image_size
    monkeypatch.setattr(cityscapes, 'image_size', fail)
    report = prepare_cityscapes(root, Options(workers=1))
    assert report.problems.counts == {'unreadable files': 2}
    assert next(report.lines()) == (
        f'{root}/leftImg8bit/train/zurich/zurich_a_leftImg8bit.png cannot be '
        'read (ZeroDivisionError: float division by zero): its image is left '
        'out.'
    )


# --- Mini City and the real numbers ----------------------------------------


@pytest.fixture
def mini(tmp_path):
    root = tmp_path / 'mini'
    write_mini_city(root, MiniCity(2, 2, 64, 128), 1, say=lambda text: None)
    return root


def test_mini_city_gives_a_file_for_each_fog_and_one_for_all(mini):
    summaries = prepare(mini, betas=[0.005, 0.01, 0.02], workers=1)
    assert [each.path.name for each in summaries[5:]] == [
        'instances_val.json',
        'instances_val_foggy_beta_0.005.json',
        'instances_val_foggy_beta_0.01.json',
        'instances_val_foggy_beta_0.02.json',
        'instances_val_foggy_all.json',
    ]
    assert [each.images for each in summaries[5:]] == [2, 2, 2, 2, 6]
    for summary in summaries:
        content = json.loads(summary.path.read_text())
        for image in content['images']:
            assert (mini / image['file_name']).exists()
        assert (
            len({each['id'] for each in content['annotations']})
            == len(content['annotations'])
            > 0
        )
    manifest = json.loads((mini / MANIFEST).read_text())
    assert +summaries[0].boxes == manifest['splits']['train']['objects']


def test_mini_city_with_a_lost_scene_is_noticed(mini):
    for kind in ('image', 'instances'):
        (mini / MiniCity.paths('val', 1)[kind]).unlink()
    with pytest.raises(DataError, match=f'1 images in val, but its {MANIFEST} says 2'):
        prepare(mini)
    assert not (mini / 'annotations').exists()


def test_mini_city_with_another_label_is_noticed(mini):
    path = str(mini / MiniCity.paths('val', 0)['instances'])
    instances = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    instances[:9, :9] = 26999
    cv2.imwrite(path, instances)
    with pytest.raises(DataError, match='boxes of car in val'):
        prepare(mini)


def test_unfinished_mini_city_is_refused(mini):
    (mini / MANIFEST).rename(mini / 'mini_city.unfinished.json')
    with pytest.raises(DataError, match='is not complete: run tools'):
        prepare(mini)


def test_incomplete_cityscapes_is_refused(root, monkeypatch):
    monkeypatch.setattr(cityscapes, 'REAL_IF_MORE_THAN', 2)
    with pytest.raises(
        DataError, match='leftImg8bit/train holds 3 images, but Cityscapes has 2975'
    ):
        prepare(root)
    monkeypatch.setattr(cityscapes, 'REAL_IMAGES', dict(train=3, val=1))
    assert len(prepare(root)) == 4


# --- Bad input -------------------------------------------------------------

NOT_WHOLE = 'is not an intact image'
NO_MAP = 'not a readable instance map'


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b'')


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def replace_by_text(path):
    path.write_text('Sorry, you must log in to download this file.')


def shrink(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), image[:-1])


def colour(path):
    cv2.imwrite(str(path), np.zeros((23, 31, 3), np.uint8))


def invent_label(path):
    cv2.imwrite(str(path), np.full((23, 31), 45000, np.uint16))


HARMS = pytest.mark.parametrize(
    'harm, kind, message, files',
    [
        (remove, LABELS, 'is missing', (0, 1)),
        (empty, LABELS, NO_MAP, (0, 1)),
        (cut, LABELS, NO_MAP, (0, 1)),
        (replace_by_text, LABELS, NO_MAP, (0, 1)),
        (colour, LABELS, NO_MAP, (0, 1)),
        (invent_label, LABELS, 'label id 45', (0, 1)),
        (shrink, LABELS, 'has 23 x 31 px, but its label file 22 x 31', (0, 1)),
        (remove, CLEAR, 'is missing', (0,)),
        (empty, CLEAR, NOT_WHOLE, (0,)),
        (cut, CLEAR, NOT_WHOLE, (0,)),
        (replace_by_text, CLEAR, NOT_WHOLE, (0,)),
        (shrink, CLEAR, 'has 22 x 31 px, but its label file 23 x 31', (0,)),
        (remove, FOGGY[0.02], 'is missing', (1,)),
        (cut, FOGGY[0.02], NOT_WHOLE, (1,)),
        (shrink, FOGGY[0.02], 'has 22 x 31 px', (1,)),
    ],
)


@HARMS
@pytest.mark.parametrize('workers', [1, 2])
def test_bad_training_files_are_left_out_and_named(
    root, harm, kind, message, files, workers
):
    harm(root / kind.path('train/aachen/aachen_c'))
    report = prepare_cityscapes(root, Options(workers=workers))
    *sentences, total = list(report.lines())[: report.problems.counts.total() + 1]
    for sentence in sentences:
        assert message in sentence and 'aachen_c' in sentence
        assert sentence.endswith('left out.')
    assert sentences and total.startswith('Problems in the data - ')
    # The others are all there, as are the images of the other fog.
    for index, summary in enumerate(report.summaries[:2]):
        assert summary.images == 3 - (index in files)
    for index, name in enumerate(('', '_foggy_beta_0.02')):
        content = content_of(root, f'instances_train{name}.json')
        assert any('aachen_c' in image['file_name'] for image in content['images']) == (
            index not in files
        )


@HARMS
def test_strict_allows_none(root, harm, kind, message, files):
    harm(root / kind.path('train/aachen/aachen_c'))
    with pytest.raises(DataError) as error:
        prepare(root, strict=True)
    assert message in str(error.value) and 'aachen_c' in str(error.value)
    assert not (root / 'annotations').exists()


@HARMS
def test_test_images_are_never_left_out(root, harm, kind, message, files):
    write_frame(root, 'val/munster/munster_e', random_instances(5))
    harm(root / kind.path('val/munster/munster_d'))
    with pytest.raises(DataError) as error:
        prepare(root)
    first, *others = str(error.value).splitlines()
    assert (
        first.startswith(
            f'instances_val{"_foggy_beta_0.02" * (0 not in files)}.json would '
            'hold 1 of 2 images'
        )
        and 'unpack' in first
    )
    assert message in others[0] and 'munster_d' in others[0]
    assert not (root / 'annotations').exists()


def test_label_file_cut_in_the_middle(tmp_path):
    """OpenCV would give its upper part, with other boxes."""
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        for name in 'ab':
            write_frame(
                tmp_path,
                f'{split}/{split}/{name}',
                rng.choice(CODES, (200, 300)).astype(np.uint16),
            )
    path = tmp_path / LABELS.path('train/train/b')
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    report = prepare_cityscapes(tmp_path, Options(workers=1))
    assert report.problems.counts == {'damaged annotation files': 1}
    assert [each.images for each in report.summaries] == [1, 1, 2, 2]


def test_labels_in_another_split(root):
    path = LABELS.path('train/aachen/aachen_c')
    wrong = root / path.replace('train', 'val')
    wrong.parent.mkdir()
    (root / path).rename(wrong)
    with pytest.raises(DataError) as error:
        prepare(root)
    assert f'{root / path} is missing' in str(error.value)
    missing = root / CLEAR.path('val/aachen/aachen_c')
    assert f'{missing} is missing' in str(error.value)


def test_image_in_both_splits_is_only_tested(root):
    for kind in (CLEAR, LABELS, FOGGY[0.02]):
        path = root / kind.path('val/aachen/aachen_c')
        path.parent.mkdir()
        path.write_bytes((root / kind.path('train/aachen/aachen_c')).read_bytes())
    report = prepare_cityscapes(root, Options(workers=1))
    assert [each.images for each in report.summaries] == [2, 2, 2, 2]
    assert next(report.lines()) == (
        'leftImg8bit/train/aachen/aachen_c_leftImg8bit.png is in val too: '
        'kept in val only.'
    )


def test_check_finds_what_changed(root):
    prepare(root)
    assert prepare(root, check=True)
    path = str(root / LABELS.path('val/munster/munster_d'))
    instances = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    instances[:5, :5] = 26777
    cv2.imwrite(path, instances)
    with pytest.raises(DataError, match='the boxes changed of .*munster_d'):
        prepare(root, check=True)


def test_paths_that_are_not_ascii(root, tmp_path):
    moved = root.rename(tmp_path / 'Städte 都市')
    assert [each.images for each in prepare(moved)] == [3, 3, 1, 1]


def test_other_tools_do_not_take_the_files_for_data(root, run_tool):
    prepare(root)
    code, _, err = run_tool('custom.py', root)
    assert code == 2 and 'does not look like a data set' in err


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda root: root / 'nowhere', 'nowhere does not exist'),
        (
            lambda root: root / CLEAR.path('train/aachen/aachen_c'),
            'does not exist or is not a folder',
        ),
        (
            lambda root: (root / 'gtFine').rename(root / 'gt').parent,
            'gtFine/train is missing: unpack gtFine_trainvaltest.zip',
        ),
        (
            lambda root: (root / 'leftImg8bit/val').rename(root / 'v').parent,
            'leftImg8bit/val is missing: unpack leftImg8bit_trainvaltest.zip',
        ),
        (
            lambda root: (
                [path.unlink() for path in root.glob('leftImg8bit/val/*/*')] and root
            ),
            'val holds no image',
        ),
    ],
)
def test_bad_roots_end_the_command_with_a_sentence(root, change, message, run_tool):
    code, out, err = run_tool('cityscapes.py', change(root), '--out', root / 'out')
    assert code == 2
    assert err.splitlines()[-1].startswith('error: ')
    assert message in err and 'Traceback' not in err
    assert out == '' and not (root / 'out').exists()


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(betas=[0.03]), 'beta 0.03 is not a level of fog.* 0.05 and all'),
        (dict(betas=['thick']), 'beta thick is not a level'),
        (dict(workers=0), 'workers must be at least 1, but got 0'),
    ],
)
def test_bad_arguments_are_refused(root, arguments, message):
    with pytest.raises(DataError, match=message):
        prepare(root, **arguments)


@pytest.mark.parametrize(
    'beta, files',
    [
        ([], 6),
        (['--beta', '0.01'], 4),
        (['--beta', '0.005', '0.02'], 6),
        (['--beta', 'all'], 10),
        (['--beta', 'all', '0.05'], 12),
    ],
)
def test_command_line_chooses_the_fog(mini, beta, files, run_tool):
    code, out, _ = run_tool('cityscapes.py', mini, *beta)
    assert code == 0 and out.count(' written') == files
    assert len(list((mini / 'annotations').iterdir())) == files
    if not beta:
        # What the literature and what our configs adapt to.
        assert {
            path.stem.partition('_foggy_')[2]
            for path in (mini / 'annotations').iterdir()
        } == {'', 'beta_0.02', 'beta_0.05'}
    if 'all' in beta:
        # All that Foggy Cityscapes has.
        whole = json.loads(
            (mini / 'annotations/instances_val_foggy_all.json').read_text()
        )
        assert {
            Path(image['file_name']).stem.partition('_beta_')[2]
            for image in whole['images']
        } == {'0.005', '0.01', '0.02'}
