import json
import os
import runpy
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from cityscapesscripts.helpers.labels import id2label, name2label

from mmdet_ifan.mini_city import MiniCity, settings, write_mini_city
from mmdet_ifan.mini_city.city import disparity, instance_ids
from mmdet_ifan.mini_city.geometry import (
    NEAR,
    Camera,
    Face,
    Limb,
    Part,
    cut_near,
    place,
    plane_depth,
)
from mmdet_ifan.mini_city.look import Light
from mmdet_ifan.mini_city.render import render
from mmdet_ifan.mini_city.scene import Scene, Sprite, draw_scene
from mmdet_ifan.mini_city.surroundings import Street
from mmdet_ifan.preparation.fog import BETAS, add_fog, transmission
from mmdet_ifan.preparation.stand_in import MANIFEST
from mmdet_ifan.utils import files as disk
from mmdet_ifan.utils.errors import DataError

SMALL = MiniCity(train=4, val=3, height=64, width=128, seed=5)
THINGS = ('person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')
REPOSITORY = Path(__file__).parents[2]


def files_of(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob('*')
        if path.is_file()
    }


def decode(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def mute(message):
    pass


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'mini'
    write_mini_city(root, SMALL, workers=1, say=mute)
    return root


@pytest.fixture(scope='module')
def drawn():
    """Forty scenes at the default size, painted."""
    scenes = []
    for index in range(40):
        rng = np.random.default_rng([0, 0, index])
        scenes.append(render(draw_scene(rng, 128, 256), rng))
    return scenes


# --- Chance ----------------------------------------------------------------


def test_equal_arguments_give_equal_files():
    assert SMALL.render('val', 2) == SMALL.render('val', 2)


def test_seed_split_and_index_each_change_the_image():
    other_seed = MiniCity(train=4, val=3, height=64, width=128, seed=6)
    images = [
        city.render(split, index)[city.paths(split, index)['image']]
        for city, split, index in (
            (SMALL, 'train', 0),
            (SMALL, 'train', 1),
            (SMALL, 'val', 0),
            (other_seed, 'train', 0),
        )
    ]
    assert len(set(images)) == 4


def test_files_depend_neither_on_workers_nor_on_how_many_scenes(rendered, tmp_path):
    more = MiniCity(train=6, val=3, height=64, width=128, seed=5)
    write_mini_city(tmp_path, more, workers=2, say=mute)
    one, two = files_of(rendered), files_of(tmp_path)
    for name in set(one) - {MANIFEST, 'README.txt'}:
        assert one[name] == two[name], name


def test_twice_the_resolution_is_the_same_scene():
    boxes = []
    for factor in (1, 2):
        rng = np.random.default_rng(3)
        scene = draw_scene(rng, 128 * factor, 256 * factor)
        result = render(scene, rng)
        found = {}
        for i, is_object in enumerate(result.instances):
            rows, columns = np.nonzero(result.index == i)
            if is_object:
                found[i] = np.array(
                    [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                )
        boxes.append(found)
    assert len(boxes[0]) >= 3
    for i, box in boxes[0].items():
        assert np.abs(2 * box - boxes[1][i]).max() <= 3


# --- Geometry --------------------------------------------------------------


def test_camera_projects_by_hand():
    camera = Camera(200, 100, elevation=1.5)
    # f = 1.1 * 200 = 220, principal point (100, 43).
    points = np.array([(0.0, 1.5, 7.0), (2.0, 0.5, 11.0)])
    np.testing.assert_allclose(camera.project(points), [(100, 43), (100 + 40, 43 + 20)])


def test_ground_depth_by_hand():
    depth = Camera(200, 100, elevation=1.5).ground_depth()
    # Row 65 is centred 22.5 px below the horizon: 220 * 1.5 / 22.5.
    np.testing.assert_allclose(depth[65], 330 / 22.5, rtol=1e-6)
    assert (depth[:43] == settings.SKY_DEPTH).all()


@pytest.mark.parametrize(
    'yaw, forward, left',
    [
        (0.0, (5, 0, 11), (4, 0, 10)),
        (np.pi, (5, 0, 9), (6, 0, 10)),
        (np.pi / 2, (6, 0, 10), (5, 0, 11)),
    ],
)
def test_place_turns_by_yaw(yaw, forward, left):
    points = place(np.array([(1.0, 0, 0), (0, 1.0, 0)]), 5.0, 10.0, yaw)
    np.testing.assert_allclose(points, [forward, left], atol=1e-12)


def test_cut_near_keeps_what_is_in_front():
    triangle = np.array(
        [(0, 0, NEAR - 1), (0, 0, NEAR + 1), (2, 0, NEAR + 1)], dtype=float
    )
    kept = cut_near(triangle)
    np.testing.assert_allclose(
        kept, [(1, 0, NEAR), (0, 0, NEAR), (0, 0, NEAR + 1), (2, 0, NEAR + 1)]
    )
    assert len(cut_near(triangle - [0, 0, 5])) == 0


def test_plane_depth_is_where_the_ray_meets_the_wall():
    camera = Camera(200, 100, elevation=1.5)
    wall = np.array([(3, 0, 5), (3, 0, 50), (3, 4, 50), (3, 4, 5)], float)
    columns = np.array([120.0, 150.0])
    depth = plane_depth(wall, camera, columns, np.array([43.0, 60.0]))
    # x = 3 = depth * (u - 100) / 220.
    np.testing.assert_allclose(depth, [[33, 13.2], [33, 13.2]])


# --- Painting --------------------------------------------------------------


def screen(label, x, z, height=2.0, is_object=True):
    """An upright screen, x[0] to x[1] wide, facing the camera."""
    points = np.array(
        [(x[0], 0, z), (x[1], 0, z), (x[1], height, z), (x[0], height, z)], dtype=float
    )
    face = Face(points, (10, 20, 200), np.array([0.0, 0.0, -1.0]))
    return Sprite(label, z, [Part([face])], is_object)


def paint(*sprites):
    light = Light(np.array([0.0, 1.0, 0.0]), 0.8, 1.0, 0.0, np.full((2, 3), 220.0))
    scene = Scene(
        Camera(256, 128, 1.5),
        light,
        Street(-5.0, 5.0, 3.0, None),
        [],
        sorted(sprites, key=lambda sprite: -sprite.distance),
    )
    return render(scene, np.random.default_rng(0))


def test_screen_covers_the_pixels_the_pinhole_says():
    result = paint(screen('car', (-1, 1), 10.0))
    rows, columns = np.nonzero(result.index == 1)
    # f = 281.6: columns 128 -+ 28.16, rows 55.04 - 28.16 * (2 - 1.5) and
    # 55.04 + 28.16 * 1.5.
    assert abs(columns.min() - 99.84) < 1
    assert abs(columns.max() + 1 - 156.16) < 1
    assert abs(rows.min() - 40.96) < 1
    assert abs(rows.max() + 1 - 97.28) < 1
    np.testing.assert_allclose(result.depth[result.index == 1], 10.0)


def test_screen_is_painted_where_the_pinhole_says():
    image = paint(screen('car', (-1, 1), 10.0)).image.astype(float)
    red = np.maximum(image[..., 2] - image[..., 0] - 40, 0)  # Not the sky.
    assert red.max() > 80
    rows, columns = np.mgrid[:128, :256] + 0.5
    # The middle of 40.96 to 97.28, and of 99.84 to 156.16.
    assert (red * rows).sum() / red.sum() == pytest.approx(69.12, abs=0.3)
    assert (red * columns).sum() / red.sum() == pytest.approx(128, abs=0.3)


def test_nearer_things_hide_farther_ones():
    result = paint(screen('car', (-1, 1), 20.0), screen('bus', (0, 1), 10.0))
    assert result.labels == ['sky', 'car', 'bus']
    assert result.index[56, 130] == 2 and result.depth[56, 130] == 10.0
    assert result.index[56, 120] == 1 and result.depth[56, 120] == 20.0


def test_faces_that_look_away_are_not_painted():
    sprite = screen('car', (-1, 1), 10.0)
    sprite.parts[0].primitives[0].outward = np.array([0.0, 0.0, 1.0])
    assert not (paint(sprite).index == 1).any()


def test_ball_is_as_large_as_the_pinhole_says():
    ball = Limb(
        np.array([0, 1.5, 10.0]), np.array([0, 1.5, 10.0]), 0.5, 0.5, (200, 20, 20)
    )
    result = paint(Sprite('person', 10.0, [Part([ball])], True))
    expected = np.pi * (0.5 * 28.16) ** 2
    assert (result.index == 1).sum() == pytest.approx(expected, rel=0.06)


def test_objects_of_a_label_are_numbered_apart():
    result = paint(
        screen('car', (-3, -1), 20.0),
        screen('bus', (-1, 1), 20.0),
        screen('car', (1, 3), 10.0),
        screen('building', (-9, 9), 30.0, is_object=False),
    )
    ids = instance_ids(result)
    assert ids[56, 110] == 26000 and ids[56, 180] == 26001
    assert ids[56, 128] == 28000 and ids[56, 45] == 11
    assert set(np.unique(ids)) == {11, 23, 26000, 26001, 28000}


def test_hidden_objects_become_static():
    result = paint(screen('car', (-1, 1), 20.0), screen('bus', (-0.49, 2), 10.0))
    assert result.labels == ['sky', 'static', 'bus']
    assert result.instances == [False, False, True]
    ids = set(np.unique(instance_ids(result)))
    assert ids == {
        name2label['sky'].id,
        name2label['static'].id,
        name2label['bus'].id * 1000,
    }


@pytest.mark.slow
def test_every_category_occurs_often(drawn):
    counts = Counter(
        label
        for scene in drawn
        for label, is_object in zip(scene.labels, scene.instances, strict=True)
        if is_object
    )
    assert set(counts) == set(THINGS)
    assert min(counts.values()) >= 0.06 * sum(counts.values())


@pytest.mark.slow
def test_every_rider_has_a_vehicle(drawn):
    for scene in drawn:
        # Also hidden ones: they are next to each other in the order.
        for i, label in enumerate(scene.labels):
            if label == 'rider':
                assert scene.labels[i - 1] in ('bicycle', 'motorcycle', 'static')


def test_objects_are_large_enough_to_be_found(drawn):
    for scene in drawn:
        for i, is_object in enumerate(scene.instances):
            if is_object:
                rows, columns = np.nonzero(scene.index == i)
                longer = max(np.ptp(rows), np.ptp(columns)) + 1
                assert longer >= settings.MIN_SIDE_PX


def test_depth_of_objects_is_in_the_asked_range(drawn):
    low = min(near for near, _ in settings.DISTANCES.values())
    for scene in drawn:
        for i, is_object in enumerate(scene.instances):
            if is_object:
                middle = np.median(scene.depth[scene.index == i])
                # A bicycle's label covers what is visible through it; a
                # vehicle's near end is nearer than its centre.
                assert 0.4 * low < middle < 125


# --- Fog -------------------------------------------------------------------


def test_fog_by_hand():
    depth = np.array([[0.0, 50.0, 100.0]])
    np.testing.assert_allclose(
        transmission(depth, 0.02), [[1.0, 0.36788, 0.13534]], atol=1e-5
    )
    image = np.full((1, 3, 3), 100.0)
    foggy = add_fog(image, depth, 0.02, np.array([200.0, 210.0, 220.0]))
    np.testing.assert_allclose(foggy[0, 0], 100.0)
    # 100 * t + A * (1 - t)
    np.testing.assert_allclose(foggy[0, 1], [163.212, 169.533, 175.854], atol=1e-3)
    np.testing.assert_allclose(foggy[0, 2], [186.466, 195.113, 203.760], atol=1e-3)


@pytest.mark.parametrize('beta', BETAS)
def test_foggy_files_follow_from_the_other_files(beta):
    city = MiniCity(height=128, width=256, seed=1)
    paths = city.paths('train', 0)
    files = city.render('train', 0)
    camera = json.loads(files[paths['camera']])
    stored = decode(files[paths['disparity']]).astype(float)
    pixels = (stored - 1) / 256
    depth = (
        camera['extrinsic']['baseline']
        * camera['intrinsic']['fx']
        / np.maximum(pixels, 1e-9)
    )
    arriving = np.exp(-beta * depth)[..., None]
    clear = decode(files[paths['image']]).astype(float)
    foggy = decode(files[paths[f'foggy_{beta}']]).astype(float)
    # Where the model holds, the airlight is the same at every pixel.
    airlight = (foggy - clear * arriving) / (1 - arriving)
    dense = arriving[..., 0] < 0.9
    tone = np.median(airlight[dense], axis=0)
    low, high = settings.AIRLIGHT
    assert (tone > low - 5).all() and (tone < high + 5).all()
    predicted = clear * arriving + tone * (1 - arriving)
    error = (foggy - predicted)[dense]
    assert np.abs(error.mean()) < 0.3
    assert error.std() == pytest.approx(settings.FOG_NOISE, rel=0.15)


# --- Files -----------------------------------------------------------------


def test_layout(rendered):
    names = set(files_of(rendered))
    expected = {MANIFEST, 'README.txt'}
    for split, cities, count in (
        ('train', ('brunnhafen', 'lindmoor'), 4),
        ('val', ('grauwinkel', 'tannrode'), 3),
    ):
        for index in range(count):
            city = cities[index % 2]
            stem = f'{split}/{city}/{city}_00000{index // 2}_000019_'
            expected |= {
                f'leftImg8bit/{stem}leftImg8bit.png',
                f'gtFine/{stem}gtFine_instanceIds.png',
                f'gtFine/{stem}gtFine_polygons.json',
                f'disparity/{stem}disparity.png',
                f'camera/{stem}camera.json',
            }
            expected |= {
                f'leftImg8bit_foggy/{stem}leftImg8bit_foggy_beta_{beta}.png'
                for beta in ('0.005', '0.01', '0.02', '0.05')
            }
    assert names == expected


def test_splits_share_no_city():
    assert not set(settings.CITIES['train']) & set(settings.CITIES['val'])


def test_images_are_8_bit_and_labels_16_bit(rendered):
    for name, content in files_of(rendered).items():
        if name.endswith('.png'):
            image = decode(content)
            labels = name.startswith(('gtFine', 'disparity'))
            assert image.dtype == (np.uint16 if labels else np.uint8)
            assert image.shape == ((64, 128) if labels else (64, 128, 3))


def test_instances_are_numbered_as_in_cityscapes(rendered):
    for path in (rendered / 'gtFine').rglob('*instanceIds.png'):
        codes = np.unique(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        numbers = {}
        for code in map(int, codes):
            if code < 1000:
                assert not id2label[code].hasInstances
            else:
                assert id2label[code // 1000].name in THINGS
                numbers.setdefault(code // 1000, []).append(code % 1000)
        for found in numbers.values():
            assert found == list(range(len(found)))


def test_polygons_painted_over_one_another_give_the_labels(rendered):
    for path in (rendered / 'gtFine').rglob('*polygons.json'):
        content = json.loads(path.read_text())
        painted = np.zeros((content['imgHeight'], content['imgWidth']), np.uint8)
        for each in content['objects']:
            cv2.fillPoly(
                painted, [np.array(each['polygon'])], name2label[each['label']].id
            )
        truth = cv2.imread(str(path).replace('polygons.json', 'instanceIds.png'), -1)
        truth = np.where(truth >= 1000, truth // 1000, truth)
        assert (painted == truth).mean() > 0.93


def test_disparity_by_hand():
    depth = np.array([[10.0, 45.0]])
    # 0.209313 * 281.6 / 10 = 5.89425 px, and 1.30983 px at 45 m.
    np.testing.assert_array_equal(disparity(depth, 281.6), [[1509 + 1, 335 + 1]])
    assert disparity(depth, 281.6).dtype == np.uint16


def test_disparity_of_the_road_fits_the_camera(rendered):
    path = next((rendered / 'camera').rglob('*.json'))
    camera = json.loads(path.read_text())
    assert set(camera['extrinsic']) == {
        'baseline',
        'pitch',
        'roll',
        'x',
        'y',
        'yaw',
        'z',
    }
    fx = camera['intrinsic']['fx']
    name = path.as_posix().replace('_camera.json', '_{}.png')
    pixels = (
        cv2.imread(
            name.format('disparity').replace('/camera/', '/disparity/'), -1
        ).astype(float)
        - 1
    ) / 256
    labels = cv2.imread(
        name.format('gtFine_instanceIds').replace('/camera/', '/gtFine/'), -1
    )
    rows, columns = np.nonzero(labels == name2label['road'].id)
    # A road at a height -z below the camera: disparity / (v - v0) = b / z.
    ratio = pixels[rows, columns] / (rows + 0.5 - camera['intrinsic']['v0'])
    expected = camera['extrinsic']['baseline'] / camera['extrinsic']['z']
    assert fx == pytest.approx(1.1 * 128)
    near = rows > 50
    np.testing.assert_allclose(ratio[near], expected, rtol=0.03)


def test_manifest_counts_what_is_on_disk(rendered):
    manifest = json.loads((rendered / MANIFEST).read_text())
    assert manifest['seed'] == 5
    for split, count in (('train', 4), ('val', 3)):
        objects, empty, images = Counter(), 0, 0
        for path in (rendered / 'gtFine' / split).rglob('*.png'):
            codes = np.unique(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
            codes = codes[codes >= 1000]
            objects.update(id2label[int(c) // 1000].name for c in codes)
            empty += not len(codes)
            images += 1
        assert images == count
        assert manifest['splits'][split] == dict(
            images=images, empty=empty, objects=dict(objects)
        )


def test_readme_says_it_is_a_stand_in(rendered):
    text = (rendered / 'README.txt').read_text()
    assert 'rendered stand-in, not Cityscapes' in text
    assert f'version {settings.RENDERER_VERSION}, seed 5' in text


# --- Running again ---------------------------------------------------------


def no_rendering(*args):
    raise AssertionError('nothing should be rendered')


def test_a_finished_render_is_not_repeated(rendered, monkeypatch):
    messages = []
    monkeypatch.setattr(MiniCity, 'render', no_rendering)
    assert not write_mini_city(rendered, SMALL, 1, say=messages.append)
    assert 'is up to date: 4 + 3 scenes, seed 5' in messages[0]


def test_an_interrupted_render_is_resumed(rendered, tmp_path, monkeypatch):
    original, calls = MiniCity.render, []

    def interrupted(self, split, index):
        calls.append((split, index))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, split, index)

    monkeypatch.setattr(MiniCity, 'render', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_mini_city(tmp_path, SMALL, workers=1, say=mute)
    assert not (tmp_path / MANIFEST).exists()
    write_mini_city(tmp_path, SMALL, workers=1, say=mute)
    assert calls == [
        ('train', 0),
        ('train', 1),
        ('train', 2),  # Cut off.
        ('train', 2),
        ('train', 3),
        ('val', 0),
        ('val', 1),
        ('val', 2),
    ]
    assert files_of(tmp_path) == files_of(rendered)


def test_a_lost_file_is_rendered_again(tmp_path):
    city = MiniCity(train=2, val=1, height=32, width=64)
    write_mini_city(tmp_path, city, workers=1, say=mute)
    before = files_of(tmp_path)
    (tmp_path / city.paths('train', 1)['disparity']).unlink()
    assert write_mini_city(tmp_path, city, workers=1, say=mute)
    assert files_of(tmp_path) == before


def test_other_numbers_are_refused_unless_overwritten(tmp_path):
    first = MiniCity(train=3, val=1, height=32, width=64)
    second = MiniCity(train=1, val=1, height=32, width=64, seed=1)
    write_mini_city(tmp_path / 'a', first, workers=1, say=mute)
    before = files_of(tmp_path / 'a')
    with pytest.raises(
        DataError, match='train 3 instead of 1, seed 0 instead of 1.*--overwrite'
    ):
        write_mini_city(tmp_path / 'a', second, workers=1, say=mute)
    assert files_of(tmp_path / 'a') == before
    stale = tmp_path / 'a/annotations/instances_train.json'
    stale.parent.mkdir()
    stale.write_text('{}')
    write_mini_city(tmp_path / 'a', second, 1, overwrite=True, say=mute)
    write_mini_city(tmp_path / 'b', second, 1, say=mute)
    assert files_of(tmp_path / 'a') == files_of(tmp_path / 'b')


def test_another_renderer_version_counts_as_other_numbers(tmp_path, monkeypatch):
    city = MiniCity(train=1, val=1, height=32, width=64)
    write_mini_city(tmp_path, city, workers=1, say=mute)
    monkeypatch.setattr(MiniCity, 'VERSION', 'next')
    with pytest.raises(DataError, match='renderer_version .* instead of next'):
        write_mini_city(tmp_path, city, workers=1, say=mute)


@pytest.mark.parametrize('overwrite', [False, True])
def test_a_folder_with_other_data_is_never_touched(tmp_path, overwrite):
    precious = tmp_path / 'leftImg8bit/train/aachen/aachen.png'
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b'real')
    with pytest.raises(DataError, match='so it is not a Mini City'):
        write_mini_city(tmp_path, SMALL, 1, overwrite, say=mute)
    assert files_of(tmp_path) == {'leftImg8bit/train/aachen/aachen.png': b'real'}


# --- Bad input -------------------------------------------------------------


@pytest.mark.parametrize(
    'wrong, message',
    [
        (dict(train=0), 'train must be at least 1, but got 0'),
        (dict(val=-3), 'val must be at least 1, but got -3'),
        (dict(height=8), 'height must be at least 32, but got 8'),
        (dict(width=16), 'width must be at least 64, but got 16'),
        (dict(seed=-1), 'seed must be at least 0, but got -1'),
    ],
)
def test_numbers_without_sense_are_refused(wrong, message):
    with pytest.raises(DataError, match=message):
        MiniCity(**wrong)


def test_workers_without_sense_are_refused(tmp_path):
    with pytest.raises(DataError, match='workers must be at least 1'):
        write_mini_city(tmp_path, SMALL, workers=0)


def test_killed_worker_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(MiniCity, 'render', lambda *_: os._exit(1))
    with pytest.raises(DataError, match='A worker process was killed'):
        write_mini_city(tmp_path, SMALL, workers=2)


def test_damaged_manifest_is_named(tmp_path):
    (tmp_path / MANIFEST).write_text('{"seed"')
    with pytest.raises(DataError, match=f'{MANIFEST} is not readable'):
        write_mini_city(tmp_path, SMALL, workers=1)


def test_failed_write_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / 'file.json'
    disk.write_atomically(path, b'old')

    def full(source, target):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(DataError, match='No space left on device.*free'):
        disk.write_atomically(path, b'new')
    assert files_of(tmp_path) == {'file.json': b'old'}


@pytest.mark.parametrize(
    'name, other', [('mini_city', 'mini_sim'), ('mini_sim', 'mini_city')]
)
def test_command_line(name, other, tmp_path, monkeypatch, capsys):
    folder = REPOSITORY / 'tools/prepare'
    monkeypatch.syspath_prepend(str(folder))

    def run(name, *more):
        monkeypatch.setattr(
            sys,
            'argv',
            [
                f'{name}.py',
                '--out',
                str(tmp_path / 'mini'),
                '--train',
                '1',
                '--val',
                '1',
                '--height',
                '32',
                '--width',
                '64',
                '--workers',
                '1',
                *more,
            ],
        )
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(folder / f'{name}.py'), run_name='__main__')
        return stopped.value.code, capsys.readouterr()

    code, said = run(name)
    assert code == 0 and 'Rendered 1 + 1 scenes' in said.out
    code, said = run(name, '--seed', '9')
    assert code == 2
    assert said.err.startswith('error: ')
    assert 'seed 0 instead of 9' in said.err
    code, said = run(other)
    assert code == 2 and 'holds another rendering' in said.err
