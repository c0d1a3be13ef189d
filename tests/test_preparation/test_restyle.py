import os
import runpy
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdet_ifan.preparation import changed_copies as module
from mmdet_ifan.preparation.restyle import MARKER, NewLook, restyle
from mmdet_ifan.utils.errors import DataError

TOOL = Path(__file__).parents[2] / 'tools/prepare/restyle.py'
SAME = dict(blur=0, saturation=1, contrast=1, brightness=0, cast=(1, 1, 1), noise=0)
NAMES = ['a.jpg', 'b.PNG', 'été/c.png']


@pytest.fixture
def photos(tmp_path):
    """Three pictures in two folders, and another file."""
    rng = np.random.default_rng(0)
    for name in NAMES:
        path = tmp_path / 'photos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).save(path)
    (tmp_path / 'photos/notes.txt').write_text('mine')
    return tmp_path / 'photos'


def read(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob('*')
        if path.is_file()
    }


def run(photos, out, look=None, workers=1, **options):
    said = []
    skipped = restyle(
        photos, out, look or NewLook(), workers, say=said.append, **options
    )
    return skipped, said[0]


# --- One picture -------------------------------------------------------------


@pytest.mark.parametrize(
    'change, expected',
    [
        (dict(), (60, 120, 240)),
        # Grey is 140: half as far from it.
        (dict(saturation=0.5), (100, 130, 190)),
        (dict(contrast=0.5), (94, 124, 184)),
        (dict(brightness=-70), (0, 50, 170)),
        (dict(cast=(0.5, 1, 2)), (30, 120, 255)),
        # In this order: (100, 130, 190), (114, 129, 159), -20, factors.
        (
            dict(saturation=0.5, contrast=0.5, brightness=-20, cast=(2, 1, 0.5)),
            (188, 109, 70),
        ),
    ],
)
def test_colours_by_hand(change, expected):
    image = np.full((5, 4, 3), (60, 120, 240), np.uint8)
    result = NewLook(**(SAME | change)).apply(image, 'a.jpg')
    assert result.dtype == np.uint8 and result.shape == image.shape
    assert (np.abs(result.astype(int) - expected) <= 1).all()


def test_blur_spreads_a_point_as_a_gaussian_does():
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    image[0] = 0
    result = NewLook(**(SAME | dict(blur=2))).apply(image, 'a')
    # 255 / (2 pi 4) = 10.15; two sigma aside, exp(-2) of it.
    assert result[20, 20, 0] == 10
    assert result[20, 24, 0] == 1


def test_noise_has_the_asked_strength_and_hangs_on_seed_and_name_alone():
    image = np.full((100, 100, 3), 128, np.uint8)
    look = NewLook(**(SAME | dict(noise=5)))
    result = look.apply(image, 'a')
    assert result.std() == pytest.approx(5, rel=0.05)
    assert result.mean() == pytest.approx(128, abs=0.2)
    assert np.array_equal(result, look.apply(image, 'a'))
    assert not np.array_equal(result, look.apply(image, 'b'))
    other = NewLook(**(SAME | dict(noise=5, seed=1)))
    assert not np.array_equal(result, other.apply(image, 'a'))


@pytest.mark.parametrize(
    'wrong', [dict(blur=-1), dict(noise=float('nan')), dict(seed=-1)]
)
def test_numbers_without_sense_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(DataError, match=f'{name} must not be .* got {value}'):
        NewLook(**wrong)


# --- A folder ----------------------------------------------------------------


def test_same_names_sizes_and_formats(photos, tmp_path):
    before = read(photos)
    skipped, said = run(photos, tmp_path / 'out')
    assert skipped == 0 and '3 images made, 0 were there already' in said
    made = read(tmp_path / 'out')
    assert set(made) == {*NAMES, MARKER}
    assert read(photos) == before
    for name in NAMES:
        with (
            Image.open(photos / name) as one,
            Image.open(tmp_path / 'out' / name) as other,
        ):
            assert (one.size, one.format) == (other.size, other.format)
    text = made[MARKER].decode()
    assert 'artificial' in text and 'blur=2.0' in text


