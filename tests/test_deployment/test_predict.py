"""Prediction in images, folders and videos."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import DetInferencer
from mmdet.registry import MODELS
from mmengine.config import Config
from processes import run_tool
from pycocotools.coco import COCO

from mmdet_ifan.deployment import export, find_images, load_detector, predict
from mmdet_ifan.utils.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ('person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """A folder with a sub-folder, a damaged image and another file."""
    folder = tmp_path / 'street'
    (folder / 'b').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, size in (('a.png', (64, 96)), ('b/a.png', (48, 64))):
        cv2.imwrite(str(folder / name), rng.integers(0, 256, (*size, 3), np.uint8))
    (folder / 'torn.png').write_bytes(b'\x89PNG\r\n\x1a\nnothing')
    (folder / 'notes.txt').write_text('no image')
    return folder


@pytest.fixture
def ride(tmp_path: Path) -> Path:
    """A video of three frames, black to white."""
    path = tmp_path / 'ride.avi'
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    for value in (0, 128, 255):
        video.write(np.full((48, 64, 3), value, np.uint8))
    video.release()
    return path


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An exported, untrained detector."""
    cfg = Config.fromfile(ROOT / 'configs/ifan/ifan_mini-city.py')
    model = MODELS.build(cfg.model)
    model.init_weights()
    checkpoint = tmp_path / 'iter_1.pth'
    torch.save(
        dict(
            meta=dict(dataset_meta=dict(classes=CLASSES)), state_dict=model.state_dict()
        ),
        checkpoint,
    )
    export(cfg, str(checkpoint), tmp_path / 'detector')
    # For mmdet's own loading, with which ours is compared.
    monkeypatch.syspath_prepend(str(tmp_path / 'detector'))
    return tmp_path / 'detector/weights.pth'


def test_names_say_where_an_image_was(street, ride):
    images = find_images([str(street), str(ride)])
    assert list(images) == [
        'a.png',
        'b/a.png',
        'torn.png',
        'ride/000000',
        'ride/000001',
        'ride/000002',
    ]
    assert images['b/a.png']().shape == (48, 64, 3)
    assert images['torn.png']() is None
    # In any order: a frame is found by its number.
    for i in (2, 0, 1):
        frame = images[f'ride/{i:06}']()
        assert abs(frame.mean() - (0, 128, 255)[i]) < 3
    assert list(find_images([str(street / 'b' / '*.png')])) == ['a.png']


@pytest.mark.parametrize(
    ('inputs', 'sentence'),
    [
        (['nowhere'], 'no image, folder or video nowhere'),
        (['*.jpg'], r'no image, folder or video \*.jpg'),
        (['street/notes.txt'], 'notes.txt is neither an image nor a video'),
        (['street/a.png', 'street/b/a.png'], 'are called a.png'),
        (['empty'], 'no image in empty'),
        (['broken.mp4'], 'broken.mp4 is no video'),
    ],
)
def test_bad_inputs_are_named(street, monkeypatch, inputs, sentence):
    monkeypatch.chdir(street.parent)
    Path('empty').mkdir()
    Path('broken.mp4').write_bytes(b'no video')
    with pytest.raises(DataError, match=sentence):
        find_images(inputs)


@pytest.mark.parametrize('single', [False, True])
def test_name_that_would_end_opencv(street, single):
    odd = street / os.fsdecode(b'\xe9.png')
    (street / 'a.png').rename(odd)
    with pytest.raises(DataError, match=r'not UTF-8 .*\\udce9.png'):
        find_images([str(odd if single else street)])


@pytest.mark.slow
def test_writes_what_the_detector_says(street, ride, weights, tmp_path):
    detector = DetInferencer(weights=str(weights), device='cpu', show_progress=False)
    out = tmp_path / 'out'
    (sample,) = detector(str(street / 'b/a.png'), return_datasamples=True)[
        'predictions'
    ]
    threshold = float(sample.pred_instances.scores.median())
    assert predict(detector, [str(street), str(ride)], out, threshold) == ['torn.png']

    coco = COCO(str(out / 'predictions.json'))
    assert [c['name'] for c in coco.loadCats(coco.getCatIds())] == list(CLASSES)
    images = {image['file_name']: image for image in coco.imgs.values()}
    assert list(images) == [
        'a.png',
        'b/a.png',
        'ride/000000',
        'ride/000001',
        'ride/000002',
    ]
    assert (images['a.png']['height'], images['a.png']['width']) == (64, 96)
    expected = sample.pred_instances
    expected = expected[expected.scores >= threshold]
    assert 0 < len(expected) < len(sample.pred_instances)
    annotations = coco.imgToAnns[images['b/a.png']['id']]
    assert [a['category_id'] - 1 for a in annotations] == expected.labels.tolist()
    np.testing.assert_allclose([a['score'] for a in annotations], expected.scores)
    boxes = np.array([a['bbox'] for a in annotations])
    boxes[:, 2:] += boxes[:, :2]
    np.testing.assert_allclose(boxes, expected.bboxes, atol=1e-4)

    for name, image in images.items():
        picture = cv2.imread(str((out / 'drawn' / name).with_suffix('.png')))
        assert picture.shape == (image['height'], image['width'], 3)
    plain = cv2.imread(str(street / 'b/a.png'))
    assert (cv2.imread(str(out / 'drawn/b/a.png')) != plain).any()


