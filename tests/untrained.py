"""A method before training, with everything launched, and what it sees."""

import copy
from typing import Any

from benchmark.detectors import (
    Load,
    build_untrained,
    launch_all,
    random_images,
    split_domains,
)
from mmengine.config import Config

from mmdet_ifan.models import IFANDetector


def untrained(cfg: Config) -> tuple[IFANDetector, IFANDetector, dict[str, Any]]:
    """Build a leaf's detector, an equal teacher and a batch of two pairs."""
    detector = build_untrained(cfg.model).cpu().train()
    launch_all(detector)
    teacher = copy.deepcopy(detector).requires_grad_(False).eval()
    images = random_images(
        Load((128, 256), batch=4), cfg.model.roi_head.bbox_head.num_classes
    )
    return detector, teacher, split_domains(images)
