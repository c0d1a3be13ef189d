"""AP50 of one domain, per class, as VOC and as COCO compute it."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.evaluation import VOCMetric, eval_map
from mmdet.evaluation.functional import bbox_overlaps
from mmdet.evaluation.functional.mean_ap import tpfp_default
from mmdet.registry import METRICS
from mmengine.logging import MMLogger
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from terminaltables import AsciiTable

#: An image's truth (``bboxes``, ``labels``, ``bboxes_ignore``,
#: ``labels_ignore``) and detections, one (n, 5) array per class.
ImageResult = tuple[dict[str, np.ndarray], list[np.ndarray]]


@METRICS.register_module()
class DomainMetric(VOCMetric):
    """AP at IoU 0.5 of one domain, as the paper and as COCO report it.

    Wrap one per domain in mmdet's ``MultiDatasetsEvaluator``, which prefixes
    the keys with ``source/`` and ``target/``. The keys, all in percent, are

    - ``mAP50`` and ``AP50/{class}``: the area under VOC's precision-recall
      curve, which the literature reports;
    - ``coco_mAP50`` and ``coco_AP50/{class}``: COCO's mean over 101 recalls.

    A class without a box in the data has no key and enters no mean. A
    detection that finds no true box is ignored if at least half of it lies in
    a crowd box; for VOC also if it overlaps the crowd most, with an IoU of at
    least 0.5. Images without objects count: a detection there is a false
    positive. Detections of equal score are ranked by image, and within an
    image as the detector orders them, so AP depends on nothing else.

    Args:
        **kwargs: ``collect_device`` and ``prefix`` of mmengine's
            ``BaseMetric``.
    """

    default_prefix = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(iou_thrs=0.5, eval_mode='area', **kwargs)

    def compute_metrics(self, results: list[ImageResult]) -> dict[str, float]:
        """Compute the metrics from all images of the domain.

        Args:
            results (list[tuple]): Truth and detections of each image, as
                ``process`` collected them.

        Returns:
            dict[str, float]: The metrics, in percent; NaN for the means if no
            image has a box.

        Raises:
            ValueError: If there are no images.
        """
        if not results:
            raise ValueError(
                'There is no image to evaluate on: check the '
                "ann_file of the test set's domain."
            )
        classes = self.dataset_meta['classes']
        truths, detections = zip(*results, strict=True)
        num_gts = [
            sum(int((truth['labels'] == label).sum()) for truth in truths)
            for label in range(len(classes))
        ]
        _, voc = voc_ap50(truths, detections, classes)
        voc_aps = [100 * float(result['ap']) for result in voc]
        coco_aps = coco_ap50(truths, detections)
        present = [label for label, num in enumerate(num_gts) if num]

        metrics: dict[str, float] = {}
        for prefix, aps in (('', voc_aps), ('coco_', coco_aps)):
            metrics[f'{prefix}mAP50'] = (
                float(np.mean([aps[label] for label in present]))
                if present
                else float('nan')
            )
            metrics.update(
                {f'{prefix}AP50/{classes[label]}': aps[label] for label in present}
            )
        self._log_table(num_gts, voc_aps, coco_aps, metrics)
        return metrics

    def _log_table(
        self,
        num_gts: list[int],
        voc_aps: list[float],
        coco_aps: list[float],
        metrics: dict[str, float],
    ) -> None:
        """Log a row per class and one for the mean."""
        rows = [['class', 'boxes', 'AP50 (VOC area)', 'AP50 (COCO)']]
        for name, num, voc_ap, coco_ap in zip(
            self.dataset_meta['classes'], num_gts, voc_aps, coco_aps, strict=True
        ):
            aps = [f'{voc_ap:.1f}', f'{coco_ap:.1f}'] if num else ['-', '-']
            rows.append([name, str(num), *aps])
        rows.append(
            [
                'mean',
                str(sum(num_gts)),
                f'{metrics["mAP50"]:.1f}',
                f'{metrics["coco_mAP50"]:.1f}',
            ]
        )
        table = AsciiTable(rows)
        table.inner_footing_row_border = True
        MMLogger.get_current_instance().info(f'\n{table.table}')


def voc_ap50(
    truths: Sequence[dict[str, np.ndarray]],
    detections: Sequence[list[np.ndarray]],
    classes: Sequence[str],
) -> tuple[float, list[dict]]:
    """Compute the area under VOC's precision-recall curves at IoU 0.5.

    Args:
        truths (Sequence[dict]): Truth of each image, see ``ImageResult``.
        detections (Sequence[list]): Its detections.
        classes (Sequence[str]): The classes.

    Returns:
        tuple[float, list[dict]]: The mean over the classes that have a box, in
        [0, 1], and mmdet's results for each class.
    """
    # Corners are coordinates, as COCO's, so VOC's legacy +1 is off.
    return eval_map(
        ranked(detections),
        truths,
        iou_thr=0.5,
        dataset=classes,
        tpfp_fn=judge,
        logger='silent',
        nproc=1,
    )


def ranked(detections: Sequence[list[np.ndarray]]) -> list[list[np.ndarray]]:
    """Replace scores by ranks, so that no two of a class are equal.

    mmdet's ``eval_map`` sorts equal scores into an order that depends on
    their number and on the processor.

    Args:
        detections (Sequence[list]): For each image and class an array of
            shape (n, 5): x1, y1, x2, y2, score.

    Returns:
        list[list]: The same in float64, each score replaced by its negative
        rank among all detections of its class. Equal scores keep their order.
    """
    per_class = []
    for images in zip(*detections, strict=True):
        boxes = np.concatenate(images).astype(float)
        order = np.argsort(-boxes[:, 4], kind='stable')
        boxes[order, 4] = -np.arange(len(boxes))
        ends = np.cumsum([len(image) for image in images])
        per_class.append(np.split(boxes, ends[:-1]))
    return [list(image) for image in zip(*per_class, strict=True)]


def judge(
    detections: np.ndarray,
    boxes: np.ndarray,
    ignored: np.ndarray,
    iou_thr: float,
    *args: Any,
    **kwargs: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Judge an image's detections of a class; spare those in ignored boxes.

    mmdet's own function spares only a detection about as large as the ignored
    box, as VOC does for difficult objects, and counts a small one inside a
    large region as false.

    Args:
        detections (np.ndarray): Corners and score, (M, 5).
        boxes (np.ndarray): True boxes (N, 4).
        ignored (np.ndarray): Ignored boxes (K, 4).
        iou_thr (float): IoU of a match, and least share of a spared detection
            in an ignored box.
        *args: Further arguments of mmdet's ``tpfp_default``.
        **kwargs: The same.

    Returns:
        tuple[np.ndarray, np.ndarray]: Of shape (1, M), 1 for right detections
        and 1 for wrong ones.
    """
    right, wrong = tpfp_default(detections, boxes, ignored, iou_thr, *args, **kwargs)
    if len(ignored):
        shares = bbox_overlaps(detections[:, :4], ignored, mode='iof')
        wrong[:, (shares >= iou_thr).any(axis=1)] = 0
    return right, wrong


