import importlib.util
import json
import runpy
import sys
from pathlib import Path

import cv2
import mmdet
import numpy as np
import pytest
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO

from mmdet_ifan.datasets import cityscapes_to_coco
from mmdet_ifan.datasets.cityscapes_boxes import (
    boxes_from_instances,
    foggy_path,
    label_path,
)
from mmdet_ifan.datasets.cityscapes_to_coco import format_summaries, prepare
from mmdet_ifan.datasets.disk import DataError
from mmdet_ifan.datasets.mini_city import (
    MANIFEST,
    MiniCity,
    scene_paths,
    write_mini_city,
)

REPOSITORY = Path(__file__).parents[2]
CONVERTER = Path(mmdet.__file__).parent / (
    '.mim/tools/dataset_converters/cityscapes.py')
THING_IDS = (24, 25, 26, 27, 28, 31, 32, 33)
# Road, sky, caravan and trailer (not evaluated), groups, instances.
CODES = np.array([7, 23, 29, 30, 29001, 30000, 24, 26, 33, 24000, 24001,
                  25000, 26000, 26007, 27000, 28000, 31000, 32000, 33000,
                  33999])


def brute_force(instances):
    """One look at every pixel, one rectangle for every code."""
    found = {}
    for y in range(instances.shape[0]):
        for x in range(instances.shape[1]):
            code = int(instances[y, x])
            x1, y1, x2, y2, area = found.get(code, (x, y, x, y, 0))
            found[code] = (min(x1, x), min(y1, y), max(x2, x), max(y2, y),
                           area + 1)
    annotations = []
    for code in sorted(found):
        label_id = code // 1000 if code >= 1000 else code
        if label_id in THING_IDS:
            x1, y1, x2, y2, area = found[code]
            annotations.append(dict(
                category_id=label_id, area=area, iscrowd=int(code < 1000),
                bbox=[x1, y1, x2 - x1 + 1, y2 - y1 + 1]))
    return annotations


def random_instances(seed, height=23, width=31):
    """Rectangles over one another, then specks of every code."""
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
    # The end of a row and the start of the next, side by side in memory.
    seam = nothing.copy()
    seam[1, 5] = seam[2, 0] = 28001
    column = np.full((5, 1), 31000, np.uint16)
    return [whole, nothing, corners, last, seam, column]


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
            [code for code in np.unique(instances)
             if (code // 1000 if code >= 1000 else code) in THING_IDS],
            boxes_from_instances(instances), strict=True):
        mask = np.asfortranarray(instances == code, dtype=np.uint8)
        encoded = mask_utils.encode(mask)
        assert each['bbox'] == mask_utils.toBbox(encoded).tolist()
        assert each['area'] == mask_utils.area(encoded)


@pytest.mark.skipif(not CONVERTER.exists(),
                    reason='this mmdet comes without its tools')
def test_boxes_equal_the_converter_of_mmdet(tmp_path):
    spec = importlib.util.spec_from_file_location('converter', CONVERTER)
    converter = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(converter)
    for instances in MAPS:
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


def write_image(root, clear, instances, betas=(0.02, )):
    """Write a clear image, its labels and its foggy versions."""
    image = np.zeros((*instances.shape, 3), np.uint8)
    for path, content in [(clear, image), (label_path(clear), instances), *(
            (foggy_path(clear, beta), image) for beta in betas)]:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / path), content)


@pytest.fixture
def root(tmp_path):
    """Three training images, one of them empty, and a validation image."""
    root = tmp_path / 'cityscapes'
    maps = dict(zip('abcd', (random_instances(seed) for seed in (1, 2, 3, 4)),
                    strict=True))
    maps['b'] = np.full((23, 31), 7, np.uint16)
    for split, city, name in (('train', 'zurich', 'a'),
                              ('train', 'aachen', 'b'),
                              ('train', 'aachen', 'c'),
                              ('val', 'munster', 'd')):
        write_image(root, f'leftImg8bit/{split}/{city}/{city}_{name}'
                    '_leftImg8bit.png', maps[name])
    return root


