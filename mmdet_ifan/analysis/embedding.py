"""RoI features of both domains, embedded by t-SNE (paper, Figure 3)."""

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from mmdet.apis import init_detector
from mmdet.registry import DATASETS
from mmdet.structures.bbox import bbox2roi
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from ..engine.checks.checkpoint import load_fitting
from ..utils.errors import DataError

#: Number of principal components that are measured and embedded.
DIMENSIONS = 50
MARKERS = dict(source='o', target='^')


@dataclass
class Objects:
    """Pooled features of the true boxes of one domain's test images.

    Attributes:
        features (np.ndarray): Flattened RoI features, (N, C * P * P).
        labels (np.ndarray): Indices of the classes, (N, ).
        images (np.ndarray): Index of each object's image, (N, ).
    """

    features: np.ndarray
    labels: np.ndarray
    images: np.ndarray


def roi_features(
    cfg: Config, checkpoint: str, max_per_class: int = 40, device: str = 'cpu'
) -> dict[str, Objects]:
    """Pool the features of true boxes, as the detector pools proposals.

    Args:
        cfg (Config): Config of a pair and its detector.
        checkpoint (str): Checkpoint of the detector.
        max_per_class (int): Maximum number of objects of each class and
            domain; the first ones are taken. Defaults to 40.
        device (str): Device to run on. Defaults to ``cpu``.

    Returns:
        dict[str, Objects]: The objects of ``source`` and of ``target``.

    Raises:
        DataError: If a domain's test images have no object, if the checkpoint
            does not fit the config, or if its classes differ in name or order.
    """
    # init_detector changes the config that it gets.
    model = init_detector(copy.deepcopy(cfg), checkpoint, device=device)
    load_fitting(model, checkpoint, cfg)
    test = cfg.test_dataloader.dataset
    objects = {}
    for domain in MARKERS:
        dataset = DATASETS.build(
            dict(test[domain], pipeline=test.pipeline, test_mode=True)
        )
        taken: Counter[int] = Counter()
        parts: list[tuple[np.ndarray, ...]] = []
        for i in tqdm(range(len(dataset)), f'features of {domain}'):
            batch = model.data_preprocessor(pseudo_collate([dataset[i]]), False)
            (sample,) = batch['data_samples']
            labels = sample.gt_instances.labels.cpu().numpy()
            kept = []
            for j, label in enumerate(labels.tolist()):
                if taken[label] < max_per_class:
                    taken[label] += 1
                    kept.append(j)
            if not kept:
                continue
            boxes = sample.gt_instances.bboxes[kept].to(device)
            boxes = boxes * boxes.new_tensor(
                sample.metainfo.get('scale_factor', (1.0, 1.0))
            ).repeat(2)
            extractor = model.roi_head.bbox_roi_extractor
            with torch.no_grad():
                feats = model.extract_feat(batch['inputs'])
                pooled = extractor(feats[: extractor.num_inputs], bbox2roi([boxes]))
            parts.append(
                (pooled.flatten(1).cpu().numpy(), labels[kept], np.full(len(kept), i))
            )
        if not parts:
            raise DataError(
                f'No test image of {domain} has an object, so there is no '
                'feature to compare: set test_dataloader.dataset.'
                f'{domain}.ann_file to a file with boxes.'
            )
        objects[domain] = Objects(
            *(np.concatenate(part) for part in zip(*parts, strict=True))
        )
    return objects


def proxy_a_distance(
    features: np.ndarray, is_target: np.ndarray, images: np.ndarray
) -> float:
    """Measure how well a linear classifier tells the domains apart.

    The distance is 2 (1 - 2 e) (Ben-David et al., 2010). The error e is taken
    on every other image, which the classifier has not seen, and averaged over
    the two domains.

    Args:
        features (np.ndarray): Features, (N, D).
        is_target (np.ndarray): Booleans, (N, ).
        images (np.ndarray): Index of each object's image, (N, ).

    Returns:
        float: From 0, if it cannot tell them apart, to 2, if it always can.
    """
    seen = images % 2 == 0
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)
    )
    classifier.fit(features[seen], is_target[seen])
    right = classifier.predict(features[~seen]) == is_target[~seen]
    domains = is_target[~seen]
    error = 1 - (right[domains].mean() + right[~domains].mean()) / 2
    return float(max(0.0, 2 * (1 - 2 * error)))


def in_words(measures: Mapping[str, float]) -> str:
    """Write one detector's measures from :func:`plot_embedding`."""
    names = dict(a_distance='A-distance', silhouette='silhouette')
    return ', '.join(f'{names[key]} {value:.2f}' for key, value in measures.items())


def plot_embedding(
    detectors: Mapping[str, Mapping[str, Objects]],
    classes: list[str],
    path: Path,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Draw a panel for each detector with its embedded objects.

    Args:
        detectors (Mapping): Output of :func:`roi_features` by detector.
        classes (list[str]): Class names.
        path (Path): PNG to write.
        seed (int): Seed of PCA and t-SNE. Defaults to 0.

    Returns:
        dict[str, dict[str, float]]: For each detector ``a_distance``, in
        [0, 2], smaller if the domains are better aligned; and ``silhouette``
        of the classes over both domains, in [-1, 1], larger if they are better
        separated. It is absent if all objects are of one class.
    """
    figure = Figure(figsize=(4.2 * len(detectors), 4.8), layout='constrained')
    panels = figure.subplots(1, len(detectors), squeeze=False)[0]
    colours = matplotlib.colormaps['tab10']
    measures = {}
    for axes, (name, domains) in zip(panels, detectors.items(), strict=True):
        features = np.concatenate([d.features for d in domains.values()])
        labels = np.concatenate([d.labels for d in domains.values()])
        images = np.concatenate([d.images for d in domains.values()])
        domain = np.repeat(list(domains), [len(d.labels) for d in domains.values()])
        features = PCA(
            min(DIMENSIONS, *features.shape), random_state=seed
        ).fit_transform(features)
        measures[name] = dict(
            a_distance=proxy_a_distance(features, domain == 'target', images)
        )
        if len(np.unique(labels)) > 1:
            measures[name]['silhouette'] = float(silhouette_score(features, labels))
        points = TSNE(
            init='pca', random_state=seed, perplexity=min(30, len(labels) // 4)
        ).fit_transform(features)
        for kind, marker in MARKERS.items():
            for label in range(len(classes)):
                chosen = (domain == kind) & (labels == label)
                axes.scatter(
                    *points[chosen].T,
                    s=18,
                    marker=marker,
                    facecolors=(colours(label) if kind == 'source' else 'none'),
                    edgecolors=colours(label),
                    linewidths=0.9,
                    label=classes[label] if kind == 'source' else None,
                )
        axes.set_title(f'{name}\n{in_words(measures[name])}', fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc='outside lower center',
        ncols=4,
        fontsize=8,
        title='filled: source, hollow: target',
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return measures
