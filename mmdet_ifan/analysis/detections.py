"""True and detected boxes of one domain's test images."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmdet.apis import DetInferencer
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from ..engine.checks.checkpoint import load_fitting


@dataclass
class Truth:
    """The objects of an image.

    Attributes:
        path (str): The image.
        boxes (np.ndarray): Corners (N, 4) in pixels.
        labels (np.ndarray): Indices of the classes (N, ).
        crowds (np.ndarray): Corners (M, 4) of ignored boxes in pixels.
    """

    path: str
    boxes: np.ndarray
    labels: np.ndarray
    crowds: np.ndarray


@dataclass
class Detections:
    """The detections in an image.

    Attributes:
        boxes (np.ndarray): Corners (N, 4) in pixels.
        labels (np.ndarray): Indices of the classes (N, ).
        scores (np.ndarray): Scores (N, ) in [0, 1].
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


def read_truth(cfg: Config, domain: str) -> tuple[list[Truth], list[str]]:
    """Read the true boxes of a domain's test images.

    Args:
        cfg (Config): Config of a pair.
        domain (str): ``source`` or ``target``.

    Returns:
        tuple[list[Truth], list[str]]: The images, and the class names.
    """
    init_default_scope('mmdet')
    dataset = DATASETS.build(dict(cfg.test_dataloader.dataset[domain], test_mode=True))
    truths = []
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        boxes, crowds = (
            np.array(
                [
                    instance['bbox']
                    for instance in info['instances']
                    if bool(instance['ignore_flag']) == ignored
                ]
            ).reshape(-1, 4)
            for ignored in (False, True)
        )
        labels = np.array(
            [
                instance['bbox_label']
                for instance in info['instances']
                if not instance['ignore_flag']
            ],
            dtype=int,
        )
        truths.append(Truth(info['img_path'], boxes, labels, crowds))
    return truths, list(dataset.metainfo['classes'])


def detect(
    config: Config | Path,
    checkpoint: Path | str,
    paths: Sequence[str],
    score_thr: float,
    device: str = 'cpu',
) -> list[Detections]:
    """Run a detector on images.

    Args:
        config (Config | Path): Config of the detector.
        checkpoint (Path | str): Its checkpoint.
        paths (Sequence[str]): The images.
        score_thr (float): Lowest score that counts, in [0, 1].
        device (str): Device to run on. Defaults to ``cpu``.

    Returns:
        list[Detections]: The detections of each image, best first.

    Raises:
        DataError: If the checkpoint does not fit the config, or its classes
            differ in name or order.
    """
    if not isinstance(config, Config):
        config = Config.fromfile(config)
    # DetInferencer changes the config that it gets.
    inferencer = DetInferencer(copy.deepcopy(config), str(checkpoint), device=device)
    load_fitting(inferencer.model, str(checkpoint), config)
    inferencer.show_progress = len(paths) > 20
    results = inferencer(list(paths), return_datasamples=True, no_save_vis=True)
    detections = []
    for sample in results['predictions']:
        found = sample.pred_instances
        found = found[found.scores >= score_thr].cpu().numpy()
        order = np.argsort(-found.scores, kind='stable')
        detections.append(
            Detections(found.bboxes[order], found.labels[order], found.scores[order])
        )
    return detections
