import json
import shutil

import cv2
import numpy as np
import pytest
from cityscapesscripts.helpers.labels import name2label

from mmdet_ifan.mini_city import MiniCity, settings, write_mini_city
from mmdet_ifan.mini_city.render import render
from mmdet_ifan.mini_city.scene import draw_scene
from mmdet_ifan.preparation import Options, synthetic_fog
from mmdet_ifan.preparation.cityscapes import prepare_cityscapes
from mmdet_ifan.preparation.cityscapes_files import (
    CAMERA,
    CLEAR,
    DISPARITY,
    FOGGY,
    FOGGY_FOLDER,
    LABELS,
    SPLITS,
    SYNTHETIC_MARKER,
    find_frames,
)
from mmdet_ifan.preparation.fog import depth_from_disparity, estimate_airlight
from mmdet_ifan.preparation.synthetic_fog import make_fog
from mmdet_ifan.utils.errors import DataError

CITY = MiniCity(4, 2, 128, 256, 3)
FRAME = 'train/brunnhafen/brunnhafen_000000_000019'
TESTED = 'val/grauwinkel/grauwinkel_000000_000019'


@pytest.fixture(scope='module')
def official(tmp_path_factory):
    """Mini City, with fog made from the true depth and airlight."""
    root = tmp_path_factory.mktemp('official')
    write_mini_city(root, CITY, 1, say=lambda text: None)
    return root


@pytest.fixture
def root(official, tmp_path):
    """The same without fog."""
    return shutil.copytree(
        official, tmp_path / 'root', ignore=shutil.ignore_patterns(FOGGY_FOLDER)
    )


def make(root, *betas, **options):
    return make_fog(root, Options(**dict(dict(workers=1), **options)), betas or (0.02,))


def read(root, kind, frame):
    return cv2.imread(str(root / kind.path(frame)), cv2.IMREAD_UNCHANGED)


def all_frames(root):
    return [
        frame for split in SPLITS for frame in find_frames(root, split, CLEAR, LABELS)
    ]


def fogs(root):
    return {
        path.name: path.read_bytes() for path in (root / FOGGY_FOLDER).rglob('*.png')
    }


# --- Against the true fog ---------------------------------------------------


def truth(split, index):
    """Depth and airlight of a scene."""
    rng = np.random.default_rng([CITY.seed, settings.SPLITS.index(split), index])
    rendered = render(draw_scene(rng, CITY.height, CITY.width), rng)
    return rendered.depth, rendered.airlight


def punch_holes(stored, sky):
    """Remove the disparities that a stereo matcher cannot measure.

    A pixel of the left image is hidden in the right one if something nearer
    lands on the same column there, and lost if it lands outside.
    """
    holes = sky.copy()
    pixels = (stored.astype(float) - 1) / 256
    width = stored.shape[1]
    for y in range(len(stored)):
        columns = np.arange(width) - pixels[y]
        for x in range(width):
            over = (np.abs(columns - columns[x]) < 0.5) & (pixels[y] > pixels[y, x] + 1)
            holes[y, x] |= columns[x] < 0 or over.any()
    return np.where(holes, 0, stored).astype(np.uint16), holes


def test_holes_are_filled_close_to_the_true_depth(official):
    """Compare the share of light that arrives, which is what matters."""
    camera = json.loads((official / CAMERA.path(FRAME)).read_text())
    baseline = camera['extrinsic']['baseline']
    focal = camera['intrinsic']['fx']
    sky = read(official, LABELS, FRAME) == name2label['sky'].id
    depth, _ = truth('train', 0)
    stored, holes = punch_holes(read(official, DISPARITY, FRAME), sky)
    hidden = holes & ~sky
    assert hidden.mean() > 0.01 and sky.mean() > 0.05
    found = depth_from_disparity(stored, baseline, focal, sky)
    error = np.abs(np.exp(-0.02 * found) - np.exp(-0.02 * depth))
    assert error[hidden].mean() < 0.01
    assert error[sky].max() == 0
    assert error[~holes].mean() < 0.0005


def test_fog_is_close_to_the_true_one(root, official):
    """Use the true airlight, which a clear image does not tell."""
    make(root)
    errors, airlights = [], []
    for frame in all_frames(root):
        split, _, stem = frame.split('/')
        index = sorted(
            (path.name for path in (root / 'camera' / split).rglob('*.json')),
            key=lambda name: (name.split('_')[1], name),
        ).index(f'{stem}_camera.json')
        _, airlight = truth(split, index)
        clear = read(root, CLEAR, frame)
        airlights.append(np.abs(estimate_airlight(clear) - airlight).mean())
        difference = read(root, FOGGY[0.02], frame).astype(float) - read(
            official, FOGGY[0.02], frame
        )
        errors.append(np.abs(difference).mean())
        # Doing nothing would be off by far more.
        nothing = np.abs(
            clear.astype(float) - read(official, FOGGY[0.02], frame)
        ).mean()
        assert errors[-1] < nothing
    assert np.mean(airlights) < 30 and np.mean(errors) < 13


