import mmcv
import pytest
from PIL import Image

from mmdet_ifan.preparation import LeftOut
from mmdet_ifan.preparation.images import image_size

SUFFIXES = ['.bmp', '.jpg', '.png', '.tif', '.webp']


@pytest.fixture(params=SUFFIXES)
def image(request, tmp_path, write_image):
    return write_image(tmp_path / f'ü 名{request.param}')


def test_size(image):
    assert image_size(image) == (20, 30)


def test_no_pixel_of_a_whole_photograph_is_decoded(tmp_path, write_image, monkeypatch):
    paths = [write_image(tmp_path / f'x{suffix}') for suffix in ('.jpg', '.png')]
    monkeypatch.setattr(Image.Image, 'load', None)
    assert [image_size(path) for path in paths] == [(20, 30)] * 2


@pytest.mark.parametrize('cut', [3, 20, 700])
def test_cut_files(image, cut):
    image.write_bytes(image.read_bytes()[:-cut])
    with pytest.raises(LeftOut) as error:
        image_size(image)
    assert error.value.problem.kind == 'damaged images'
    assert f'{image} is not an intact image' in error.value.problem.sentence


def test_something_after_the_end_is_no_damage(image):
    image.write_bytes(image.read_bytes() + b'\0' * 50)
    assert image_size(image) == (20, 30)


@pytest.mark.parametrize('content', [b'', b'<html>Log in first</html>'])
def test_no_image_at_all(tmp_path, content):
    (tmp_path / 'x.jpg').write_bytes(content)
    with pytest.raises(LeftOut, match='damaged'):
        image_size(tmp_path / 'x.jpg')


def test_missing(tmp_path):
    with pytest.raises(LeftOut, match='missing images'):
        image_size(tmp_path / 'x.jpg')
    (tmp_path / 'folder.jpg').mkdir()
    with pytest.raises(LeftOut, match='damaged'):
        image_size(tmp_path / 'folder.jpg')


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp'])
@pytest.mark.parametrize('orientation', range(1, 10))
def test_size_is_that_of_the_image_as_it_is_loaded(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f'photograph{suffix}'
    Image.new('RGB', (30, 20)).save(path, exif=exif)
    assert image_size(path) == mmcv.imfrombytes(path.read_bytes()).shape[:2]