def read(root, name):
    return json.loads((root / 'annotations' / name).read_text())


def files_of(root):
    return {path: path.read_bytes() for path in root.rglob('*')
            if path.is_file()}


def test_file_of_a_split(root):
    prepare(root, workers=1)
    content = read(root, 'instances_train.json')
    assert [image['file_name'] for image in content['images']] == [
        'leftImg8bit/train/aachen/aachen_b_leftImg8bit.png',
        'leftImg8bit/train/aachen/aachen_c_leftImg8bit.png',
        'leftImg8bit/train/zurich/zurich_a_leftImg8bit.png']
    assert [image['id'] for image in content['images']] == [0, 1, 2]
    assert all((image['height'], image['width']) == (23, 31)
               for image in content['images'])
    assert [each['name'] for each in content['categories']] == [
        'person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle',
        'bicycle']
    assert [each['id'] for each in content['categories']] == list(THING_IDS)


def test_annotations_belong_to_their_image(root):
    prepare(root, workers=1)
    annotations = read(root, 'instances_train.json')['annotations']
    for image_id, seed in ((1, 3), (2, 1)):
        mine = [{key: each[key] for key in ('category_id', 'area', 'iscrowd',
                                            'bbox')}
                for each in annotations if each['image_id'] == image_id]
        assert mine == brute_force(random_instances(seed))
    # pycocotools takes a detection matched to id 0 for a false positive.
    assert [each['id'] for each in annotations] == list(
        range(1, len(annotations) + 1))


def test_images_without_objects_are_kept(root):
    summary = prepare(root, workers=1)[0]
    assert (summary.images, summary.empty) == (3, 1)
    content = read(root, 'instances_train.json')
    assert 0 not in {each['image_id'] for each in content['annotations']}
    assert len(content['images']) == 3


def test_a_split_without_any_box(tmp_path):
    for split in ('train', 'val'):
        write_image(tmp_path, f'leftImg8bit/{split}/x/x_leftImg8bit.png',
                    np.full((4, 4), 7, np.uint16))
    prepare(tmp_path, workers=1)
    assert read(tmp_path, 'instances_val.json')['annotations'] == []


def test_foggy_files_differ_only_in_their_images(root):
    prepare(root, workers=1)
    clear = read(root, 'instances_train.json')
    foggy = read(root, 'instances_train_foggy_beta_0.02.json')
    assert foggy['annotations'] == clear['annotations']
    assert foggy['images'][2] == dict(
        clear['images'][2],
        file_name='leftImg8bit_foggy/train/zurich/'
        'zurich_a_leftImg8bit_foggy_beta_0.02.png')


def test_a_root_without_fog_gives_two_files(root):
    for path in root.glob('leftImg8bit_foggy/*/*/*'):
        path.unlink()
    for folder in sorted(root.glob('leftImg8bit_foggy/**/'), reverse=True):
        folder.rmdir()
    names = [each.path.name for each in prepare(root, workers=1)]
    assert names == ['instances_train.json', 'instances_val.json']
    with pytest.raises(DataError, match='has no leftImg8bit_foggy'):
        prepare(root, betas=[0.02], workers=1)


def test_files_load_in_pycocotools(root):
    prepare(root, workers=1)
    coco = COCO(str(root / 'annotations/instances_train.json'))
    assert sorted(coco.getCatIds()) == list(THING_IDS)
    assert len(coco.getImgIds()) == 3
    assert len(coco.getAnnIds(iscrowd=True)) > 0


def test_files_do_not_depend_on_workers(root, tmp_path):
    prepare(root, tmp_path / 'one', workers=1)
    prepare(root, tmp_path / 'two', workers=2)
    one, two = (sorted((path.name, content) for path, content in
                       files_of(tmp_path / name).items())
                for name in ('one', 'two'))
    assert one == two and len(one) == 4


# --- Running again ---------------------------------------------------------


def test_equal_files_are_up_to_date(root):
    first = prepare(root, workers=1)
    stamps = [each.path.stat().st_mtime_ns for each in first]
    again = prepare(root, workers=1)
    assert [each.is_new for each in first] == [True] * 4
    assert [each.is_new for each in again] == [False] * 4
    assert stamps == [each.path.stat().st_mtime_ns for each in again]


