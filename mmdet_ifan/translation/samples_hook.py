"""Show what the generators paint while they learn."""

from typing import Any

import numpy as np
import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from .cycle_gan import DOMAINS, PAIRS
from .translator import to_pixels


@HOOKS.register_module()
class TranslationSamplesHook(Hook):
    """Write a picture of the latest batch: the loss says little.

    Its rows are the first source and the first target image: the image, how it
    is painted, and how that is painted back. The visualizer's backends store
    it; on the disk it is ``vis_data/vis_image/translation_{iteration}.png``.
    Training is not changed.

    Args:
        interval (int): Iterations between pictures, > 0; the last iteration
            has one as well. Defaults to 1000.
    """

    priority = 'LOW'

    def __init__(self, interval: int = 1000) -> None:
        self.interval = interval

    @torch.no_grad()
    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Any = None,
    ) -> None:
        """Write the picture if it is time."""
        if not (
            self.every_n_train_iters(runner, self.interval)
            or self.is_last_train_iter(runner)
        ):
            return
        model: Any = runner.model
        model = model.module if is_model_wrapper(model) else model
        images = model.data_preprocessor(data_batch, True)['inputs']
        images = {domain: images[domain][:1] for domain in DOMAINS}
        painted = model.paint(images)
        back = model.paint(painted)
        rows = [[images[one], painted[other], back[one]] for one, other in PAIRS]
        picture = [
            np.concatenate([to_pixels(image[0]) for image in row], axis=1)
            for row in rows
        ]
        runner.visualizer.add_image(
            'translation', np.concatenate(picture), step=runner.iter + 1
        )
