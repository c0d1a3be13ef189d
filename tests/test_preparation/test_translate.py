"""Translated images on the disk, and the data set that reads them."""

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from leaves import FOLDER
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from PIL import Image

from mmdet_ifan.preparation import changed_copies
from mmdet_ifan.preparation.translate import MARKER, check_translations, translate
from mmdet_ifan.translation import Translator
from mmdet_ifan.utils.errors import DataError

TOOL = Path(__file__).parents[2] / 'tools/prepare/translate.py'
#: Sizes that are no multiples of 4, formats, a grey image, a sub-folder.
NAMES = {'a.jpg': (12, 16), 'b.PNG': (13, 18), 'été/grey.png': (9, 31)}


def invert(image: np.ndarray, name: str) -> np.ndarray:
    return 255 - image


def run(root: Path, out: str = 'translated/images', change=invert, **options):
    """Translate the root's images; give the message."""
    said = []
    settings = options.pop('settings', dict(width=4))
    translate(
        root / options.pop('images', 'images'),
        root / out,
        change,
        root / 'iter_9.pth',
        settings,
        say=said.append,
        **options,
    )
    return said[0]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three images, and what is taken for a checkpoint."""
    rng = np.random.default_rng(0)
    for name, size in NAMES.items():
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = size if 'grey' in name else (*size, 3)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path)
    (tmp_path / 'iter_9.pth').write_bytes(b'weights')
    return tmp_path


def read(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


# The folder


def test_translations_have_names_sizes_and_formats_of_their_originals(root):
    assert '3 images made' in run(root)
    made = root / 'translated/images'
    assert set(read(made)) == {*NAMES, MARKER}
    for name, size in NAMES.items():
        with Image.open(root / 'images' / name) as old, Image.open(made / name) as new:
            assert new.format == old.format and new.mode == 'RGB'
            assert new.size == old.size == size[::-1]
            if new.format == 'PNG':
                np.testing.assert_array_equal(
                    np.asarray(new), 255 - np.asarray(old.convert('RGB'))
                )


def test_the_marker_says_what_made_them(root):
    run(root)
    content = json.loads((root / 'translated/images' / MARKER).read_text())
    assert content.pop('about')
    assert content == dict(
        images='../../images',
        checkpoint='iter_9.pth',
        # Of b'weights', by sha256sum.
        sha256='9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c',
        settings=dict(width=4),
    )


def test_an_interrupted_translation_continues(root, monkeypatch):
    run(root, 'whole')
    write, written = changed_copies.write_atomically, []

    def interrupted(path, content):
        written.append(path)
        if len(written) == 3:
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(changed_copies, 'write_atomically', interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(root)
    assert '2 images made, 1 were there already' in run(root)
    whole, continued = read(root / 'whole'), read(root / 'translated/images')
    assert whole.pop(MARKER) != continued.pop(MARKER)
    assert whole == continued


@pytest.mark.parametrize('change', ['checkpoint', 'settings'])
def test_translations_of_another_model_are_refused_unless_overwritten(root, change):
    run(root)
    before = read(root / 'translated')
    options = {}
    if change == 'checkpoint':
        (root / 'iter_9.pth').write_bytes(b'others')
    else:
        options = dict(settings=dict(width=8))
    with pytest.raises(DataError, match='of another checkpoint or of another folder'):
        run(root, **options)
    assert read(root / 'translated') == before
    assert '3 images made' in run(root, overwrite=True, **options)


def test_a_folder_of_something_else_is_refused(root):
    (root / 'translated/images').mkdir(parents=True)
    (root / 'translated/images/thesis.txt').write_text('precious')
    with pytest.raises(DataError, match='holds something else'):
        run(root, overwrite=True)


# The data set


@pytest.fixture
def build(root: Path) -> Callable:
    """Builder of the data set, as the dt-ft configs have it."""
    content = dict(
        images=[
            dict(id=i, file_name=f'images/{name}', height=size[0], width=size[1])
            for i, (name, size) in enumerate(NAMES.items())
        ],
        categories=[dict(id=1, name='car')],
        annotations=[
            dict(id=i, image_id=i, category_id=1, bbox=[1, 2, 6, 5], area=30, iscrowd=0)
            for i in range(len(NAMES))
        ],
    )
    (root / 'train.json').write_text(json.dumps(content))
    part = Config.fromfile(FOLDER / '_base_/methods/dt-ft.py').translated.dataset.source

    def make(**options):
        cfg = dict(
            part,
            ann_file='train.json',
            data_root=str(root),
            metainfo=dict(classes=('car',)),
            pipeline=[dict(type='LoadImageFromFile')],
        )
        return DATASETS.build(cfg | options)

    return make


def test_the_data_set_reads_translations_with_the_boxes_of_originals(root, build):
    run(root)
    dataset = build()
    for i, name in enumerate(NAMES):
        item = dataset[i]
        assert item['img_path'] == str(root / 'translated/images' / name)
        assert item['instances'][0]['bbox'] == [1, 2, 7, 7]
        assert item['img'].shape == (*NAMES[name], 3)


def test_missing_translations_are_named(root, build):
    with pytest.raises(FileNotFoundError, match='3 of the 3 .* Translate them with'):
        build()


def test_half_finished_translations_are_named(root, build):
    run(root)
    (root / 'translated/images/b.PNG').unlink()
    with pytest.raises(
        FileNotFoundError, match=r'1 of the 3 .*b.PNG.* continues one that was interr'
    ):
        build()


def test_translations_of_another_data_set_are_refused(root, build, tmp_path_factory):
    other = tmp_path_factory.mktemp('other')
    (root / 'images').rename(other / 'images')
    translate(
        other / 'images', root / 'translated/images', invert, root / 'iter_9.pth', {}
    )
    with pytest.raises(DataError, match=f'translations of {other}/images, not of'):
        build()


def test_translations_of_another_folder_of_the_data_set_are_refused(root, build):
    (root / 'images').rename(root / 'val')
    run(root, images='val')
    with pytest.raises(DataError, match='translations of .*/val, not of images of'):
        build()


def test_images_without_a_marker_are_refused(root, build):
    run(root)
    (root / 'translated/images' / MARKER).unlink()
    with pytest.raises(DataError, match=f'no translations, since no {MARKER}'):
        build()
    # One above the folder of translations does not count.
    (root / MARKER).write_text('{"images": "images"}')
    with pytest.raises(DataError, match='no translations'):
        build()


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"images": 3}', '\xff'])
def test_a_corrupt_marker_is_named(root, build, text):
    run(root)
    (root / 'translated/images' / MARKER).write_text(text, encoding='latin-1')
    with pytest.raises(DataError, match=f'{MARKER} cannot be read: remove'):
        build()


def test_parts_may_be_translated_one_by_one_and_may_move_together(root, tmp_path):
    run(root, 'translated/images/été', images='images/été')
    paths = [root / 'translated/images/été/grey.png']
    check_translations(paths, root / 'translated', root)
    moved = root.parent / f'{root.name}_moved'
    root.rename(moved)
    check_translations(
        [moved / 'translated/images/été/grey.png'], moved / 'translated', moved
    )


# The command


def test_command(root, monkeypatch, capsys):
    """From the checkpoint's own config."""
    cfg = Config.fromfile(FOLDER / 'dt-ft/cyclegan_mini-city.py')
    cfg.model.generator.update(width=4, num_blocks=1)
    cfg.model.classifier.update(width=4)
    model = MODELS.build(cfg.model)
    checkpoint = dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text))
    torch.save(checkpoint, root / 'iter_9.pth')
    monkeypatch.syspath_prepend(str(TOOL.parent))
    arguments = [root / 'iter_9.pth', root / 'images', '--out', root / 'out']
    monkeypatch.setattr(
        sys, 'argv', ['translate.py', *map(str, arguments), '--device', 'cpu']
    )
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TOOL), run_name='__main__')
    assert end.value.code == 0
    assert '3 images made' in capsys.readouterr().out
    image = np.asarray(Image.open(root / 'images/b.PNG'))
    np.testing.assert_array_equal(
        np.asarray(Image.open(root / 'out/b.PNG')), Translator(cfg, checkpoint)(image)
    )
    marker = json.loads((root / 'out' / MARKER).read_text())
    assert marker['settings']['generator']['width'] == 4
    assert marker['settings']['resize'] == []
