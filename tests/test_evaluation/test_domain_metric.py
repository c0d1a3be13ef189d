"""Both AP50s against plain implementations, one detection at a time."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.evaluation import eval_map
from mmdet.registry import DATASETS, METRICS
from mmengine.logging import MMLogger
from mmengine.registry import EVALUATOR

from mmdet_ifan.evaluation import DomainMetric
from mmdet_ifan.evaluation import judge as spare_ignored

CLASSES = ('car', 'person', 'train')

#: A box (x1, y1, x2, y2) and its label; a detection also has a score.
Truth = tuple[tuple[float, ...], int]
Detection = tuple[tuple[float, ...], int, float]
#: An image's boxes, crowds and detections.
Image = tuple[list[Truth], list[Truth], list[Detection]]


@pytest.fixture(autouse=True, scope='module')
def threads() -> Iterator[None]:
    """Let mmdet use pools of threads: a process costs a tenth of a second."""
    with patch('mmdet.evaluation.functional.mean_ap.Pool', ThreadPool):
        yield


# Two plain implementations


def intersection(a: Sequence[float], b: Sequence[float]) -> float:
    """Compute the area two boxes share; corners are coordinates."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def area(box: Sequence[float]) -> float:
    """Area of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union."""
    shared = intersection(a, b)
    return shared / (area(a) + area(b) - shared)


def of_class(boxes: list, label: int) -> list:
    """Keep the boxes of one class."""
    return [box for box in boxes if box[1] == label]


def voc_judge(truths: list, crowds: list, detections: list) -> list[tuple]:
    """Judge an image's detections as VOC does: (score, right or wrong).

    The box of the largest overlap decides. A detection that matches or lies
    in an ignored box is not counted.
    """
    verdicts, taken = [], set()
    for box, _, score in sorted(detections, key=lambda d: -d[2]):
        overlaps = [iou(box, other) for other, _ in truths + crowds]
        best = int(np.argmax(overlaps)) if overlaps else None
        matches = best is not None and overlaps[best] >= 0.5
        right = matches and best < len(truths) and best not in taken
        spared = (matches and best >= len(truths)) or any(
            intersection(box, crowd) / area(box) >= 0.5 for crowd, _ in crowds
        )
        if right:
            taken.add(best)
        if right or not spared:
            verdicts.append((score, right))
    return verdicts


def coco_judge(truths: list, crowds: list, detections: list) -> list[tuple]:
    """Judge an image's detections as COCO does: (score, right or wrong).

    The free box of the largest overlap takes a detection. A crowd takes those
    that no box takes, however small a part of it they cover.
    """
    verdicts, taken = [], set()
    for box, _, score in sorted(detections, key=lambda d: -d[2])[:100]:
        overlaps = {
            i: iou(box, other) for i, (other, _) in enumerate(truths) if i not in taken
        }
        best = max(overlaps, key=lambda i: overlaps[i], default=None)
        if best is not None and overlaps[best] >= 0.5:
            verdicts.append((score, True))
            taken.add(best)
        elif not any(
            intersection(box, crowd) / area(box) >= 0.5 for crowd, _ in crowds
        ):
            verdicts.append((score, False))
    return verdicts


def curve(verdicts: list[tuple], num_truths: int) -> list[tuple]:
    """List points (recall, precision) by falling score."""
    points, right = [], 0
    for i, (_, is_right) in enumerate(sorted(verdicts, key=lambda v: -v[0]), 1):
        right += is_right
        points.append((right / num_truths, right / i))
    return points


def area_under(points: list[tuple]) -> float:
    """Compute the area under the curve of best precisions beyond a recall."""
    total, last = 0.0, 0.0
    for i, (recall, _) in enumerate(points):
        total += (recall - last) * max(p for _, p in points[i:])
        last = recall
    return total


def mean_of_101(points: list[tuple]) -> float:
    """Average the best precisions beyond the recalls 0, .01, ..., 1."""
    return (
        sum(
            max([p for r, p in points if r >= level], default=0.0)
            for level in np.linspace(0, 1, 101)
        )
        / 101
    )


def plain_metrics(images: list[Image]) -> dict[str, float]:
    """Compute the metrics that DomainMetric must return."""
    metrics = {}
    for prefix, judge, average in (
        ('', voc_judge, area_under),
        ('coco_', coco_judge, mean_of_101),
    ):
        aps = {}
        for label, name in enumerate(CLASSES):
            num = sum(len(of_class(truths, label)) for truths, _, _ in images)
            if num:
                verdicts = [
                    verdict
                    for image in images
                    for verdict in judge(*(of_class(boxes, label) for boxes in image))
                ]
                aps[f'{prefix}AP50/{name}'] = 100 * average(curve(verdicts, num))
        metrics.update(aps)
        metrics[f'{prefix}mAP50'] = sum(aps.values()) / len(aps) if aps else math.nan
    return metrics