def test_fog_with_the_true_airlight_is_the_true_one(root, official, monkeypatch):
    """The remaining difference is the noise that Mini City adds."""
    _, airlight = truth('train', 0)
    monkeypatch.setattr(synthetic_fog, 'estimate_airlight', lambda image: airlight)
    make(root, 'all', 0.05)
    for beta in FOGGY:
        difference = read(root, FOGGY[beta], FRAME).astype(float) - read(
            official, FOGGY[beta], FRAME
        )
        assert abs(difference.mean()) < 0.3
        assert difference.std() == pytest.approx(settings.FOG_NOISE, rel=0.15)


def test_airlight_is_the_sky_and_not_a_white_car():
    image = np.full((60, 100, 3), 90, np.uint8)
    image[:25] = (210, 205, 200)
    image[40:48, 50:58] = 255  # Smaller than the patch.
    image[::7, 3] = (255, 0, 0)  # Bright in one channel.
    np.testing.assert_array_equal(estimate_airlight(image), [210, 205, 200])


# --- Files ------------------------------------------------------------------


def test_converter_reads_it_and_says_that_it_is_synthetic(root, official):
    make(root, 'all', 0.05)
    assert fogs(root).keys() == fogs(official).keys()
    report = prepare_cityscapes(root, Options(workers=1), ['all'])
    assert len(report.summaries) == 10 and not report.problems.counts
    assert 'not the official Foggy Cityscapes' in report.notes[0]
    report = prepare_cityscapes(official, Options(workers=1, check=False))
    assert not report.notes


def test_files_do_not_depend_on_workers(root):
    make(root)
    one = fogs(root)
    shutil.rmtree(root / FOGGY_FOLDER)
    make(root, workers=3)
    assert fogs(root) == one and len(one) == 6


def test_interrupted_run_is_resumed(root):
    assert make(root, 0.01, 0.02).written == 12
    whole = fogs(root)
    lost, damaged = [
        root / FOGGY[beta].path(frame)
        for beta, frame in ((0.01, FRAME), (0.02, TESTED))
    ]
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-20])
    report = make(root, 0.01, 0.02)
    assert (report.written, report.kept) == (2, 10)
    assert fogs(root) == whole


def test_foggy_folder_without_the_marker_is_never_touched(official):
    before = fogs(official)
    with pytest.raises(DataError, match='may be the official Foggy Citysc'):
        make(official)
    assert fogs(official) == before
    assert not (official / SYNTHETIC_MARKER).exists()


def test_marker_says_what_it_is(root):
    make(root)
    text = (root / SYNTHETIC_MARKER).read_text()
    assert 'NOT the official Foggy Cityscapes' in text
    (root / SYNTHETIC_MARKER).write_text(text.replace('method 1', 'method 0'))
    with pytest.raises(DataError, match='another version'):
        make(root)


# --- Bad input --------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def blank(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), np.zeros_like(image))


def shrink(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), image[:-1])


def no_baseline(path):
    content = json.loads(path.read_text())
    content['extrinsic']['baseline'] = 0
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    'harm, kind, message',
    [
        (lambda path: path.unlink(), CLEAR, 'is missing'),
        (lambda path: path.unlink(), LABELS, 'is missing'),
        (cut, CLEAR, 'is not an intact image'),
        (lambda path: path.unlink(), DISPARITY, 'is missing'),
        (cut, DISPARITY, 'is not an intact image'),
        (shrink, DISPARITY, 'is not a uint16 disparity of 128 x 256 px'),
        (blank, DISPARITY, 'no measurement'),
        (lambda path: path.unlink(), CAMERA, 'is missing or not a camera'),
        (lambda path: path.write_text('{}'), CAMERA, 'is missing or not a camera'),
        (no_baseline, CAMERA, 'has the baseline 0.0 m'),
        (cut, LABELS, 'not a readable instance map'),
        (shrink, LABELS, 'does not have the 128 x 256 px'),
    ],
)
def test_bad_files_are_left_out_and_named(root, harm, kind, message):
    harm(root / kind.path(FRAME))
    report = make(root)
    (sentence, total, *_) = report.lines()
    assert message in sentence and str(root / kind.path(FRAME)) in sentence
    assert 'left out.' in sentence and ': 1.' in total
    assert report.written == 5 and len(fogs(root)) == 5
    with pytest.raises(DataError, match=f'is not complete(.|\n)*{message}'):
        make(root, strict=True)


def test_check(root):
    with pytest.raises(DataError, match='is missing: run the same command'):
        make(root, check=True)
    make(root)
    assert make(root, check=True).kept == 6
    cut(root / FOGGY[0.02].path(FRAME))
    before = fogs(root)
    with pytest.raises(
        DataError, match='brunnhafen_000000_000019.* is missing or damaged: run'
    ):
        make(root, check=True)
    assert fogs(root) == before


def test_roots_without_disparity(root):
    shutil.rmtree(root / 'disparity')
    with pytest.raises(
        DataError, match='disparity/train is missing: unpack disparity_trainvaltest.zip'
    ):
        make(root)
    assert not (root / FOGGY_FOLDER).exists()


def test_command(root, run_tool):
    code, out, _ = run_tool('fog.py', root, '--beta', '0.01', '0.02')
    assert code == 0
    assert out.splitlines()[0] == ('12 foggy images written, 0 were there already.')
    assert 'not the official Foggy Cityscapes' in out
    code, _, err = run_tool('fog.py', root, '--beta', '0.03')
    assert code == 2 and 'error: beta 0.03 is not a level' in err