def test_files_that_differ_are_kept_unless_overwritten(root):
    prepare(root, workers=1)
    expected = files_of(root)
    lost = root / 'annotations/instances_train.json'
    mine = root / 'annotations/instances_val.json'
    lost.unlink()
    mine.write_text('{"mine": 1}')
    with pytest.raises(DataError, match='instances_val.json exists and '
                       'differs: pass --overwrite'):
        prepare(root, workers=1)
    # Not even the file that could be written was.
    assert mine.read_text() == '{"mine": 1}' and not lost.exists()
    prepare(root, workers=1, overwrite=True)
    assert files_of(root) == expected


def test_summary_table(root):
    lines = []
    summaries = prepare(root, workers=1)
    format_summaries(summaries, lines.append)
    assert len(lines) == 5
    assert lines[0].split() == [
        'file', 'images', 'empty', 'person', 'rider', 'car', 'truck', 'bus',
        'train', 'motorcycle', 'bicycle', 'boxes', 'state']
    for line, each in zip(lines[1:], summaries, strict=True):
        cells = line.split()
        content = json.loads(each.path.read_text())
        boxes = [one for one in content['annotations'] if not one['iscrowd']]
        counts = [sum(one['category_id'] == thing for one in boxes)
                  for thing in THING_IDS]
        assert cells == [each.path.name, str(len(content['images'])),
                         str(each.empty), *map(str, counts), str(len(boxes)),
                         'written']


# --- Mini City and the real numbers ----------------------------------------


@pytest.fixture
def mini(tmp_path):
    root = tmp_path / 'mini'
    write_mini_city(root, MiniCity(2, 2, 64, 128), 1, say=lambda text: None)
    return root


def test_mini_city_gives_a_file_for_each_fog_and_one_for_all(mini):
    summaries = prepare(mini, betas=[0.005, 0.01, 0.02], workers=1)
    assert [each.path.name for each in summaries[5:]] == [
        'instances_val.json', 'instances_val_foggy_beta_0.005.json',
        'instances_val_foggy_beta_0.01.json',
        'instances_val_foggy_beta_0.02.json', 'instances_val_foggy_all.json']
    assert [each.images for each in summaries[5:]] == [2, 2, 2, 2, 6]
    for summary in summaries:
        content = json.loads(summary.path.read_text())
        for image in content['images']:
            assert (mini / image['file_name']).exists()
        assert len({each['id'] for each in content['annotations']}) == len(
            content['annotations']) > 0
    manifest = json.loads((mini / MANIFEST).read_text())
    assert +summaries[0].boxes == manifest['splits']['train']['objects']


def test_mini_city_with_a_lost_scene_is_noticed(mini):
    for kind in ('image', 'instances'):
        (mini / scene_paths('val', 1)[kind]).unlink()
    with pytest.raises(DataError, match='1 images in val, but its '
                       f'{MANIFEST} says 2'):
        prepare(mini, workers=1)
    assert not (mini / 'annotations').exists()


def test_mini_city_with_another_label_is_noticed(mini):
    path = str(mini / scene_paths('val', 0)['instances'])
    instances = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    instances[:9, :9] = 26999
    cv2.imwrite(path, instances)
    with pytest.raises(DataError, match='boxes of car in val'):
        prepare(mini, workers=1)


def test_unfinished_mini_city_is_refused(mini):
    (mini / MANIFEST).rename(mini / 'mini_city.unfinished.json')
    with pytest.raises(DataError, match='is not complete: run tools'):
        prepare(mini, workers=1)


def test_incomplete_cityscapes_is_refused(root, monkeypatch):
    monkeypatch.setattr(cityscapes_to_coco, 'REAL_IF_MORE_THAN', 2)
    with pytest.raises(DataError, match='leftImg8bit/train holds 3 images, '
                       'but Cityscapes has 2975'):
        prepare(root, workers=1)
    monkeypatch.setattr(cityscapes_to_coco, 'REAL_IMAGES',
                        dict(train=3, val=1))
    assert len(prepare(root, workers=1)) == 4


