"""Paint images from the disk with a trained CycleGAN."""

from typing import Any

import cv2
import numpy as np
import torch
from mmdet.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from torch import Tensor

from ..utils.errors import DataError
from .cycle_gan import MIDDLE, CycleGAN


class Translator:
    """Paint source images in the look of the target.

    An image is painted whole and at the scale of training, since instance
    normalisation would give each tile a look of its own. It is padded by
    reflection to what the generator takes, cut back, and enlarged to its size
    if training had reduced it.

    Args:
        cfg (Config): The config that the model was trained with: ``model``
            and ``train_dataloader``.
        checkpoint (dict): The checkpoint.
        device (str): Such as ``cpu``. Defaults to ``cpu``.

    Attributes:
        settings (dict): What makes the images besides the weights.

    Raises:
        DataError: If the checkpoint is of another model.
    """

    def __init__(self, cfg: Config, checkpoint: dict, device: str = 'cpu') -> None:
        model = MODELS.build(cfg.model)
        if not isinstance(model, CycleGAN):
            raise DataError(
                f'The checkpoint is of a {type(model).__name__}, not of a CycleGAN: '
                'give one that a cyclegan config has trained.'
            )
        model.load_state_dict(checkpoint['state_dict'])
        self.divisor, self.least = (
            model.divisor,
            model.generators['target'].min_image_size,
        )
        self.generator = model.generators['target'].to(device).eval()
        self.device = device
        resize = [
            step
            for step in cfg.train_dataloader.dataset.source.pipeline
            if step['type'] == 'Resize'
        ]
        self.resize = [TRANSFORMS.build(step) for step in resize]
        self.settings: dict[str, Any] = dict(
            generator=dict(cfg.model.generator), resize=[dict(step) for step in resize]
        )

    @torch.no_grad()
    def __call__(self, image: np.ndarray, name: str = '') -> np.ndarray:
        """Paint an image.

        Args:
            image (np.ndarray): RGB, uint8, of shape (H, W, 3).
            name (str): Not used. Defaults to ''.

        Returns:
            np.ndarray: RGB, uint8, of shape (H, W, 3).
        """
        results: dict[str, Any] = dict(img=image)
        for transform in self.resize:
            results = transform(results)
        resized = results['img']
        height, width = resized.shape[:2]
        padding = [
            (0, max(-side % self.divisor, self.least - side))
            for side in (height, width)
        ]
        padded = np.pad(resized, [*padding, (0, 0)], mode='reflect')
        pixels = torch.from_numpy(padded).to(self.device).permute(2, 0, 1)[None]
        painted = to_pixels(self.generator(pixels / MIDDLE - 1)[0])[:height, :width]
        if painted.shape == image.shape:
            return painted
        return cv2.resize(painted, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def to_pixels(image: Tensor) -> np.ndarray:
    """Turn an image (3, H, W) in [-1, 1] into grey levels.

    Returns:
        np.ndarray: RGB, uint8, of shape (H, W, 3).
    """
    levels = (image.float() * MIDDLE + MIDDLE).round().clamp(0, 255)
    return levels.byte().permute(1, 2, 0).cpu().numpy()
