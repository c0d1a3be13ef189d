"""Data sets of the two domains, and the pairing of their images."""

import json
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.runner import Runner

from mmdet_ifan.datasets import (
    DomainCocoDataset,
    DomainTestDataset,
    PairedDomainDataset,
    PairedDomainSampler,
    UnlabelledDataset,
)
from mmdet_ifan.utils.errors import DataError

METAINFO = dict(classes=('person', 'car'))
SAMPLER = 'mmdet_ifan.datasets.paired_domain_sampler'
LOAD = [dict(type='LoadImageFromFile')]
PACK = [dict(type='PackDetInputs')]


class Sizes(PairedDomainDataset):
    """Two domains with known sizes and nothing else."""

    def __init__(self, source: int, target: int) -> None:
        self.source, self.target = range(source), range(target)


def draw(
    sizes: tuple[int, int], num: int, seed: int | None = 0
) -> list[tuple[int, int]]:
    """Draw pairs."""
    return list(islice(PairedDomainSampler(Sizes(*sizes), seed), num))


@pytest.fixture
def source_cfg(write_coco: Callable, tmp_path: Path) -> dict:
    """Source of three images; the last one has no box."""
    write_coco(
        'source.json',
        [('a.png', (20, 30)), ('b.png', (24, 16)), ('c.png', (16, 16))],
        boxes=[
            (0, 'car', (2, 3, 10, 8)),
            (0, 'person', (5, 5, 4, 9)),
            (1, 'person', (1, 2, 6, 6)),
        ],
    )
    return dict(
        type='DomainCocoDataset',
        data_root=str(tmp_path),
        ann_file='source.json',
        metainfo=METAINFO,
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=[
            *LOAD,
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='RandomFlip', prob=0.0),
            *PACK,
        ],
    )


@pytest.fixture
def target_cfg(write_coco: Callable, tmp_path: Path) -> dict:
    """Target of three images that do have annotations."""
    write_coco(
        'target.json',
        [('u.png', (18, 22)), ('v.png', (30, 12)), ('w.png', (8, 40))],
        boxes=[(0, 'car', (1, 1, 9, 9)), (2, 'person', (2, 2, 5, 5))],
    )
    return dict(
        type='UnlabelledDataset',
        data_root=str(tmp_path),
        images='target.json',
        pipeline=[*LOAD, dict(type='RandomFlip', prob=0.0), *PACK],
    )


# The draws


@pytest.mark.parametrize('seed', range(5))
def test_same_scene_meets_itself_as_often_as_any_other(seed):
    """With equal lengths, about one pair in N has the same index twice."""
    size, num = 100, 10_000
    collisions = sum(s == t for s, t in draw((size, size), num, seed))
    # 100 are expected, with a standard deviation of 10.
    assert 50 < collisions < 150


def test_every_pair_is_equally_likely():
    """Chi-square of the joint distribution: source says nothing of target.

    With 24 degrees of freedom a value over 60 has a chance of 0.00006.
    """
    size, num = 5, 20_000
    counts = Counter(draw((size, size), num))
    expected = num / size**2
    chi_square = sum(
        (counts[s, t] - expected) ** 2 / expected
        for s in range(size)
        for t in range(size)
    )
    assert chi_square < 60


@pytest.mark.parametrize('sizes', [(7, 7), (7, 4), (3, 11), (1, 5)])
def test_each_domain_is_gone_through_once_per_pass(sizes):
    pairs = draw(sizes, 3 * max(sizes))
    passes = []
    for domain, size in enumerate(sizes):
        stream = [pair[domain] for pair in pairs]
        passes.append(
            [stream[i : i + size] for i in range(0, len(stream) - size + 1, size)]
        )
        for one_pass in passes[-1]:
            assert sorted(one_pass) == list(range(size))
    # Each pass has its own order.
    for size, orders in zip(sizes, passes, strict=True):
        if size >= 7:
            assert len(set(map(tuple, orders))) == len(orders)


def test_stream_depends_on_the_seed_alone():
    np.random.seed(1)
    first = draw((20, 30), 100, seed=4)
    np.random.seed(2)
    torch.manual_seed(2)
    assert draw((20, 30), 100, seed=4) == first
    assert draw((20, 30), 100, seed=5) != first