def test_pictures_of_one_name(street, weights, tmp_path):
    for name in ('a.jpg', 'a.png.png'):
        cv2.imwrite(str(street / name), np.zeros((32, 48, 3), np.uint8))
    detector = load_detector(str(weights), device='cpu')
    out = tmp_path / 'out'
    predict(detector, [str(street)], out)
    pictures = {
        str(path.relative_to(out / 'drawn')): cv2.imread(str(path)).shape[:2]
        for path in (out / 'drawn').rglob('*.png')
    }
    assert pictures == {
        'a.jpg.png': (32, 48),
        'a.png.png': (64, 96),
        'a.png.png.png': (32, 48),
        'b/a.png.png': (48, 64),
    }


@pytest.mark.parametrize(
    ('meta', 'sentence'),
    [
        (dict(), r'does not name its classes \(it has no dataset_meta\)'),
        (dict(dataset_meta={}), 'names 0 classes, but its detector has 8'),
        (dict(dataset_meta=dict(classes=('car',))), 'names 1 classes, but'),
    ],
)
def test_refuses_names_of_other_classes(weights, meta, sentence):
    """Also COCO's, which mmdet uses for a checkpoint without names."""
    content = torch.load(weights)
    del content['meta']['dataset_meta']
    content['meta'].update(meta)
    torch.save(content, weights)
    with pytest.raises(DataError, match=f'weights.pth {sentence}'):
        load_detector(str(weights), device='cpu')


@pytest.mark.parametrize(
    ('classes', 'sentence'),
    [
        (CLASSES[::-1], 'weights.pth was .*in another order: bicycle'),
        (('pedestrian', *CLASSES[1:]), r'weights.pth .*\(8\) pedestrian'),
    ],
)
def test_refuses_a_config_of_other_classes(weights, classes, sentence):
    cfg = Config.fromfile(weights.with_name('config.py'))
    cfg.test_dataloader.dataset.metainfo.classes = classes
    path = weights.with_name('other.py')
    cfg.dump(path)
    with pytest.raises(DataError, match=sentence):
        load_detector(str(weights), str(path), 'cpu')
    # mmdet's own inferencer uses the checkpoint's names.
    detector = DetInferencer(str(path), str(weights), device='cpu', show_progress=False)
    assert tuple(detector.model.dataset_meta['classes']) == CLASSES


def test_refuses_weights_that_do_not_fit(weights):
    """mmdet would leave a head of two classes random, under eight names."""
    cfg = Config.fromfile(weights.with_name('config.py'))
    cfg.model.roi_head.bbox_head.num_classes = 2
    cfg.dump(weights.with_name('two.py'))
    with pytest.raises(DataError, match='weights.pth does not fit the config'):
        load_detector(str(weights), str(weights.with_name('two.py')), 'cpu')


@pytest.mark.slow
def test_command(street, weights, tmp_path):
    command = [
        'predict.py',
        'street',
        '--weights',
        weights,
        '--out',
        'found',
        '--device',
        'cpu',
    ]
    result = run_tool(*command, '--no-draw', cwd=tmp_path)
    # One image is damaged.
    assert result.returncode == 1, result.stderr
    assert 'torn.png cannot be read: left out.' in result.stderr
    found = json.loads((tmp_path / 'found/predictions.json').read_text())
    assert len(found['images']) == 2
    assert not (tmp_path / 'found/drawn').exists()

    again = run_tool(*command, cwd=tmp_path)
    assert again.returncode == 2
    assert 'found is not empty' in again.stderr
    command[command.index('found')] = 'street/notes.txt'
    onto_file = run_tool(*command, cwd=tmp_path)
    assert onto_file.returncode == 2
    assert 'error: street/notes.txt is a file: choose' in onto_file.stderr
