"""Pictures of what training sees."""
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor

from ..datasets.paired_domain_dataset import PairedDomainDataset

GAP = 8  # White px between the two domains.
LEGIBLE = 400  # Height in px to which smaller images are enlarged.


def draw_pairs(cfg: Config) -> Iterator[tuple[str, np.ndarray]]:
    """Draw the pairs of a training, in its order.

    They come from the training's own data loader, so the same seed gives the
    same pairs and, where the loader has workers, the same random draws.

    Args:
        cfg (Config): Config of the training.

    Yields:
        tuple[str, np.ndarray]: File names of the two images, without their
        endings, and the picture, RGB of shape (H, W, 3): source with its
        boxes to the left, target to the right, after the pipeline. Boxes
        that are ignored in training (crowds) are not drawn.

    Raises:
        ValueError: If the config does not train on pairs.
    """
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    loader = Runner.build_dataloader(
        cfg.train_dataloader, seed=cfg.get('randomness', {}).get('seed'))
    if not isinstance(loader.dataset, PairedDomainDataset):
        raise ValueError(
            'The config trains on a '
            f'{type(loader.dataset).__name__}; only a PairedDomainDataset '
            'has pairs to draw.')
    visualizer = DetLocalVisualizer(alpha=1., line_width=2)
    visualizer.dataset_meta = loader.dataset.metainfo
    for batch in loader:
        images, samples = batch['inputs'], batch['data_samples']
        for i in range(len(images['source'])):
            pair = [(images[branch][i], samples[branch][i])
                    for branch in ('source', 'target')]
            yield (
                '_'.join(Path(sample.img_path).stem for _, sample in pair),
                _side_by_side(
                    [_draw(visualizer, *domain) for domain in pair]))


def _draw(visualizer: DetLocalVisualizer, image: Tensor,
          sample: DetDataSample) -> np.ndarray:
    """Draw an image, BGR of shape (3, H, W), and the boxes that it has.

    A small one is enlarged, each pixel to a square, or the labels hide it.
    """
    scale = max(1, LEGIBLE // image.shape[1])
    pixels = image.permute(1, 2, 0).numpy()[..., ::-1]
    pixels = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    sample = sample.clone()
    if 'bboxes' in sample.gt_instances:
        instances = sample.gt_instances.clone()
        instances.bboxes = instances.bboxes.tensor.numpy() * scale
        sample.gt_instances = instances
    with warnings.catch_warnings():
        # It takes a box that ends at the image's edge for one outside.
        warnings.filterwarnings('ignore', '.*is out of bounds')
        visualizer.add_datasample('pair', pixels, sample, draw_pred=False)
    return visualizer.get_image()


def _side_by_side(pictures: list[np.ndarray]) -> np.ndarray:
    """Lay pictures of any heights beside each other on white."""
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures)
    canvas = np.full((height, width + GAP * (len(pictures) - 1), 3), 255,
                     np.uint8)
    left = 0
    for picture in pictures:
        canvas[:picture.shape[0], left:left + picture.shape[1]] = picture
        left += picture.shape[1] + GAP
    return canvas
