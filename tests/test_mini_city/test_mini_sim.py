import hashlib
import json
from collections import Counter
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from cityscapesscripts.helpers.labels import id2label, name2label

from mmdet_ifan.mini_city import MiniCity, MiniSim, settings, write_mini_city
from mmdet_ifan.mini_city.city import instance_ids
from mmdet_ifan.mini_city.geometry import Camera, Face, Limb, Part
from mmdet_ifan.mini_city.look import Light, Tiles
from mmdet_ifan.mini_city.render import render
from mmdet_ifan.mini_city.scene import Scene, Sprite, draw_scene
from mmdet_ifan.mini_city.sim import annotation
from mmdet_ifan.mini_city.surroundings import Street, flat
from mmdet_ifan.preparation.stand_in import MANIFEST
from mmdet_ifan.utils.errors import DataError

SMALL = MiniSim(train=3, val=2, height=64, width=128, seed=5)


def mute(message):
    pass


def files_of(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob('*')
        if path.is_file()
    }


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'sim'
    write_mini_city(root, SMALL, workers=1, say=mute)
    return root


# --- The first look stays what it was ----------------------------------------


@pytest.mark.skipif(
    (cv2.__version__, np.__version__) != ('4.14.0', '2.4.6'),
    reason='other releases may round a pixel differently',
)
def test_mini_city_is_byte_for_byte_what_version_1_2_drew():
    assert settings.RENDERER_VERSION == '1.2'
    files = MiniCity(height=64, width=128, seed=5).render('train', 0)
    # The dense fog came later, and changed nothing.
    (dense,) = (path for path in files if path.endswith('_beta_0.05.png'))
    expected = [
        (
            'e1e396ad80445756b72c881ff3dc58bbc5d0cf8041750126eb1fd985d49cb56d',
            sorted(files.keys() - {dense}),
        ),
        (
            '1041719454fefaefeab1fcfef7bd298ab0d9b04102e10e764e5d2891e1d87351',
            sorted(files),
        ),
    ]
    for digest, paths in expected:
        content = b''.join(files[path] for path in paths)
        assert hashlib.sha256(content).hexdigest() == digest


# --- The look ----------------------------------------------------------------


def test_tiles_by_hand():
    tiles = Tiles(2.0, 1.0, joint=0.2, joint_depth=0.5, variation=0.0, staggered=True)
    # In the lower row tiles start at 0, 2, ...; in the next at 1, 3, ...
    across = np.array([0.1, 1.0, 1.1, 1.1, 1.5])
    up = np.array([0.5, 0.1, 0.5, 1.5, 1.5])
    np.testing.assert_array_equal(
        tiles.shade(across, up, np.full(5, 100.0)), [0.5, 0.5, 1.0, 0.5, 1.0]
    )
    # The smaller side is 3 px, so half of the pattern is left; then 2 px.
    assert tiles.shade(across, up, np.full(5, 3.0))[0] == 0.75
    assert tiles.shade(across, up, np.full(5, 2.0))[0] == 1.0


def test_tiles_repeat():
    tiles = Tiles(0.5, 0.25, variation=0.1)
    points = np.random.default_rng(0).uniform(0.01, 0.24, (2, 50))
    shade = tiles.shade(*points, np.full(50, 1e3))
    assert len(set(shade)) == 1  # One tile is of one brightness.
    far = np.full(50, 1e3)
    line = np.arange(50) + 0.25
    across = tiles.shade(line * 0.5, np.zeros(50), far)
    assert len(set(across)) == 8
    np.testing.assert_array_equal(across[:-8], across[8:])


def test_tone_by_hand():
    # Twice as far from their mean, 100, and not below 0.
    look = settings.SIM_LOOK
    factor = look.saturation
    assert look.tone((90.0, 100.0, 110.0)) == pytest.approx(
        (100 - 10 * factor, 100, 100 + 10 * factor)
    )
    assert look.tone((0.0, 0.0, 255.0)) == (0.0, 0.0, 255.0)
    colour = (1.1, 2.2, 3.3)
    assert settings.CITY_LOOK.tone(colour) is colour


def scene_with(look, *sprites, sun=(0.0, 1.0, 0.0)):
    light = Light(np.array(sun), 0.4, 1.0, 0.0, np.full((2, 3), 220.0))
    ground = Sprite('road', 0, [Part([flat((-80, 80), (0.8, 120.0), (120, 120, 120))])])
    return Scene(
        Camera(256, 128, 1.5),
        light,
        Street(-5.0, 5.0, 3.0, None),
        [ground],
        list(sprites),
        look,
    )