# From images to the metric


def as_sample(image: Image) -> dict:
    """Convert an image to the data sample that an evaluator passes on."""

    def instances(boxes: list, scored: bool = False) -> dict:
        result = dict(
            bboxes=torch.tensor([box[0] for box in boxes], dtype=torch.float32).reshape(
                -1, 4
            ),
            labels=torch.tensor([box[1] for box in boxes], dtype=torch.long),
        )
        if scored:
            result['scores'] = torch.tensor(
                [box[2] for box in boxes], dtype=torch.float32
            )
        return result

    truths, crowds, detections = image
    return dict(
        gt_instances=instances(truths),
        ignored_instances=instances(crowds),
        pred_instances=instances(detections, scored=True),
    )


def measure(images: list[Image]) -> dict[str, float]:
    """Run DomainMetric."""
    metric = METRICS.build(dict(type='DomainMetric'))
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, [as_sample(image) for image in images])
    return metric.evaluate(len(images))


def random_images(
    rng: np.random.Generator, num: int, with_crowds: bool, scores: int | None = None
) -> list[Image]:
    """Draw images in which detections hit, miss, repeat and go astray.

    With so few different ``scores``, most detections share theirs.
    """

    def score() -> float:
        return float(
            np.float32(
                rng.random() if scores is None else rng.integers(scores) / scores
            )
        )

    def box() -> tuple[float, ...]:
        x, y, width, height = rng.uniform((0, 0, 4, 4), (60, 40, 40, 30))
        return tuple(float(np.float32(v)) for v in (x, y, x + width, y + height))

    def near(other: tuple[float, ...]) -> tuple[float, ...]:
        x1, y1, x2, y2 = other
        return tuple(
            float(np.float32(v + shift))
            for v, shift in zip(
                other,
                rng.uniform(-0.3, 0.3, 4) * (x2 - x1, y2 - y1, x2 - x1, y2 - y1),
                strict=True,
            )
        )

    images = []
    for _ in range(num):
        truths, crowds = (
            [(box(), int(rng.integers(2))) for _ in range(num)]
            for num in (rng.integers(4), rng.integers(3) * with_crowds)
        )
        places = [
            (near(other), label)
            for other, label in 2 * truths + crowds
            if rng.random() < 0.8
        ]
        places += [(box(), int(rng.integers(3))) for _ in range(rng.integers(3))]
        images.append((truths, crowds, [(*place, score()) for place in places]))
    return images


def assert_metrics(ours: dict[str, float], expected: dict[str, float]) -> None:
    """Compare the keys and the numbers."""
    assert ours.keys() == expected.keys()
    for key, value in expected.items():
        assert ours[key] == pytest.approx(value, abs=1e-3, nan_ok=True), key


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.booleans())
@settings(max_examples=25, deadline=None)
def test_equals_plain_implementations(seed, num, with_crowds):
    images = random_images(np.random.default_rng(seed), num, with_crowds)
    assert_metrics(measure(images), plain_metrics(images))


@pytest.mark.parametrize('scores', [2, 3, 5])
def test_equal_scores_keep_the_order_of_the_images(scores):
    """As in Python's sort; there are enough for NumPy's to mix them."""
    images = random_images(np.random.default_rng(0), 100, True, scores)
    assert_metrics(measure(images), plain_metrics(images))


@pytest.mark.parametrize('others', [1, 20, 500])
def test_what_scores_less_does_not_order_equal_scores(others):
    """It comes after them, so no AP can change."""
    images = random_images(np.random.default_rng(1), 100, True, 3)
    images = [
        (truths, crowds, [(box, label, score + 0.5) for box, label, score in found])
        for truths, crowds, found in images
    ]
    empty = ([], [], [(FAR, label, 0.1) for label in range(2)])
    assert measure(images + others * [empty]) == measure(images)


def test_equals_mmdets_where_no_scores_are_equal():
    images = random_images(np.random.default_rng(2), 40, True)
    metric = DomainMetric()
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, [as_sample(image) for image in images])
    truths, detections = zip(*metric.results, strict=True)
    _, expected = eval_map(
        detections,
        truths,
        iou_thr=0.5,
        dataset=CLASSES,
        tpfp_fn=spare_ignored,
        logger='silent',
    )
    found = metric.compute_metrics(metric.results)
    for name, result in zip(CLASSES[:2], expected, strict=False):
        assert found[f'AP50/{name}'] == 100 * float(result['ap'])


def test_plain_implementations_disagree_with_each_other():
    """Random images distinguish VOC from COCO and right from wrong."""
    images = random_images(np.random.default_rng(2), 8, True)
    metrics = plain_metrics(images)
    assert abs(metrics['mAP50'] - metrics['coco_mAP50']) > 0.1
    assert 5 < metrics['mAP50'] < 95