def test_iterating_again_gives_the_same_stream():
    """A resumed run skips pairs it has seen, so the stream must be equal."""
    sampler = PairedDomainSampler(Sizes(5, 6), seed=3)
    first = list(islice(sampler, 17))
    sampler.set_epoch(4)
    assert list(islice(sampler, 17)) == first


@pytest.mark.parametrize('world_size', [1, 2])
def test_skipping_leaves_out_the_beginning(monkeypatch, world_size):
    monkeypatch.setattr(f'{SAMPLER}.get_dist_info', lambda: (0, world_size))
    sampler = PairedDomainSampler(Sizes(5, 7), seed=3)
    whole = list(islice(sampler, 40))
    sampler.skip(13)
    assert list(islice(sampler, 27)) == whole[13:]
    # Counted from the beginning, not from the current position.
    sampler.skip(4)
    assert list(islice(sampler, 36)) == whole[4:]


@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_epochs_are_pieces_of_the_stream(monkeypatch, world_size):
    """Epochs have the length of source, rounded up to equal ranks."""
    whole = iter(draw((7, 5), 100))
    length = -(-7 // world_size)
    samplers = []
    for rank in range(world_size):
        monkeypatch.setattr(
            f'{SAMPLER}.get_dist_info', lambda rank=rank: (rank, world_size)
        )
        samplers.append(PairedDomainSampler(Sizes(7, 5), seed=0))
        samplers[-1].by_epoch = True
    for epoch in range(4):
        shares = []
        for sampler in samplers:
            sampler.set_epoch(epoch)
            shares.append(list(sampler))
        assert {len(share) for share in shares} == {length}
        assert [pair for turn in zip(*shares, strict=True) for pair in turn] == list(
            islice(whole, length * world_size)
        )
    assert samplers[0].span == (3 * length * world_size, 4 * length * world_size)


def test_a_resumed_epoch_begins_where_the_last_ended():
    """The first epochs were longer, with another number of processes."""
    sampler = PairedDomainSampler(Sizes(5, 4), seed=3)
    whole = list(islice(sampler, 40))
    sampler.by_epoch, sampler.start, sampler.first_epoch = True, 18, 3
    for epoch in (3, 4, 5):
        sampler.set_epoch(epoch)
        begin = 18 + 5 * (epoch - 3)
        assert list(sampler) == whole[begin : begin + 5]


def test_unseeded_samplers_ask_for_the_shared_seed(monkeypatch):
    monkeypatch.setattr(f'{SAMPLER}.sync_random_seed', lambda: 77)
    assert draw((5, 5), 20, seed=None) == draw((5, 5), 20, seed=77)


def test_seed_zero_is_a_seed(monkeypatch):
    monkeypatch.setattr(f'{SAMPLER}.sync_random_seed', lambda: 77)
    assert draw((9, 9), 20, seed=0) != draw((9, 9), 20, seed=77)


@pytest.mark.parametrize('world_size', [2, 3])
def test_ranks_share_the_stream_out(monkeypatch, world_size):
    whole = draw((7, 5), 60)
    shares = []
    for rank in range(world_size):
        monkeypatch.setattr(
            f'{SAMPLER}.get_dist_info', lambda rank=rank: (rank, world_size)
        )
        shares.append(draw((7, 5), 60 // world_size))
    assert len(set(map(tuple, shares))) == world_size
    # Rank by rank, no pair occurs twice and none is left out.
    assert [pair for turn in zip(*shares, strict=True) for pair in turn] == whole


@pytest.mark.parametrize(('world_size', 'length'), [(1, 7), (2, 4), (7, 1), (8, 1)])
def test_length_is_one_pass_through_source(monkeypatch, world_size, length):
    monkeypatch.setattr(f'{SAMPLER}.get_dist_info', lambda: (0, world_size))
    sampler = PairedDomainSampler(Sizes(7, 100), seed=0)
    assert len(sampler) == length


def test_sampler_refuses_other_data_sets(source_cfg):
    with pytest.raises(TypeError, match='got a DomainCocoDataset'):
        PairedDomainSampler(DATASETS.build(source_cfg))


# The pairs


@pytest.fixture
def pairs(source_cfg: dict, target_cfg: dict) -> PairedDomainDataset:
    return DATASETS.build(
        dict(type='PairedDomainDataset', source=source_cfg, target=target_cfg)
    )


def test_item_has_a_branch_per_domain(pairs):
    item = pairs[1, 2]
    assert set(item) == {'inputs', 'data_samples'}
    for key in item:
        assert set(item[key]) == {'source', 'target'}
    assert item['inputs']['source'].shape == (3, 24, 16)
    assert item['inputs']['target'].shape == (3, 8, 40)
    source, target = (item['data_samples'][branch] for branch in ('source', 'target'))
    assert source.img_path.endswith('b.png')
    assert target.img_path.endswith('w.png')
    assert source.gt_instances.labels.tolist() == [0]
    assert source.gt_instances.bboxes.tensor.tolist() == [[1, 2, 7, 8]]
    assert len(target.gt_instances) == 0
    assert 'bboxes' not in target.gt_instances


def test_loading_annotations_of_target_finds_none(target_cfg):
    """Even a pipeline that asks for boxes gets none."""
    target_cfg['pipeline'].insert(1, dict(type='LoadAnnotations', with_bbox=True))
    target = DATASETS.build(target_cfg)
    for sample in (target[i]['data_samples'] for i in range(3)):
        assert len(sample.gt_instances) == 0


def test_batches_go_through_mmdets_preprocessor(pairs):
    loader = Runner.build_dataloader(
        dict(
            batch_size=2,
            num_workers=0,
            dataset=pairs,
            sampler=dict(type='PairedDomainSampler', seed=0),
        )
    )
    preprocessor = MODELS.build(
        dict(
            type='MultiBranchDataPreprocessor',
            data_preprocessor=dict(type='DetDataPreprocessor'),
        )
    )
    indices = draw((2, 3), 2)
    batch = preprocessor(next(iter(loader)), training=True)
    for domain, branch in enumerate(('source', 'target')):
        images, samples = (batch[key][branch] for key in ('inputs', 'data_samples'))
        dataset = getattr(pairs, branch)
        chosen = [dataset[pair[domain]] for pair in indices]
        shapes = [tuple(item['inputs'].shape[1:]) for item in chosen]
        assert images.shape == (2, 3, *map(max, zip(*shapes, strict=True)))
        assert [sample.img_shape for sample in samples] == shapes
        for image, item, (height, width) in zip(images, chosen, shapes, strict=True):
            assert torch.equal(image[:, :height, :width], item['inputs'].float())
    assert isinstance(
        batch['data_samples']['source'][0].gt_instances.bboxes, torch.Tensor
    )


def test_empty_source_images_are_filtered_as_the_config_says(source_cfg, target_cfg):
    pairs = PairedDomainDataset(source_cfg, target_cfg)
    assert len(pairs) == len(pairs.source) == 2
    assert len(pairs.target) == 3
    source_cfg.pop('filter_cfg')
    assert len(PairedDomainDataset(source_cfg, target_cfg)) == 3


def test_metainfo_is_that_of_source(pairs):
    assert pairs.metainfo['classes'] == METAINFO['classes']
    assert pairs.metainfo is not pairs.target.metainfo


def test_data_info_names_both_images(pairs):
    info = pairs.get_data_info((0, 1))
    assert info['source']['img_path'].endswith('a.png')
    assert info['target']['img_path'].endswith('v.png')
    assert info['target']['instances'] == []


def test_takes_built_data_sets(source_cfg, target_cfg):
    source, target = DATASETS.build(source_cfg), DATASETS.build(target_cfg)
    pairs = PairedDomainDataset(source, target)
    assert pairs.source is source
    assert pairs.target is target


def test_augmentation_is_that_of_both_domains(source_cfg, target_cfg, pairs):
    augmented = PairedDomainDataset(
        source_cfg, target_cfg, augmentation=[dict(type='Invert', prob=1.0)]
    )
    plain, inverted = pairs[0, 0]['inputs'], augmented[0, 0]['inputs']
    for branch in ('source', 'target'):
        assert torch.equal(inverted[branch], 255 - plain[branch])


# Views


def branching(*branches: str, **pipelines: list) -> dict:
    """A last transform that makes these branches."""
    pipelines = pipelines or {branch: PACK for branch in branches}
    return dict(type='MultiBranch', branch_field=list(branches), **pipelines)


def test_views_are_branches_of_their_domain(source_cfg, target_cfg):
    """Flipped alike; the augmentation of the pair comes before them."""
    invert = dict(type='Invert', prob=1.0)
    plain = PairedDomainDataset(source_cfg, target_cfg)[0, 1]
    target_cfg['pipeline'][-2:] = [
        dict(type='RandomFlip', prob=0.5),
        branching(
            'target', 'target_teacher', target=PACK, target_teacher=[invert, *PACK]
        ),
    ]
    pairs = PairedDomainDataset(source_cfg, target_cfg)
    assert pairs.branches == ('source', 'target', 'target_teacher')
    flips = set()
    for _ in range(16):
        item = pairs[0, 1]
        for key in ('inputs', 'data_samples'):
            assert list(item[key]) == ['source', 'target', 'target_teacher']
        images, samples = item['inputs'], item['data_samples']
        assert torch.equal(images['source'], plain['inputs']['source'])
        assert torch.equal(images['target_teacher'], 255 - images['target'])
        flip = samples['target'].flip
        expected = plain['inputs']['target']
        assert torch.equal(images['target'], expected.flip(2) if flip else expected)
        assert samples['target_teacher'].flip == flip
        flips.add(flip)
    assert flips == {True, False}
    twice = PairedDomainDataset(source_cfg, target_cfg, augmentation=[invert])
    images = twice[0, 1]['inputs']
    assert torch.equal(images['target'], 255 - images['target_teacher'])
    assert images['target'].float().mean() != plain['inputs']['target'].float().mean()
    assert torch.equal(images['source'], 255 - plain['inputs']['source'])


def test_views_go_through_mmdets_preprocessor(source_cfg, target_cfg):
    target_cfg['pipeline'][-1:] = [branching('target', 'target_a', 'target_b')]
    loader = Runner.build_dataloader(
        dict(
            batch_size=2,
            num_workers=0,
            dataset=PairedDomainDataset(source_cfg, target_cfg),
            sampler=dict(type='PairedDomainSampler', seed=0),
        )
    )
    preprocessor = MODELS.build(
        dict(
            type='MultiBranchDataPreprocessor',
            data_preprocessor=dict(type='DetDataPreprocessor'),
        )
    )
    batch = preprocessor(next(iter(loader)), training=True)
    for key in ('inputs', 'data_samples'):
        assert list(batch[key]) == ['source', 'target', 'target_a', 'target_b']
        assert {len(part) for part in batch[key].values()} == {2}
    assert torch.equal(batch['inputs']['target'], batch['inputs']['target_b'])


@pytest.mark.parametrize(
    'last',
    [
        branching('target_teacher'),
        branching('source', 'target'),
        branching('target', 'teacher'),
        # A branch that no image reaches.
        branching('target', 'target_teacher', target=PACK),
    ],
)
def test_refuses_branches_of_other_names(source_cfg, target_cfg, last):
    target_cfg['pipeline'][-1:] = [last]
    with pytest.raises(DataError, match='target pipeline .* such as target_teacher'):
        PairedDomainDataset(source_cfg, target_cfg)


@pytest.mark.parametrize('index', [0, 1, np.int64(0)])
def test_refuses_to_be_indexed_by_one_number(pairs, index):
    with pytest.raises(TypeError, match='PairedDomainSampler'):
        pairs[index]


def test_target_must_be_unable_to_read_labels(source_cfg):
    with pytest.raises(TypeError, match='is a DomainCocoDataset'):
        PairedDomainDataset(source_cfg, source_cfg)


@pytest.mark.parametrize('filter_cfg', [None, dict(filter_empty_gt=True)])
def test_refuses_a_source_without_boxes(source_cfg, target_cfg, write_coco, filter_cfg):
    write_coco('source.json', [('a.png', (20, 30)), ('b.png', (24, 16))])
    source_cfg['filter_cfg'] = filter_cfg
    with pytest.raises(ValueError, match='no image with a box.*person, car'):
        PairedDomainDataset(source_cfg, target_cfg)


# The unlabelled target


def names(dataset: UnlabelledDataset, root: Path) -> list[str]:
    """List the images of a data set, relative to a folder."""
    return [
        str(Path(dataset.get_data_info(i)['img_path']).relative_to(root))
        for i in range(len(dataset))
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder with images, sub-folders and other files."""
    for name in ('b.png', 'a.JPG', 'sub/c.jpeg', 'sub/deep/d.png', 'e.bmp'):
        mmcv.imwrite(np.zeros((4, 6, 3), dtype=np.uint8), str(tmp_path / name))
    (tmp_path / 'notes.txt').write_text('no image')
    (tmp_path / 'sub/labels.json').write_text('{}')
    return tmp_path


@pytest.mark.parametrize('images', ['', '.', 'sub'])
def test_target_from_a_folder(folder, images):
    dataset = UnlabelledDataset(images, data_root=str(folder))
    expected = {'sub/c.jpeg', 'sub/deep/d.png'}
    if images != 'sub':
        expected |= {'a.JPG', 'b.png', 'e.bmp'}
    found = [str(Path(name)) for name in names(dataset, folder)]
    assert set(found) == expected
    assert found == sorted(found)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [info['img_id'] for info in infos] == list(range(len(expected)))
    assert all(info['instances'] == [] for info in infos)


def test_target_from_a_text_list(folder):
    (folder / 'list.txt').write_text('sub/c.jpeg\n\n  b.png  \n')
    dataset = UnlabelledDataset('list.txt', data_root=str(folder))
    assert names(dataset, folder) == ['sub/c.jpeg', 'b.png']


def test_target_paths_start_from_the_data_prefix(folder):
    (folder / 'list.txt').write_text('c.jpeg\n')
    dataset = UnlabelledDataset(
        'list.txt', data_root=str(folder), data_prefix=dict(img='sub')
    )
    assert names(dataset, folder) == ['sub/c.jpeg']


@pytest.mark.parametrize(
    'damage',
    [
        lambda content: content.pop('annotations'),
        lambda content: content.update(annotations='garbage'),
        lambda content: content.update(annotations=[{'bbox': 'x'}, None, 3]),
        lambda content: content.update(categories=None),
        lambda content: content['annotations'].reverse(),
    ],
)
def test_target_from_coco_never_reads_annotations(target_cfg, tmp_path, damage):
    whole = DATASETS.build(target_cfg)
    content = json.loads((tmp_path / 'target.json').read_text())
    damage(content)
    (tmp_path / 'target.json').write_text(json.dumps(content))
    damaged = DATASETS.build(target_cfg)
    assert names(damaged, tmp_path) == ['u.png', 'v.png', 'w.png']
    for i in range(3):
        assert damaged.get_data_info(i) == whole.get_data_info(i)
        assert torch.equal(damaged[i]['inputs'], whole[i]['inputs'])


def test_target_folder_must_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.*do not exist'):
        UnlabelledDataset('nowhere', data_root=str(tmp_path))


@pytest.mark.parametrize('kind', ['folder', 'list', 'coco'])
def test_target_must_have_images(tmp_path, kind):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'list').write_text('\n \n')
    (tmp_path / 'coco.json').write_text('{"images": []}')
    name = 'coco.json' if kind == 'coco' else kind
    with pytest.raises(ValueError, match='no image in'):
        UnlabelledDataset(name, data_root=str(tmp_path))


@pytest.mark.parametrize(
    'content',
    [
        '{"images": [',
        '[]',
        '{}',
        '{"images": [{"id": 1}]}',
        '{"images": 3}',
        '{"images": [5]}',
        '{"images": null}',
        '{"images": [{"file_name": 5}]}',
    ],
)
def test_malformed_coco_says_which_file(tmp_path, content):
    (tmp_path / 'bad.json').write_text(content)
    with pytest.raises(ValueError, match='bad.json is not (a COCO|valid)'):
        UnlabelledDataset('bad.json', data_root=str(tmp_path))


# The labelled domains


def boxes_by_class(dataset: DomainCocoDataset) -> list[list[tuple]]:
    """List the class names and boxes of each image."""
    classes = dataset.metainfo['classes']
    return [
        [
            (classes[instance['bbox_label']], instance['bbox'])
            for instance in dataset.get_data_info(i)['instances']
        ]
        for i in range(len(dataset))
    ]


@pytest.mark.parametrize(
    'classes', [('person', 'car'), ('car', 'person'), ('person',), ('car',)]
)
@pytest.mark.parametrize(
    'categories', [('car', 'person'), ('person', 'car'), ('bus', 'person', 'car')]
)
def test_labels_follow_the_names_not_the_file(
    write_coco, tmp_path, classes, categories
):
    """The order of a file's categories must not matter."""
    write_coco(
        'ann.json',
        [('a.png', (20, 30)), ('b.png', (20, 30))],
        boxes=[
            (0, 'car', (2, 3, 10, 8)),
            (1, 'person', (5, 5, 4, 9)),
            (1, 'car', (1, 2, 6, 6)),
        ],
        categories=categories,
    )
    dataset = DomainCocoDataset(
        data_root=str(tmp_path), ann_file='ann.json', metainfo=dict(classes=classes)
    )
    truth = [
        [('car', [2, 3, 12, 11])],
        [('person', [5, 5, 9, 14]), ('car', [1, 2, 7, 8])],
    ]
    assert boxes_by_class(dataset) == [
        [box for box in image if box[0] in classes] for image in truth
    ]


def test_annotation_file_must_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.json does not exist'):
        DomainCocoDataset(
            data_root=str(tmp_path), ann_file='gone.json', metainfo=METAINFO
        )


def test_every_class_must_be_in_the_file(source_cfg):
    source_cfg['metainfo'] = dict(classes=('person', 'rider', 'bus'))
    with pytest.raises(
        ValueError,
        match='source.json lacks the categories rider, bus; it has car, person',
    ):
        DATASETS.build(source_cfg)


def test_file_must_name_images(write_coco, source_cfg):
    write_coco('source.json', [])
    with pytest.raises(ValueError, match='names no image'):
        DATASETS.build(source_cfg)


def test_images_lie_under_the_data_prefix(write_coco, tmp_path):
    write_coco('ann.json', [('a.png', (8, 8))])
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'a.png').rename(tmp_path / 'sub/a.png')
    dataset = DomainCocoDataset(
        data_root=str(tmp_path),
        ann_file='ann.json',
        metainfo=METAINFO,
        data_prefix=dict(img='sub'),
    )
    assert dataset.get_data_info(0)['img_path'] == str(tmp_path / 'sub/a.png')


# Both domains at test time


def test_test_images_come_source_first_and_none_is_dropped(
    source_cfg, write_coco, tmp_path
):
    """An image without objects is kept: detections on it count."""
    write_coco(
        'other.json',
        [('x.png', (8, 8)), ('y.png', (8, 8))],
        boxes=[(1, 'car', (1, 1, 4, 4))],
    )
    domain = dict(
        type='DomainCocoDataset',
        data_root=str(tmp_path),
        metainfo=METAINFO,
        filter_cfg=dict(filter_empty_gt=True),
    )
    dataset = DomainTestDataset(
        dict(domain, ann_file='source.json'),
        dict(domain, ann_file='other.json'),
        [*LOAD, *PACK],
    )
    paths = [dataset[i]['data_samples'].img_path for i in range(len(dataset))]
    assert [Path(path).name for path in paths] == [
        'a.png',
        'b.png',
        'c.png',
        'x.png',
        'y.png',
    ]
    assert dataset.metainfo['classes'] == METAINFO['classes']
    assert dataset.metainfo['cumulative_sizes'] == [3, 5]


def test_test_data_set_may_wait_with_reading(tmp_path):
    """DetInferencer asks for this where there is no data set."""
    domain = dict(
        type='DomainCocoDataset',
        data_root=str(tmp_path),
        ann_file='gone.json',
        metainfo=METAINFO,
    )
    dataset = DomainTestDataset(domain, domain, [*LOAD, *PACK], lazy_init=True)
    assert dataset.metainfo['classes'] == METAINFO['classes']