def test_shadow_falls_away_from_the_sun():
    # A post of 2 m at (0, 10); the sun is to the left, as high as far.
    post = Sprite(
        'person',
        10.0,
        [
            Part(
                [
                    Limb(
                        np.array([0, up, 10.0 + side]),
                        np.array([0, up, 10.0 + side]),
                        0.05,
                        0.05,
                        (0, 0, 0),
                    )
                    for up in (0.0, 2.0)
                    for side in (-0.3, 0.3)
                ]
            )
        ],
        True,
    )
    sun = (-np.sqrt(0.5), np.sqrt(0.5), 0.0)
    look = settings.SIM_LOOK

    def ground_at(*sprites):
        image = render(
            scene_with(look, *sprites, sun=sun), np.random.default_rng(0)
        ).image
        # f = 281.6: x = -+1 m at 10 m is 28.16 px beside the middle, the
        # ground 1.5 * 28.16 px below the horizon at 55.04.
        return [
            image[97, column].astype(float).mean()
            for column in (round(128 - 28.16), round(128 + 28.16))
        ]

    (left, right), (_, open_ground) = ground_at(post), ground_at()
    assert left > 0.8 * open_ground
    assert right < 0.65 * open_ground


def test_tiles_lie_still_in_the_world():
    """The joints of a wall across the street are where the pinhole says."""
    look = settings.SIM_LOOK
    wall = Face(
        np.array([(-4.0, -1, 5), (4, -1, 5), (4, 4, 5), (-4, 4, 5)]),
        (150, 150, 150),
        np.array([0.0, 0.0, -1.0]),
    )
    sprite = Sprite('building', 5.0, [Part([wall])])
    image = render(scene_with(look, sprite), np.random.default_rng(0)).image
    tiles = look.tiles['building']
    # The wall's height at each row: at 5 m, 56.32 px a metre.
    heights = 1.5 - (np.arange(90) + 0.5 - 55.04) / 56.32
    above_joint = heights % tiles.height
    brightness = image[:90].mean(axis=(1, 2))
    # Rows at the edge of a joint are half and half.
    dark = brightness < 0.76 * brightness.max()
    bright = brightness > 0.88 * brightness.max()
    assert dark.sum() >= 15 and bright.sum() >= 60
    assert (above_joint[dark] < tiles.joint).all()
    assert (above_joint[bright] > tiles.joint).all()


@pytest.fixture(scope='module')
def looks():
    """Saturation and labels of a dozen scenes with each look."""
    figures = {}
    for look in (settings.CITY_LOOK, settings.SIM_LOOK):
        saturation, labels = [], Counter()
        for index in range(12):
            rng = np.random.default_rng([0, 2, index])
            result = render(draw_scene(rng, 64, 128, look), rng)
            hsv = cv2.cvtColor(result.image, cv2.COLOR_BGR2HSV)
            saturation.append(hsv[..., 1].mean())
            labels.update(
                label
                for label, is_object in zip(
                    result.labels, result.instances, strict=True
                )
                if is_object
            )
        figures[look is settings.SIM_LOOK] = np.mean(saturation), labels
    return figures


def test_the_game_is_more_saturated_and_full_of_cars(looks):
    (pale, few), (vivid, many) = looks[False], looks[True]
    assert vivid > 1.4 * pale
    assert many['car'] / many.total() > 0.35 > few['car'] / few.total()


# --- Files -------------------------------------------------------------------


def test_layout(rendered):
    expected = {MANIFEST, 'README.txt'}
    for split, count in (('train', 3), ('val', 2)):
        stems = [f'{split}_00000{index}' for index in range(count)]
        lines = rendered / f'VOC2012/ImageSets/Main/{split}.txt'
        assert lines.read_text().split() == stems
        expected |= {lines.relative_to(rendered).as_posix()}
        for stem in stems:
            expected |= {
                f'VOC2012/JPEGImages/{stem}.jpg',
                f'VOC2012/Annotations/{stem}.xml',
            }
    assert set(files_of(rendered)) == expected
    readme = (rendered / 'README.txt').read_text()
    assert 'rendered stand-in, not SIM10K' in readme
    assert '3 training and 2 validation scenes of 64 x 128 px' in readme