BOX, OTHER, FAR = (0, 0, 10, 10), (20, 20, 40, 40), (60, 60, 70, 70)


def test_hand_worked_case():
    """Two cars, three detections: right .9, wrong .8, right .7.

    The curve goes through (1/2, 1) and (1, 2/3): its area is 1/2 + 1/2 · 2/3,
    and 51 of COCO's 101 recalls are at most 1/2.
    """
    metrics = measure(
        [
            ([(BOX, 0)], [], [(BOX, 0, 0.9), (FAR, 0, 0.8)]),
            ([(OTHER, 0)], [], [(OTHER, 0, 0.7)]),
        ]
    )
    voc, coco = 100 * (1 / 2 + 1 / 3), 100 * (51 + 50 * 2 / 3) / 101
    assert_metrics(
        metrics,
        {'AP50/car': voc, 'mAP50': voc, 'coco_AP50/car': coco, 'coco_mAP50': coco},
    )


@pytest.mark.parametrize(
    ('shift', 'ap'),
    [
        # IoU 8/12 and, just under and over a half, 6.6/13.4 and 6.7/13.3.
        (2.0, 100.0),
        (3.4, 0.0),
        (3.3, 100.0),
    ],
)
def test_a_hit_is_an_iou_of_a_half(shift, ap):
    """mmdet's legacy pixel, which is off, would make 3.4 a hit."""
    metrics = measure([([(BOX, 0)], [], [((shift, 0, 10 + shift, 10), 0, 0.9)])])
    assert metrics['mAP50'] == pytest.approx(ap)
    assert metrics['coco_mAP50'] == pytest.approx(ap)


def test_second_detection_of_a_box_is_wrong():
    metrics = measure(
        [
            (
                [(BOX, 0), (OTHER, 0)],
                [],
                [(BOX, 0, 0.9), ((0, 0, 10, 11), 0, 0.8), (OTHER, 0, 0.7)],
            )
        ]
    )
    assert metrics['mAP50'] == pytest.approx(100 * (1 / 2 + 1 / 3))


def test_category_must_be_right():
    metrics = measure([([(BOX, 0)], [], [(BOX, 1, 0.9)])])
    assert metrics == {
        'mAP50': 0.0,
        'coco_mAP50': 0.0,
        'AP50/car': 0.0,
        'coco_AP50/car': 0.0,
    }


@pytest.mark.parametrize('prefix', ['', 'coco_'])
def test_crowds_count_neither_way(prefix):
    """Neither a detection on a crowd nor a missed crowd is an error."""
    image = ([(BOX, 0)], [(OTHER, 0)], [(BOX, 0, 0.5)])
    assert measure([image])[f'{prefix}mAP50'] == pytest.approx(100)
    image[2].extend([(OTHER, 0, 0.9), ((20, 20, 40, 39), 0, 0.8)])
    assert measure([image])[f'{prefix}mAP50'] == pytest.approx(100)
    # A small part of the crowd is no error, a box half outside is.
    image[2].extend([((22, 22, 26, 28), 0, 0.9)])
    assert measure([image])[f'{prefix}mAP50'] == pytest.approx(100)
    astray = ((22, 16, 26, 23), 0, 0.9)
    assert measure([(*image[:2], [*image[2], astray])])[
        f'{prefix}mAP50'
    ] == pytest.approx(50)
    # Elsewhere it is an error.
    image[2].append((FAR, 0, 0.95))
    assert measure([image])[f'{prefix}mAP50'] == pytest.approx(50)


@pytest.mark.parametrize('prefix', ['', 'coco_'])
def test_images_without_objects_count(prefix):
    """Detections there are false positives."""
    good = ([(BOX, 0)], [], [(BOX, 0, 0.5)])
    empty = ([], [], [(OTHER, 0, 0.9)])
    quiet = ([], [], [])
    assert measure([good, quiet])[f'{prefix}mAP50'] == pytest.approx(100)
    assert measure([good, empty])[f'{prefix}mAP50'] == pytest.approx(50)
    assert measure([empty, good])[f'{prefix}mAP50'] == pytest.approx(50)


def test_class_without_a_box_is_in_no_mean():
    metrics = measure(
        [([(BOX, 0), (OTHER, 1)], [(FAR, 2)], [(BOX, 0, 0.9), (FAR, 2, 0.8)])]
    )
    assert metrics == {
        'mAP50': pytest.approx(50),
        'coco_mAP50': pytest.approx(50),
        'AP50/car': pytest.approx(100),
        'AP50/person': 0,
        'coco_AP50/car': pytest.approx(100),
        'coco_AP50/person': 0,
    }


def test_no_box_of_any_class_is_no_number():
    metrics = measure([([], [], [(BOX, 0, 0.9)]), ([], [], [])])
    assert metrics.keys() == {'mAP50', 'coco_mAP50'}
    assert all(math.isnan(value) for value in metrics.values())