# --- Bad input -------------------------------------------------------------

IMAGE = 'leftImg8bit/train/aachen/aachen_c_leftImg8bit.png'
LABELS = 'gtFine/train/aachen/aachen_c_gtFine_instanceIds.png'
FOGGY = ('leftImg8bit_foggy/train/aachen/'
         'aachen_c_leftImg8bit_foggy_beta_0.02.png')


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


@pytest.mark.parametrize('harm, path, message', [
    (remove, LABELS, 'has no label file'),
    (empty, LABELS, 'not a readable instance map'),
    (cut, LABELS, 'not a readable instance map'),
    (replace_by_text, LABELS, 'not a readable instance map'),
    (colour, LABELS, 'not a readable instance map'),
    (invent_label, LABELS, 'label id 45'),
    (shrink, LABELS, 'has 23 x 31 px, but its label file 22 x 31'),
    (empty, IMAGE, 'not a whole PNG'),
    (cut, IMAGE, 'not a whole PNG'),
    (replace_by_text, IMAGE, 'not a whole PNG'),
    (shrink, IMAGE, 'has 22 x 31 px, but its label file 23 x 31'),
    (remove, FOGGY, 'is missing'),
    (cut, FOGGY, 'not a whole PNG'),
    (shrink, FOGGY, 'has 22 x 31 px')])
@pytest.mark.parametrize('workers', [1, 2])
def test_bad_files_are_named_and_nothing_is_written(
        root, harm, path, message, workers):
    harm(root / path)
    with pytest.raises(DataError) as error:
        prepare(root, workers=workers)
    text = str(error.value)
    assert message in text and 'aachen_c' in text and 'unpack' in text
    assert '\n' not in text
    assert not (root / 'annotations').exists()


@pytest.mark.parametrize('change, message', [
    (lambda root: root / 'nowhere', 'nowhere does not exist'),
    (lambda root: root / IMAGE, 'does not exist'),
    (lambda root: (root / 'gtFine').rename(root / 'gt').parent,
     'has no gtFine/train: unpack gtFine_trainvaltest.zip'),
    (lambda root: (root / 'leftImg8bit/val').rename(root / 'v').parent,
     'has no leftImg8bit/val: unpack leftImg8bit_trainvaltest.zip'),
    (lambda root: [path.unlink() for path in root.glob(
        'leftImg8bit/val/*/*')] and root, 'val holds no image')])
def test_bad_roots_end_the_command_with_a_sentence(
        root, change, message, monkeypatch, capsys):
    tool = runpy.run_path(str(REPOSITORY / 'tools/prepare/cityscapes.py'))
    monkeypatch.setattr(sys, 'argv', ['cityscapes.py', str(change(root)),
                                      '--out', str(root / 'out')])
    assert tool['main']() == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith('error: ')
    assert message in captured.err and 'Traceback' not in captured.err
    assert captured.out == '' and not (root / 'out').exists()


@pytest.mark.parametrize('arguments, message', [
    (dict(betas=[0.03]), 'beta 0.03 is not a level of Foggy Cityscapes'),
    (dict(workers=0), 'workers must be at least 1, but got 0')])
def test_bad_arguments_are_refused(root, arguments, message):
    with pytest.raises(DataError, match=message):
        prepare(root, **arguments)


@pytest.mark.parametrize('beta, files', [
    ([], 4), (['--beta', '0.01'], 4), (['--beta', '0.005', '0.02'], 6),
    (['--beta', 'all'], 10)])
def test_command_line_chooses_the_fog(mini, beta, files, monkeypatch,
                                      capsys):
    tool = runpy.run_path(str(REPOSITORY / 'tools/prepare/cityscapes.py'))
    monkeypatch.setattr(sys, 'argv', ['cityscapes.py', str(mini),
                                      '--workers', '1', *beta])
    assert tool['main']() == 0
    assert capsys.readouterr().out.count(' written') == files
    assert len(list((mini / 'annotations').iterdir())) == files
