import pytest

from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.custom import prepare_custom
from mmdet_ifan.preparation.kitti import KittiFolders
from mmdet_ifan.utils.errors import DataError

REST = '1.5 1.6 3.7 -2.0 1.8 40.1 -1.6'
LABELS = f"""Car 0.00 0 -1.57 2.50 3.00 12.25 9.00 {REST}
Van 0.00 0 -1.57 1.00 1.00 9.00 9.00 {REST}
Person_sitting 0.00 0 -1.57 1.00 2.00 5.00 9.00 {REST}
DontCare -1 -1 -10 20.00 1.00 29.00 9.00 -1 -1 -1 -1000 -1000 -1000 -10
"""
CAR = ('car', [2.5, 3, 9.75, 6], 0)
IGNORED = [20, 1, 9, 8]


@pytest.fixture(params=['', 'training'])
def kitti(request, tmp_path, write_image):
    base = tmp_path / request.param
    for name, text in (('000000', LABELS), ('000001', '')):
        write_image(base / f'image_2/{name}.png')
        (base / 'label_2').mkdir(exist_ok=True)
        (base / f'label_2/{name}.txt').write_text(text)
    return base


def prepare(base, **arguments):
    root = base.parent if base.name == 'training' else base
    report = prepare_custom(KittiFolders(root), Options(workers=1), **arguments)
    return root, report


def test_cars_and_regions_to_ignore(kitti, read):
    root, report = prepare(kitti)
    inside = 'training/' * (kitti != root)
    assert read(root) == {
        f'{inside}image_2/000000.png': [CAR, ('car', IGNORED, 1)],
        f'{inside}image_2/000001.png': [],
    }
    assert report.notes == ['Not asked for: person_sitting (1), van (1).']
    assert report.summaries[0].boxes == dict(car=1)


def test_vans_may_count_as_cars(kitti, read):
    root, _ = prepare(kitti, rename=dict(van='car'))
    (boxes, _) = read(root).values()
    assert boxes == [CAR, ('car', [1, 1, 8, 8], 0), ('car', IGNORED, 1)]


def test_regions_are_ignored_for_every_category(kitti, read):
    root, _ = prepare(kitti, classes=['van', 'person_sitting'])
    (boxes, _) = read(root).values()
    assert boxes[2:] == [('van', IGNORED, 1), ('person_sitting', IGNORED, 1)]


@pytest.mark.parametrize(
    'text',
    [
        LABELS.replace('2.50', 'nan'),
        LABELS.replace('2.50', '2,50'),
        LABELS[:-30],
        'Car 0.00 0 -1.57 2.50',
        LABELS.replace('2.50', 'left'),
    ],
)
def test_damaged_labels(kitti, read, text):
    (kitti / 'label_2/000001.txt').write_text(text)
    root, report = prepare(kitti)
    assert report.problems.counts == {'damaged annotation files': 1}
    assert '000001.txt is not a valid KITTI label file' in next(report.lines())
    assert len(read(root)) == 1


def test_scores_and_any_notation(kitti, read):
    text = LABELS.replace('2.50', '2.5e+00').replace('\n', ' 0.875\r\n')
    (kitti / 'label_2/000000.txt').write_text(text)
    root, report = prepare(kitti)
    assert not report.problems.counts
    assert next(iter(read(root).values())) == [CAR, ('car', IGNORED, 1)]


def test_images_to_test_on_are_accounted_for(kitti, write_image):
    root = kitti.parent if kitti.name == 'training' else kitti
    write_image(root / 'testing/image_2/000000.png')
    _, report = prepare(kitti)
    assert report.account == [
        f'Used under {root}: images: 2; annotation files and lists: 2.',
        'Not looked at: testing/image_2/*.png: 1 (testing/image_2/000000.png).',
    ]


def test_lost_files(kitti):
    (kitti / 'label_2/000001.txt').unlink()
    _, report = prepare(kitti)
    assert report.problems.counts == {'images without an annotation file': 1}


def test_lost_images(kitti):
    (kitti / 'image_2/000001.png').unlink()
    _, report = prepare(kitti)
    assert report.problems.counts == {'missing images': 1}


def test_images_of_the_same_name(kitti, write_image):
    write_image(kitti / 'image_2/000001.jpg')
    _, report = prepare(kitti)
    assert report.problems.counts == {'images of the same name': 1}
    assert report.summaries[0].images == 2


def test_folder_without_images(tmp_path):
    (tmp_path / 'label_2').mkdir()
    with pytest.raises(DataError, match='has no folder image_2'):
        prepare(tmp_path)
