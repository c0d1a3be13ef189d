"""Pictures of the pairs that a run trains on."""

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

GAP = 8  # White pixels between the two domains.
LEGIBLE = 400  # Smaller images are enlarged to this height in pixels.


def draw_pairs(cfg: Config) -> Iterator[tuple[str, np.ndarray]]:
    """Draw the pairs of a run, in its order.

    They come from the run's own data loader. The same seed gives the same
    pairs and, if the loader has workers, the same random transforms.

    Args:
        cfg (Config): Config of the run.

    Yields:
        tuple[str, np.ndarray]: The stems of the two file names, and the
        picture after the pipeline, RGB of shape (H, W, 3): source with its
        boxes to the left, target to the right, views next to their domain.
        Ignored boxes (crowds) are not drawn.

    Raises:
        ValueError: If the config does not train on pairs.
    """
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    loader = Runner.build_dataloader(
        cfg.train_dataloader, seed=cfg.get('randomness', {}).get('seed')
    )
    if not isinstance(loader.dataset, PairedDomainDataset):
        raise ValueError(
            'The config trains on a '
            f'{type(loader.dataset).__name__}, which has no pairs to draw: '
            'choose a config that trains on a PairedDomainDataset.'
        )
    visualizer = DetLocalVisualizer(alpha=1.0, line_width=2)
    visualizer.dataset_meta = loader.dataset.metainfo
    for batch in loader:
        images, samples = batch['inputs'], batch['data_samples']
        for i in range(len(images['source'])):
            yield (
                '_'.join(
                    Path(samples[domain][i].img_path).stem
                    for domain in ('source', 'target')
                ),
                _side_by_side(
                    [
                        _draw(visualizer, images[branch][i], samples[branch][i])
                        for branch in images
                    ]
                ),
            )


def _draw(
    visualizer: DetLocalVisualizer, image: Tensor, sample: DetDataSample
) -> np.ndarray:
    """Draw an image, BGR of shape (3, H, W), and its boxes.

    Labels would hide a small image, so its pixels are enlarged to squares.
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
        # It warns of boxes that end at the image's edge.
        warnings.filterwarnings('ignore', '.*is out of bounds')
        visualizer.add_datasample('pair', pixels, sample, draw_pred=False)
    return visualizer.get_image()


def _side_by_side(pictures: list[np.ndarray]) -> np.ndarray:
    """Put pictures of any height side by side on white."""
    height = max(len(picture) for picture in pictures)
    padded = [
        np.pad(
            picture, ((0, height - len(picture)), (0, GAP), (0, 0)), constant_values=255
        )
        for picture in pictures
    ]
    return np.hstack(padded)[:, :-GAP]
