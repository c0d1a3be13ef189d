"""Cost of loading pairs, compared with as many single images."""

import json
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import InfiniteSampler, pseudo_collate
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader, Dataset, Sampler

from mmdet_ifan.datasets import PairedDomainSampler

from .detectors import Size
from .timing import ratios, time_in_turn


def loading_cost(
    cfg: Config, size: Size, images: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Measure the loading of pairs in this process, without workers.

    Args:
        cfg (Config): Config whose pipelines and batch size are used.
        size (tuple[int, int]): Height and width of the files in pixels.
        images (int): Number of files of each domain, all loaded in a round.
        rounds (int): Number of rounds.

    Returns:
        dict[str, dict[str, float]]: :func:`~benchmark.timing.ratios` of
        ``singly`` (all source images, then all target images, with the same
        pipelines) and ``paired`` to ``singly``.
    """
    init_default_scope('mmdet')
    loader = cfg.train_dataloader
    pairs = loader.dataset.to_dict()
    with tempfile.TemporaryDirectory() as folder:
        classes = pairs['source']['metainfo']['classes']
        _write_domain(Path(folder), size, images, classes)
        pairs['source'].update(data_root=folder, ann_file='boxes.json')
        pairs['target'].update(data_root=folder, images='boxes.json')
        paired = DATASETS.build(pairs)
        source, target = paired.source, paired.target

        def load(dataset: Dataset, sampler: Sampler) -> None:
            batches = DataLoader(
                dataset, loader.batch_size, sampler=sampler, collate_fn=pseudo_collate
            )
            for _ in islice(batches, images // loader.batch_size):
                pass

        def load_singly() -> None:
            for domain in (source, target):
                load(domain, InfiniteSampler(domain, seed=0))

        works: dict[str, Callable] = dict(
            singly=load_singly,
            paired=partial(load, paired, PairedDomainSampler(paired, seed=0)),
        )
        return ratios(time_in_turn(works, rounds), 'singly')


def _write_domain(
    folder: Path, size: Size, images: int, classes: tuple[str, ...]
) -> None:
    """Write images that compress like photographs, and their boxes."""
    random = np.random.default_rng(0)
    height, width = size
    content: dict[str, list] = dict(
        images=[],
        annotations=[],
        categories=[dict(id=i, name=name) for i, name in enumerate(classes)],
    )
    for i in range(images):
        coarse = random.integers(0, 230, (height // 16, width // 16, 3))
        image = cv2.resize(coarse.astype(np.float32), (width, height))
        image += random.integers(0, 20, image.shape)
        cv2.imwrite(str(folder / f'{i}.png'), image.astype(np.uint8))
        content['images'].append(
            dict(id=i, file_name=f'{i}.png', height=height, width=width)
        )
        content['annotations'] += [
            dict(
                id=8 * i + j,
                image_id=i,
                category_id=j % len(classes),
                bbox=[j, j, width // 4, height // 4],
                area=width * height // 16,
                iscrowd=0,
            )
            for j in range(8)
        ]
    (folder / 'boxes.json').write_text(json.dumps(content))