def test_boxes_are_those_of_the_masks(rendered):
    """Oracle: the pixels of each object, one object after the other."""
    names = dict(car='car', motorcycle='motorbike', person='person', rider='person')
    found = 0
    for split, stream, index in (('train', 2, 1), ('val', 3, 0)):
        rng = np.random.default_rng([SMALL.seed, stream, index])
        result = render(draw_scene(rng, 64, 128, settings.SIM_LOOK), rng)
        ids = instance_ids(result)
        expected = []
        for code in np.unique(ids[ids >= 1000]):
            name = names.get(id2label[code // 1000].name)
            rows, columns = np.nonzero(ids == code)
            box = (columns.min() + 1, rows.min() + 1, columns.max() + 1, rows.max() + 1)
            if name and box[0] < box[2] and box[1] < box[3]:
                expected.append((name, *map(int, box)))
        stem = f'{split}_{index:06d}'
        root = ElementTree.parse(rendered / f'VOC2012/Annotations/{stem}.xml').getroot()
        assert [
            (
                entry.findtext('name'),
                *(
                    int(entry.findtext(f'bndbox/{side}'))
                    for side in ('xmin', 'ymin', 'xmax', 'ymax')
                ),
            )
            for entry in root.iter('object')
        ] == expected
        assert root.findtext('filename') == f'{stem}.jpg'
        assert [
            root.findtext(f'size/{side}') for side in ('width', 'height', 'depth')
        ] == ['128', '64', '3']
        image = cv2.imread(str(rendered / f'VOC2012/JPEGImages/{stem}.jpg'))
        assert image.shape == (64, 128, 3)
        error = np.abs(image.astype(float) - result.image)
        assert error.mean() < 6  # JPEG.
        found += len(expected)
    assert found >= 3


def test_annotation_by_hand():
    ids = np.full((10, 20), name2label['road'].id, np.uint16)
    ids[2:5, 3:9] = 26000  # car
    ids[0:2, 15:20] = 32001  # motorcycle, at two borders
    ids[7:9, 1:3] = 25000  # rider
    ids[6:9, 12] = 24000  # person, one pixel wide
    ids[8:10, 8:12] = 28000  # bus
    root = annotation(ids, 'a.jpg')
    assert [
        [
            entry.findtext(key)
            for key in (
                'name',
                'truncated',
                'difficult',
                'bndbox/xmin',
                'bndbox/ymin',
                'bndbox/xmax',
                'bndbox/ymax',
            )
        ]
        for entry in root.iter('object')
    ] == [
        ['person', '0', '0', '2', '8', '3', '9'],
        ['car', '0', '0', '4', '3', '9', '5'],
        ['motorbike', '1', '0', '16', '1', '20', '2'],
    ]


def test_manifest_counts_what_is_on_disk(rendered):
    manifest = json.loads((rendered / MANIFEST).read_text())
    assert manifest['renderer_version'] == (
        f'{settings.RENDERER_VERSION}-sim-{settings.SIM_VERSION}'
    )
    for split, count in (('train', 3), ('val', 2)):
        objects, empty = Counter(), 0
        for path in rendered.glob(f'VOC2012/Annotations/{split}_*.xml'):
            names = [
                entry.findtext('name')
                for entry in ElementTree.parse(path).iter('object')
            ]
            objects.update(
                'motorcycle' if name == 'motorbike' else name for name in names
            )
            empty += not names
        assert manifest['splits'][split] == dict(
            images=count, empty=empty, objects=dict(objects)
        )


def test_no_scene_is_in_two_splits_or_sets():
    streams = [*MiniCity.STREAMS.values(), *MiniSim.STREAMS.values()]
    assert len(set(streams)) == 4


# --- Running again -----------------------------------------------------------


def test_files_depend_neither_on_workers_nor_on_an_interruption(
    rendered, tmp_path, monkeypatch
):
    original, calls = MiniSim.render, []

    def interrupted(self, split, index):
        calls.append((split, index))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, split, index)

    monkeypatch.setattr(MiniSim, 'render', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_mini_city(tmp_path, SMALL, workers=1, say=mute)
    assert not (tmp_path / MANIFEST).exists()
    write_mini_city(tmp_path, SMALL, workers=2, say=mute)
    assert files_of(tmp_path) == files_of(rendered)
    messages = []
    assert not write_mini_city(tmp_path, SMALL, 1, say=messages.append)
    assert 'is up to date: 3 + 2 scenes, seed 5' in messages[0]


def test_sim10k_is_never_touched(tmp_path):
    precious = tmp_path / 'VOC2012/JPEGImages/3384645.jpg'
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b'real')
    for kind, name in ((MiniSim, 'Mini Sim'), (MiniCity, 'Mini City')):
        with pytest.raises(DataError, match=f'so it is not a {name}'):
            write_mini_city(tmp_path, kind(), 1, overwrite=True, say=mute)
    assert files_of(tmp_path) == {'VOC2012/JPEGImages/3384645.jpg': b'real'}


def test_damaged_annotation_is_named(tmp_path):
    city = MiniSim(train=1, val=1, height=32, width=64)
    write_mini_city(tmp_path, city, workers=1, say=mute)
    (tmp_path / 'VOC2012/Annotations/val_000000.xml').write_text('<annot')
    (tmp_path / 'VOC2012/JPEGImages/train_000000.jpg').unlink()
    with pytest.raises(DataError, match='val_000000.xml is damaged'):
        write_mini_city(tmp_path, city, workers=1, say=mute)