def coco_ap50(
    truths: tuple[dict[str, np.ndarray], ...], detections: tuple[list[np.ndarray], ...]
) -> list[float]:
    """Compute COCO's AP at IoU 0.5 of each class with pycocotools.

    Args:
        truths (tuple[dict]): True and ignored boxes of each image.
        detections (tuple[list]): For each image and class an array of shape
            (n, 5): x1, y1, x2, y2, score.

    Returns:
        list[float]: For each class, in percent; meaningless for a class
        without a box.
    """
    num_classes = len(detections[0])
    annotations: list[dict] = []
    results: list[dict] = []
    for image, (truth, per_class) in enumerate(zip(truths, detections, strict=True), 1):
        for suffix, crowd in (('', 0), ('_ignore', 1)):
            for box, label in zip(
                truth[f'bboxes{suffix}'], truth[f'labels{suffix}'], strict=True
            ):
                annotations.append(
                    dict(
                        _coco_box(box, image, int(label)),
                        id=len(annotations) + 1,
                        iscrowd=crowd,
                    )
                )
        for label, boxes in enumerate(per_class):
            results += [
                dict(_coco_box(box, image, label), score=float(box[4])) for box in boxes
            ]
    if not results:
        return [0.0] * num_classes
    # pycocotools prints its progress.
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = dict(
            info={},
            images=[dict(id=i) for i in range(1, len(truths) + 1)],
            categories=[dict(id=c) for c in range(num_classes)],
            annotations=annotations,
        )
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), 'bbox')
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.evaluate()
        evaluation.accumulate()
    # (IoU, recall, class, area, detections): all areas, 100 detections.
    precision = evaluation.eval['precision'][0, :, :, 0, -1]
    return [100 * float(ap) for ap in precision.mean(axis=0)]


def _coco_box(box: np.ndarray, image: int, label: int) -> dict:
    """Write corners as COCO's x, y, width, height."""
    x1, y1, x2, y2 = (float(value) for value in box[:4])
    width, height = x2 - x1, y2 - y1
    return dict(
        image_id=image,
        category_id=label,
        bbox=[x1, y1, width, height],
        area=width * height,
    )