def test_png_is_what_apply_gives(photos, tmp_path):
    run(photos, tmp_path / 'out')
    name = 'été/c.png'
    expected = NewLook().apply(np.asarray(Image.open(photos / name)), name)
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / 'out' / name)), expected
    )


def test_copies_depend_neither_on_workers_nor_on_other_files(photos, tmp_path):
    run(photos, tmp_path / 'one')
    (photos / 'a.jpg').unlink()
    run(photos, tmp_path / 'two', workers=3)
    one, two = read(tmp_path / 'one'), read(tmp_path / 'two')
    assert one.pop('a.jpg') and one == two


def test_hidden_files_are_not_copied(photos, tmp_path):
    (photos / '._a.jpg').write_bytes(b'where macOS keeps its notes')
    skipped, said = run(photos, tmp_path / 'out')
    assert skipped == 0 and '3 images made' in said


def test_an_interrupted_run_is_resumed(photos, tmp_path, monkeypatch):
    run(photos, tmp_path / 'whole')
    out, write, written = tmp_path / 'out', module.write_atomically, []

    def interrupted(path, content):
        written.append(path.name)
        if len(written) == 3:  # The marker and one picture were written.
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(module, 'write_atomically', interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(photos, out)
    (out / 'b.PNG.77.tmp').write_bytes(b'half')  # By a run that was killed.
    assert run(photos, out)[1].endswith(
        '2 images made, 1 were there already, 0 skipped.'
    )
    assert read(out) == read(tmp_path / 'whole')


def test_a_terminated_command_ends_as_an_interrupted_one(
    photos, tmp_path, monkeypatch, capsys
):
    def terminated(*_):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.syspath_prepend(str(TOOL.parent))
    monkeypatch.setattr(module, 'write_atomically', terminated)
    monkeypatch.setattr(
        sys, 'argv', ['restyle.py', str(photos), '--out', str(tmp_path / 'out')]
    )
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(SystemExit, match='143'):
            runpy.run_path(str(TOOL), run_name='__main__')
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err.endswith(
        'Interrupted: the same command continues from here.\n'
    )


def test_another_look_is_refused_unless_overwritten(photos, tmp_path):
    out, dark = tmp_path / 'out', NewLook(brightness=-90)
    run(photos, out)
    before = read(out)
    with pytest.raises(DataError, match='pictures of another look.*--overw'):
        run(photos, out, dark)
    assert read(out) == before
    run(photos, out, dark, overwrite=True)
    run(photos, tmp_path / 'fresh', dark)
    assert read(out) == read(tmp_path / 'fresh') != before


def test_copies_of_another_folder_are_refused_unless_overwritten(photos, tmp_path):
    out, other = tmp_path / 'out', tmp_path / 'other'
    run(photos, out)
    before = read(out)
    other.mkdir()
    Image.new('RGB', (16, 12)).save(other / 'a.jpg')
    with pytest.raises(DataError, match='of another folder.*--overwrite'):
        run(other, out)
    assert read(out) == before
    assert '1 images made' in run(other, out, overwrite=True)[1]
    run(other, tmp_path / 'fresh')
    assert read(out) == read(tmp_path / 'fresh')


def test_a_copy_without_an_original_is_named(photos, tmp_path):
    run(photos, tmp_path / 'out')
    (photos / 'a.jpg').unlink()
    with pytest.raises(DataError, match='has no original: a.jpg. Remove'):
        run(photos, tmp_path / 'out')
    (tmp_path / 'out/a.jpg').unlink()
    assert '0 images made, 2 were' in run(photos, tmp_path / 'out')[1]


def test_a_new_original_is_copied_again(photos, tmp_path):
    out = tmp_path / 'out'
    run(photos, out)
    Image.new('RGB', (8, 6)).save(photos / 'a.jpg')
    later = (out / 'a.jpg').stat().st_mtime + 1
    os.utime(photos / 'a.jpg', (later, later))
    assert '1 images made, 2 were' in run(photos, out)[1]
    assert Image.open(out / 'a.jpg').size == (8, 6)
    cut(photos / 'a.jpg')
    os.utime(photos / 'a.jpg', (2 * later, 2 * later))
    assert run(photos, out)[0] == 1
    assert not (out / 'a.jpg').exists()


def test_both_folders_can_move(photos, tmp_path):
    run(photos, tmp_path / 'out')
    (tmp_path / 'elsewhere').mkdir()
    for name in ('photos', 'out'):
        (tmp_path / name).rename(tmp_path / 'elsewhere' / name)
    said = run(tmp_path / 'elsewhere/photos', tmp_path / 'elsewhere/out')[1]
    assert '0 images made, 3 were there already' in said


def test_a_turned_photograph_is_turned_as_training_sees_it(photos, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was held upright.
    Image.new('RGB', (16, 12)).save(photos / 'a.jpg', exif=exif)
    run(photos, tmp_path / 'out')
    assert Image.open(tmp_path / 'out/a.jpg').size == (12, 16)


def test_a_damaged_tag_does_not_keep_a_photograph_from_being_turned(photos, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x0100] = 6, 16
    block = exif.tobytes()
    # The type of the width is changed from number to text.
    damaged = block.replace(b'\x01\x00\x00\x04', b'\x01\x00\x00\x02')
    assert damaged != block
    Image.new('RGB', (16, 12)).save(photos / 'a.jpg', exif=damaged)
    assert run(photos, tmp_path / 'out')[0] == 0
    assert Image.open(tmp_path / 'out/a.jpg').size == (12, 16)


# --- Bad input ---------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def deepen(path):
    Image.fromarray(np.full((4, 4), 9000, np.uint16)).save(path)


@pytest.mark.parametrize(
    'damage, message',
    [
        (cut, 'b.PNG is not a readable image'),
        (lambda path: path.write_text('no image'), 'b.PNG is not a readable im'),
        (deepen, 'b.PNG has more than 8 bits'),
    ],
)
def test_unreadable_images_are_named_and_skipped(
    photos, tmp_path, damage, message, capsys
):
    damage(photos / 'b.PNG')
    skipped, said = run(photos, tmp_path / 'out')
    assert skipped == 1
    assert '2 images made, 0 were there already, 1 skipped' in said
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out/b.PNG').exists()
    with pytest.raises(DataError, match=message):
        run(photos, tmp_path / 'strict', strict=True)


def test_cut_jpeg_is_noticed(photos, tmp_path):
    cut(photos / 'a.jpg')
    assert run(photos, tmp_path / 'out')[0] == 1


@pytest.mark.parametrize(
    'images, out, message',
    [
        ('nowhere', 'out', 'There is no image in'),
        ('photos', 'photos', 'one is in the other'),
        ('photos', 'photos/out', 'one is in the other'),
        ('photos', '.', 'one is in the other'),
        ('photos', 'taken', 'holds something else'),
    ],
)
def test_folders_without_sense_are_refused(photos, tmp_path, images, out, message):
    (tmp_path / 'taken').mkdir()
    (tmp_path / 'taken/thesis.txt').write_text('precious')
    before = read(tmp_path)
    with pytest.raises(DataError, match=message):
        run(tmp_path / images, tmp_path / out, overwrite=True)
    assert read(tmp_path) == before


def test_workers_without_sense_are_refused(photos, tmp_path):
    with pytest.raises(DataError, match='workers must be at least 1'):
        run(photos, tmp_path / 'out', workers=0)


def test_command_line(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(TOOL.parent))

    def call(*options):
        monkeypatch.setattr(
            sys,
            'argv',
            ['restyle.py', str(photos), '--out', str(tmp_path / 'out'), *options],
        )
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOL), run_name='__main__')
        return end.value.code, capsys.readouterr()

    look = ('--cast', '1', '1', '0.5', '--blur', '0', '--seed', '3')
    code, said = call(*look)
    assert code == 0 and '3 images made' in said.out
    marker = (tmp_path / 'out' / MARKER).read_text()
    assert 'blur=0.0' in marker and 'seed=3' in marker
    assert 'cast=(1.0, 1.0, 0.5)' in marker
    code, said = call()
    assert code == 2 and said.err.startswith('error: ')
    cut(photos / 'a.jpg')
    (tmp_path / 'out/a.jpg').unlink()
    assert call(*look, '--strict')[0] == 2
