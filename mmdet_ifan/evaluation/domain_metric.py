"""One measure for both domains: VOC area AP50 and COCO AP50, per class."""
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

#: One image's truth (``bboxes``, ``labels``, ``bboxes_ignore``,
#: ``labels_ignore``) and its detections, one (n, 5) array per class.
ImageResult = tuple[dict[str, np.ndarray], list[np.ndarray]]


@METRICS.register_module()
class DomainMetric(VOCMetric):
    """AP at IoU 0.5 of one domain, as the paper reports it and as COCO does.

    Wrap one per domain in mmdet's ``MultiDatasetsEvaluator``, which prefixes
    the keys with ``source/`` and ``target/``. The keys, all in percent, are
    ``mAP50`` and ``AP50/{class}`` (area under the VOC precision-recall curve,
    the number of the literature) and ``coco_mAP50`` and
    ``coco_AP50/{class}`` (COCO's 101 points). A class without a box in the
    data is in no mean and has no key. A detection that finds no true box
    counts neither way if half of it or more lies in a box marked crowd; for
    VOC also one that overlaps the crowd most, at an IoU of 0.5.
    Images without objects count: a detection there is a false positive.
    Detections of equal score are ranked in the order of the images, within an
    image in the detector's, so that AP depends on nothing else.

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
            results (list): What ``process`` collected of each image.

        Returns:
            dict[str, float]: The metrics, in percent.

        Raises:
            ValueError: If there are no images.
        """
        if not results:
            raise ValueError('There is no image to evaluate on.')
        classes = self.dataset_meta['classes']
        truths, detections = zip(*results, strict=True)
        num_gts = [
            sum(int((truth['labels'] == label).sum()) for truth in truths)
            for label in range(len(classes))
        ]
        # The boxes are COCO's: their corners are coordinates, not pixels, so
        # no legacy +1.
        _, voc = eval_map(
            ranked(detections),
            truths,
            iou_thr=0.5,
            dataset=classes,
            tpfp_fn=judge,
            logger='silent',
            nproc=1)
        voc_aps = [100 * float(result['ap']) for result in voc]
        coco_aps = coco_ap50(truths, detections)
        present = [label for label, num in enumerate(num_gts) if num]

        metrics: dict[str, float] = {}
        for prefix, aps in (('', voc_aps), ('coco_', coco_aps)):
            metrics[f'{prefix}mAP50'] = (
                float(np.mean([aps[label] for label in present]))
                if present else float('nan'))
            metrics.update({
                f'{prefix}AP50/{classes[label]}': aps[label]
                for label in present
            })
        self._log_table(num_gts, voc_aps, coco_aps, metrics)
        return metrics

    def _log_table(self, num_gts: list[int], voc_aps: list[float],
                   coco_aps: list[float], metrics: dict[str, float]) -> None:
        """Print one line per class and the mean."""
        rows = [['class', 'boxes', 'AP50 (VOC area)', 'AP50 (COCO)']]
        for name, num, voc_ap, coco_ap in zip(
                self.dataset_meta['classes'],
                num_gts,
                voc_aps,
                coco_aps,
                strict=True):
            aps = [f'{voc_ap:.1f}', f'{coco_ap:.1f}'] if num else ['-', '-']
            rows.append([name, str(num), *aps])
        rows.append([
            'mean',
            str(sum(num_gts)), f'{metrics["mAP50"]:.1f}',
            f'{metrics["coco_mAP50"]:.1f}'
        ])
        table = AsciiTable(rows)
        table.inner_footing_row_border = True
        MMLogger.get_current_instance().info(f'\n{table.table}')


def ranked(
        detections: Sequence[list[np.ndarray]]) -> list[list[np.ndarray]]:
    """Replace scores by ranks, of which no two of a class are equal.

    mmdet's ``eval_map`` sorts by an algorithm that leaves equal scores in an
    order which depends on their number and on the processor.

    Args:
        detections (Sequence[list]): Each image's detections, for each class
            an array of shape (n, 5): x1, y1, x2, y2, score.

    Returns:
        list[list]: The same in float64, with the negative rank in its class,
        over all images, for the score. Equal scores keep their order.
    """
    per_class = []
    for images in zip(*detections, strict=True):
        boxes = np.concatenate(images).astype(float)
        order = np.argsort(-boxes[:, 4], kind='stable')
        boxes[order, 4] = -np.arange(len(boxes))
        ends = np.cumsum([len(image) for image in images])
        per_class.append(np.split(boxes, ends[:-1]))
    return [list(image) for image in zip(*per_class, strict=True)]


def judge(detections: np.ndarray, boxes: np.ndarray, ignored: np.ndarray,
          iou_thr: float, *args: Any,
          **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Judge an image's detections of a class; spare those in ignored boxes.

    mmdet's own judge spares one that is as large as the ignored box alone, as
    VOC does for difficult objects, and takes one inside a large region for
    false.

    Args:
        detections (np.ndarray): Corners and score, (M, 5).
        boxes (np.ndarray): True boxes (N, 4).
        ignored (np.ndarray): Ignored boxes (K, 4).
        iou_thr (float): Overlap of a match, and least share of a detection in
            an ignored box.
        *args: Further arguments of mmdet's ``tpfp_default``.
        **kwargs: The same.

    Returns:
        tuple[np.ndarray, np.ndarray]: 1 for right and 1 for wrong detections,
        both of shape (1, M).
    """
    right, wrong = tpfp_default(detections, boxes, ignored, iou_thr, *args,
                                **kwargs)
    if len(ignored):
        shares = bbox_overlaps(detections[:, :4], ignored, mode='iof')
        wrong[:, (shares >= iou_thr).any(axis=1)] = 0
    return right, wrong


def coco_ap50(truths: tuple[dict[str, np.ndarray], ...],
              detections: tuple[list[np.ndarray], ...]) -> list[float]:
    """Compute COCO's AP at IoU 0.5 of each class with pycocotools.

    Args:
        truths (tuple[dict]): Each image's true and ignored boxes.
        detections (tuple[list]): Each image's detections, for each class an
            array of shape (n, 5): x1, y1, x2, y2, score.

    Returns:
        list[float]: Percent for each class; without meaning for a class
        without a box.
    """
    num_classes = len(detections[0])
    annotations: list[dict] = []
    results: list[dict] = []
    for image, (truth, per_class) in enumerate(
            zip(truths, detections, strict=True), 1):
        for suffix, crowd in (('', 0), ('_ignore', 1)):
            for box, label in zip(
                    truth[f'bboxes{suffix}'],
                    truth[f'labels{suffix}'],
                    strict=True):
                annotations.append(
                    dict(
                        _coco_box(box, image, int(label)),
                        id=len(annotations) + 1,
                        iscrowd=crowd))
        for label, boxes in enumerate(per_class):
            results += [
                dict(_coco_box(box, image, label), score=float(box[4]))
                for box in boxes
            ]
    if not results:
        return [0.0] * num_classes
    # pycocotools prints what it does; our table says it better.
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = dict(
            info={},
            images=[dict(id=i) for i in range(1, len(truths) + 1)],
            categories=[dict(id=c) for c in range(num_classes)],
            annotations=annotations)
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
        area=width * height)