def test_no_detection_is_zero():
    assert measure([([(BOX, 0)], [], []), ([(FAR, 1)], [], [])]) == {
        'mAP50': 0,
        'AP50/car': 0,
        'AP50/person': 0,
        'coco_mAP50': 0,
        'coco_AP50/car': 0,
        'coco_AP50/person': 0,
    }


def test_no_image_is_refused():
    metric = DomainMetric()
    metric.dataset_meta = dict(classes=CLASSES)
    with pytest.raises(ValueError, match='no image'):
        metric.compute_metrics([])


def test_samples_are_left_alone():
    sample = as_sample(([(BOX, 0)], [], [(BOX, 0, 0.9)]))
    before = copy.deepcopy(sample)
    metric = DomainMetric()
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, [sample])
    for part, values in before.items():
        for key, value in values.items():
            assert torch.equal(sample[part][key], value)


def test_table_names_each_class_once():
    """A class without boxes has a row, but no number."""
    with patch.object(MMLogger, 'get_current_instance') as current:
        measure([([(BOX, 0), (OTHER, 0)], [], [(BOX, 0, 0.9)])])
    lines = current().info.call_args.args[0].splitlines()
    rows = [
        [cell.strip() for cell in line.split('|')[1:-1]]
        for line in lines
        if '|' in line
    ]
    assert ['car', '2', '50.0', '50.5'] in rows
    assert ['train', '0', '-', '-'] in rows
    assert ['mean', '2', '50.0', '50.5'] in rows


# Both domains in one run


@pytest.fixture
def both_domains(write_coco: Callable, tmp_path: Path) -> dict:
    """Config of a test set of two source and three target images."""
    write_coco(
        'source.json',
        [('a.png', (100, 100)), ('b.png', (100, 100))],
        boxes=[(0, 'car', (0, 0, 10, 10)), (1, 'car', (20, 20, 20, 20))],
        categories=CLASSES,
    )
    write_coco(
        'target.json',
        [('u.png', (100, 100)), ('v.png', (100, 100)), ('w.png', (100, 100))],
        boxes=[
            (0, 'car', (0, 0, 10, 10)),
            (0, 'car', (60, 60, 10, 10)),
            (2, 'person', (20, 20, 20, 20)),
        ],
        crowds=[1],
        categories=CLASSES,
    )
    domain = dict(
        type='DomainCocoDataset',
        data_root=str(tmp_path),
        metainfo=dict(classes=CLASSES),
    )
    return dict(
        type='DomainTestDataset',
        source=dict(domain, ann_file='source.json'),
        target=dict(domain, ann_file='target.json'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs'),
        ],
    )


@pytest.mark.parametrize('batch_size', [1, 2, 5])
def test_domains_of_one_run_are_told_apart(both_domains, batch_size):
    """Even if a batch holds images of both."""
    dataset = DATASETS.build(both_domains)
    detections = [
        [(BOX, 0, 0.9)],
        [(FAR, 0, 0.8)],
        [(BOX, 0, 0.9), (FAR, 0, 0.95)],
        [(FAR, 0, 0.3)],
        [(OTHER, 1, 0.7), (BOX, 1, 0.9)],
    ]
    evaluator = EVALUATOR.build(
        dict(
            type='MultiDatasetsEvaluator',
            metrics=[dict(type='DomainMetric'), dict(type='DomainMetric')],
            dataset_prefixes=['source', 'target'],
        )
    )
    evaluator.dataset_meta = dataset.metainfo
    samples = []
    for item, found in zip(dataset, detections, strict=True):
        sample = item['data_samples']
        sample.gt_instances.bboxes = sample.gt_instances.bboxes.tensor
        sample.ignored_instances.bboxes = sample.ignored_instances.bboxes.tensor
        sample.set_data(
            dict(
                pred_instances=type(sample.gt_instances)(
                    **as_sample(([], [], found))['pred_instances']
                )
            )
        )
        samples.append(sample)
    for i in range(0, 5, batch_size):
        evaluator.process(samples[i : i + batch_size])
    metrics = evaluator.evaluate(len(dataset))
    source = plain_metrics(
        [([(BOX, 0)], [], detections[0]), ([(OTHER, 0)], [], detections[1])]
    )
    target = plain_metrics(
        [
            ([(BOX, 0)], [(FAR, 0)], detections[2]),
            ([], [], detections[3]),
            ([(OTHER, 1)], [], detections[4]),
        ]
    )
    assert_metrics(
        metrics,
        {
            **{f'source/{key}': value for key, value in source.items()},
            **{f'target/{key}': value for key, value in target.items()},
        },
    )
    assert source['mAP50'] == pytest.approx(50)
    assert target['mAP50'] == pytest.approx(75)
