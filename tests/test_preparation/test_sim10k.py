import json

import pytest
from mmengine.config import Config

from mmdet_ifan.preparation import Options, sim10k
from mmdet_ifan.preparation.sim10k import prepare_sim10k
from mmdet_ifan.preparation.stand_in import MANIFEST
from mmdet_ifan.utils.errors import DataError

BOX = (3, 4, 12, 14)


@pytest.fixture
def root(tmp_path, write_voc, monkeypatch):
    """SIM10K as if it had two images with three cars."""
    root = tmp_path / 'sim10k'
    write_voc(
        root / 'VOC2012', '3384645', [('car', BOX), ('motorbike', BOX), ('car', BOX)]
    )
    write_voc(root / 'VOC2012', '3384650', [('person', BOX), ('car', BOX)])
    # A list that others added.
    lists = root / 'VOC2012/ImageSets/Main'
    lists.mkdir(parents=True)
    (lists / 'trainval10k_caronly.txt').write_text('3384645\n')
    monkeypatch.setattr(sim10k, 'IMAGES', 2)
    monkeypatch.setattr(sim10k, 'CARS', 3)
    return root


def prepare(root, *classes, **options):
    return prepare_sim10k(
        root, Options(workers=1, **options), *([list(classes)] if classes else [])
    )


def test_cars_alone(root, read):
    report = prepare(root)
    assert {name: [box[0] for box in boxes] for name, boxes in read(root).items()} == {
        'VOC2012/JPEGImages/3384645.jpg': ['car', 'car'],
        'VOC2012/JPEGImages/3384650.jpg': ['car'],
    }
    assert report.notes == ['Not asked for: motorcycle (1), person (1).']
    assert not report.problems.counts


def test_motorbikes_are_motorcycles(root, read):
    prepare(root, 'car', 'person', 'motorcycle')
    (boxes, _) = read(root).values()
    assert [box[0] for box in boxes] == ['car', 'motorcycle', 'car']


def test_archives_that_were_unpacked_without_voc2012(root, read):
    for path in (root / 'VOC2012').iterdir():
        path.rename(root / path.name)
    prepare(root)
    assert 'JPEGImages/3384645.jpg' in read(root)


def test_file_is_the_one_that_the_configs_read(root, configs):
    (summary,) = prepare(root).summaries
    cfg = Config.fromfile(configs / '_base_/datasets/sim10k2city.py')
    source = cfg.train_dataloader.dataset.source
    assert str(summary.path.relative_to(root)) == source.ann_file
    assert tuple(summary.boxes) == source.metainfo.classes


def test_published_counts_are_those_of_the_literature():
    assert (sim10k.IMAGES, sim10k.CARS) == (10000, 58701)


def test_missing_archive(root, write_voc):
    (root / 'VOC2012/JPEGImages/3384645.jpg').unlink()
    (root / 'VOC2012/Annotations/3384645.xml').unlink()
    with pytest.raises(
        DataError, match='SIM10K has 2 images, but .* has 1: unpack all of its archives'
    ):
        prepare(root)


def test_other_number_of_cars(root, monkeypatch):
    monkeypatch.setattr(sim10k, 'CARS', 4)
    report = prepare(root)
    assert 'gets 3 boxes of cars, but 4 are published' in next(report.lines())
    with pytest.raises(DataError, match='differ from the published'):
        prepare(root, strict=True)
    # Cars are not counted if nobody asks for them.
    assert not prepare(root, 'person', overwrite=True).problems.counts


def test_images_of_the_same_name_are_counted_once(root, write_image):
    write_image(root / 'VOC2012/JPEGImages/3384645.png')
    assert prepare(root).problems.counts == {'images of the same name': 1}


def test_motorbikes_need_not_occur(root, write_voc):
    write_voc(root / 'VOC2012', '3384645', [('car', BOX)] * 2)
    assert not prepare(root).problems.counts


def test_something_else(tmp_path):
    with pytest.raises(DataError, match='has no Annotations/.*VOC2012: unpa'):
        prepare(tmp_path)


# --- Rendered stand-ins ------------------------------------------------------


@pytest.fixture
def stand_in(tmp_path, write_voc):
    """Two splits with a manifest of their content."""
    root = tmp_path / 'twin'
    write_voc(root, 'a', [('car', BOX), ('motorbike', BOX)])
    write_voc(root, 'b', [])
    write_voc(root, 'c', [('car', BOX)])
    lists = root / 'ImageSets/Main'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('a\nb\n')
    (lists / 'val.txt').write_text('c\n')
    (root / MANIFEST).write_text(
        json.dumps(
            dict(
                splits=dict(
                    train=dict(images=2, empty=1, objects=dict(car=1, motorcycle=1)),
                    val=dict(images=1, empty=0, objects=dict(car=1)),
                )
            )
        )
    )
    return root


@pytest.mark.parametrize('classes', [(), ('car', 'motorcycle')])
def test_stand_in_is_checked_against_its_own_counts(stand_in, classes, read):
    report = prepare(stand_in, *classes)
    assert [each.images for each in report.summaries] == [2, 1]
    assert not report.problems.counts
    assert list(read(stand_in, 'val')) == ['JPEGImages/c.jpg']


def edit(change):
    def apply(root):
        content = json.loads((root / MANIFEST).read_text())
        change(content['splits'])
        (root / MANIFEST).write_text(json.dumps(content))

    return apply


@pytest.mark.parametrize(
    'damage, message',
    [
        (
            lambda root: (root / 'JPEGImages/b.jpg').unlink(),
            '1 images in train, but its mini_city.json says 2',
        ),
        (
            edit(lambda splits: splits['val']['objects'].update(car=2)),
            '1 boxes of car in val, but its mini_city.json says 2',
        ),
        (
            edit(lambda splits: splits['train'].update(empty=0)),
            '1 images without objects in train',
        ),
        (
            edit(lambda splits: splits.pop('val')),
            'the splits train, val, but its mini_city.json says train: remove',
        ),
        (lambda root: (root / MANIFEST).write_text('{'), 'is not readable'),
        (lambda root: (root / MANIFEST).write_text('[]'), 'is not readable'),
        (
            lambda root: (root / 'mini_city.unfinished.json').touch(),
            'is not complete: run tools/prepare/mini_city.py, or',
        ),
    ],
)
def test_damaged_stand_in(stand_in, damage, message):
    damage(stand_in)
    with pytest.raises(DataError, match=message):
        prepare(stand_in, 'car', 'motorcycle')
    assert not (stand_in / 'annotations').exists()


def test_command(root, run_tool):
    code, out, _ = run_tool('sim10k.py', root)
    assert code == 0
    assert out.splitlines()[-1].split() == [
        'instances_train.json',
        '2',
        '0',
        '3',
        '3',
        'written',
    ]


def test_command_on_a_stand_in(stand_in, run_tool):
    code, out, _ = run_tool('sim10k.py', stand_in)
    assert code == 0 and out.count(' written') == 2
