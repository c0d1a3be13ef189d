"""Rank the checkpoints of a pool on target images that have no labels."""

import hashlib
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.models import FasterRCNN
from mmdet.registry import DATASETS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch.utils.data import Subset
from tqdm import tqdm

from ..datasets import UnlabelledDataset
from ..evaluation import judge, voc_ap50
from ..utils.errors import DataError, warn
from ..utils.files import write_atomically
from .comparison import to_markdown
from .disturbed_passes import (
    detect_with_distributions,
    disturbed_weights,
    dropped_features,
    dropped_inputs,
)
from .label_free_scores import (
    Distributions,
    Prototypes,
    confidence,
    entropy,
    flatness,
    information,
    mean,
    prototype_ratio,
    ratios_without,
    stability,
    thresholded_confidence,
)
from .selection_page import (
    SCORES,
    plot_pool,
    pool_table,
    score_pool,
    sure_detections,
    verdict,
    warnings_of,
)


@dataclass(frozen=True)
class Settings:
    """Decide what is measured; all candidates of a pool share it.

    Attributes:
        images (int): Number of target and of source images, the first ones
            by path. Defaults to 200.
        repeats (int): Draws of each disturbance. Defaults to 1.
        seed (int): Seed of the disturbances. Defaults to 0.
        mode (str): How weights are disturbed, ``relative`` or ``das``; see
            :func:`disturbed_weights`. Defaults to ``relative``.
        step (float): By how much, for ``relative``: a share of each tensor's
            norm. Defaults to 0.01; boxes of Mini City's detectors then
            have an IoU of 0.86 to 0.91 with those before.
        dropout (float): Share of features that BoS drops, in (0, 1). Defaults
            to 0.15, as published.

    Raises:
        DataError: If a value is out of its range.
    """

    images: int = 200
    repeats: int = 1
    seed: int = 0
    mode: str = 'relative'
    step: float = 0.01
    dropout: float = 0.15

    def __post_init__(self) -> None:
        if min(self.images, self.repeats) < 1:
            raise DataError(
                'A selection needs at least one image and one draw (images, repeats), '
                f'but is to take {self.images} and {self.repeats}.'
            )
        if self.mode not in ('relative', 'das'):
            raise DataError(
                f'Weights are disturbed in mode relative or das, not {self.mode!r}.'
            )
        if not (0 < self.step < math.inf and 0 < self.dropout < 1):
            raise DataError(
                'The step of the weights must be a finite number above 0, and dropout '
                f'between 0 and 1, but they are {self.step} and {self.dropout}.'
            )


class Images:
    """Target images without annotations, and labelled source images.

    The target's test set, which may have labels, is not even built.

    Args:
        cfg (Config): Config of the pair.
        number (int): Number of images of each domain, the first ones by path.
        folder (Path, optional): Folder of target images, in place of the
            config's. Defaults to None.

    Attributes:
        target (Subset): The target images.
        source (Subset): The source images.
        classes (tuple[str]): The classes of the source.
        digest (str): Hash of all that scores depend on besides a checkpoint:
            the bytes of the images, the source's boxes, how images are
            prepared, and the model of the config, which is that of
            checkpoints without a config.

    Raises:
        DataError: If the config has no unlabelled target, or no source and
            pipeline for testing.
    """

    def __init__(self, cfg: Config, number: int, folder: Path | None = None) -> None:
        init_default_scope('mmdet')
        train, test = (
            (cfg.get(f'{part}_dataloader') or {}).get('dataset', {})
            for part in ('train', 'test')
        )
        if 'target' not in train or not {'source', 'pipeline'} <= set(test):
            raise DataError(
                'The config needs train_dataloader.dataset.target, images '
                'without labels, and test_dataloader.dataset with source and '
                'pipeline: give the config of a pair.'
            )
        target, pipeline = train['target'], test['pipeline']
        if folder is not None:
            place = dict(data_root='', data_prefix=dict(img=''), images=str(folder))
            target = dict(target, **place)
        unlabelled = DATASETS.build(
            dict(
                target,
                pipeline=[p for p in pipeline if 'Annotations' not in str(p['type'])],
                test_mode=True,
            )
        )
        if not isinstance(unlabelled, UnlabelledDataset):
            raise DataError(
                'train_dataloader.dataset.target must be an UnlabelledDataset, '
                f'so that no label can leak, but is {type(unlabelled).__name__}.'
            )
        labelled = DATASETS.build(
            dict(test['source'], pipeline=pipeline, test_mode=True)
        )
        self.classes = tuple(labelled.metainfo['classes'])
        self.target, self.source = (
            _first(dataset, number) for dataset in (unlabelled, labelled)
        )
        settings = dict(model=cfg.model, pipeline=pipeline, classes=self.classes)
        digest = hashlib.sha256(
            json.dumps(settings, sort_keys=True, default=str).encode()
        )
        for images in (self.target, self.source):
            for index in images.indices:
                info = images.dataset.get_data_info(index)  # type: ignore[attr-defined]
                digest.update(
                    hashlib.sha256(Path(info['img_path']).read_bytes()).digest()
                )
                if images is self.source:
                    digest.update(json.dumps(info['instances'], default=str).encode())
        self.digest = digest.hexdigest()


def _first(dataset: Any, number: int) -> Subset:
    """Take the first images by path."""
    paths = {dataset.get_data_info(i)['img_path']: i for i in range(len(dataset))}
    return Subset(dataset, [paths[path] for path in sorted(paths)[:number]])


def clean_scores(
    clean: Sequence[Distributions],
    target_prototypes: Prototypes,
    source: Iterable[tuple[Distributions, DetDataSample]],
    source_prototypes: Prototypes,
    classes: Sequence[str],
) -> dict[str, Any]:
    """Compute what needs no disturbance.

    Args:
        clean (Sequence[Distributions]): Detections in the target images.
        target_prototypes (Prototypes): Of their proposals.
        source (Iterable): Detections and truth of the source images; reading
            it fills ``source_prototypes``.
        source_prototypes (Prototypes): See there.
        classes (Sequence[str]): The classes.

    Returns:
        dict[str, Any]: The scores; ``pdr_free_without`` each of ten groups of
        images, if there are two; ``boxes`` detected an image; and
        ``lightest``, the smallest sum of a class's probabilities in a domain.
    """
    truths, detections, scores, right = [], [], [np.zeros(0)], [np.zeros(0)]
    for found, sample in source:
        boxes = found.boxes / np.tile(sample.metainfo.get('scale_factor', (1, 1)), 2)
        scored = np.concatenate([boxes, found.scores[:, None]], axis=1)
        detections.append([scored[found.labels == c] for c in range(len(classes))])
        truths.append(
            {
                f'{key}{suffix}': instances[key].cpu().numpy()
                for suffix, instances in (
                    ('', sample.gt_instances),
                    ('_ignore', sample.ignored_instances),
                )
                for key in ('bboxes', 'labels')
            }
        )
        for label, of_class in enumerate(detections[-1]):
            true, ignored = (
                truths[-1][f'bboxes{s}'][truths[-1][f'labels{s}'] == label]
                for s in ('', '_ignore')
            )
            if len(of_class):
                hits, misses = judge(of_class, true, ignored, 0.5)
                counted = (hits + misses)[0] > 0
                scores.append(of_class[counted, 4])
                right.append(hits[0][counted])
    pdr, pdr_free = prototype_ratio(
        source_prototypes.centres(), target_prototypes.centres()
    )
    if not any(len(image.boxes) for image in clean):
        # Classes that nothing belongs to are not apart.
        pdr = pdr_free = math.nan
    source_ap, _ = voc_ap50(truths, detections, tuple(classes))
    return dict(
        pdr=pdr,
        pdr_free=pdr_free,
        pdr_free_without=ratios_without(source_prototypes, target_prototypes),
        confidence=confidence(clean),
        entropy=entropy(clean),
        infomax=information(clean),
        atc=thresholded_confidence(
            np.concatenate(scores),
            np.concatenate(right),
            np.concatenate([image.scores for image in clean]),
        ),
        source_ap=100 * float(source_ap),
        boxes=mean([len(image.boxes) for image in clean]),
        lightest=float(
            min(
                np.sum(p.weights, axis=0).min()
                for p in (source_prototypes, target_prototypes)
            )
        ),
    )


def over_draws(values: Sequence[Sequence[Sequence[float]]], *names: str) -> dict:
    """Average the values of several draws, images and scores.

    Args:
        values (Sequence): Of each draw, image and score; NaN where an image
            gives none.
        *names (str): Names of the scores.

    Returns:
        dict: Each score; the ``deviation`` of the first one over the draws;
        and ``used``, the number of images that have one.
    """
    table = np.asarray(values, dtype=np.float64)
    draws = [[mean(draw[:, i]) for i in range(len(names))] for draw in table]
    return dict(
        zip(names, map(mean, zip(*draws, strict=True)), strict=True),
        deviation=float(np.std([d[0] for d in draws], ddof=1))
        if len(draws) > 1
        else math.nan,
        used=int(np.sum(~np.isnan(table[:, :, 0]).all(axis=0))),
    )


def flat(
    model: FasterRCNN,
    target: Subset,
    clean: Sequence[Distributions],
    settings: Settings,
) -> dict[str, Any]:
    """Compute FIS and its two parts."""
    size = settings.step if settings.mode == 'relative' else 1.0
    values = []
    for repeat in range(settings.repeats):
        with disturbed_weights(model, size, settings.mode, settings.seed, repeat):
            found = detect_with_distributions(model, target, 'weights disturbed')
            parts = [
                flatness(before, after)
                for before, (after, _) in zip(clean, found, strict=True)
            ]
        values.append([(iou + kl, iou, kl) for iou, kl in parts])
    return over_draws(values, 'fis', 'fis_iou', 'fis_kl')


def stable(
    model: FasterRCNN,
    target: Subset,
    clean: Sequence[Distributions],
    settings: Settings,
) -> dict[str, Any]:
    """Compute BoS, its strict form and the share of changed labels."""
    values = []
    for repeat in range(settings.repeats):
        with dropped_features(model, settings.dropout, settings.seed, repeat):
            found = detect_with_distributions(model, target, 'features dropped')
            values.append(
                [
                    stability(before, after)
                    for before, (after, _) in zip(clean, found, strict=True)
                ]
            )
    return over_draws(values, 'bos', 'bos_max', 'relabelled')


def measure(
    model: FasterRCNN,
    images: Images,
    settings: Settings,
    passes: Collection[str],
    record: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure a candidate in one, two or three passes over the target.

    Args:
        model (FasterRCNN): The detector, in testing mode.
        images (Images): The images.
        settings (Settings): The settings.
        passes (Collection[str]): Disturbed passes, ``fis`` and ``bos``.
        record (Mapping, optional): What is known of the candidate, which is
            not measured again. Defaults to None.

    Returns:
        dict[str, Any]: ``clean``, its ``detections``, and each of the passes.
    """
    record = dict(record or {})
    missing = {'clean', *passes} - set(record)
    if not missing:
        return record
    if 'bos' in missing:
        dropped_inputs(model.backbone)
    target, source = Prototypes(), Prototypes()
    clean = [
        found
        for found, _ in detect_with_distributions(
            model, images.target, 'target', target
        )
    ]
    if 'clean' in missing:
        seen = detect_with_distributions(model, images.source, 'source', source)
        record['clean'] = clean_scores(clean, target, seen, source, images.classes)
        record['detections'] = [sure_detections(image) for image in clean]
    if 'fis' in missing:
        record['fis'] = flat(model, images.target, clean, settings)
    if 'bos' in missing:
        record['bos'] = stable(model, images.target, clean, settings)
    return record


def checkpoints_in(folder: Path) -> dict[str, str]:
    """List a run's checkpoints by name, such as ``iter_200``."""
    return {
        path.stem: str(path)
        for path in sorted(folder.glob('*.pth'))
        if re.fullmatch(r'(iter|epoch)_\d+', path.stem)
    }


def file_digest(path: str) -> str:
    """Hash a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def plain(value: Any) -> Any:
    """Replace NaN, which JSON does not have, by None."""
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def from_plain(value: Any) -> Any:
    """Replace None by NaN again."""
    if isinstance(value, dict):
        return {key: from_plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [from_plain(part) for part in value]
    return math.nan if value is None else value


def read_candidate(file: Path) -> dict[str, Any]:
    """Read what is known of a candidate; nothing, with a warning, of a damaged file."""
    if not file.exists():
        return {}
    try:
        known = from_plain(json.loads(file.read_text()))
        if {'clean', 'detections', 'iteration'} <= set(known):
            return known
    except (TypeError, ValueError):
        pass
    warn(f'{file} is damaged: the candidate is measured again.')
    return {}


def write_json(path: Path, value: Any) -> None:
    """Write a value with its keys in order."""
    text = json.dumps(plain(value), indent=1, sort_keys=True)
    write_atomically(path, f'{text}\n'.encode())


class Selection:
    """A folder with the measures of a pool, which may grow.

    ``candidates/`` has a file for each checkpoint and settings, under the hash
    of both: a second run measures only what is missing.

    Args:
        images (Images): The images.
        settings (Settings): The settings.
        out (Path): The folder.
        load (Callable): Gives the detector of a checkpoint, in testing mode,
            and its iteration.
    """

    def __init__(
        self,
        images: Images,
        settings: Settings,
        out: Path,
        load: Callable[[str], tuple[FasterRCNN, int]],
    ) -> None:
        self.images = images
        self.settings = settings
        self.out = out
        self.load = load

    def measure(
        self, checkpoints: Mapping[str, str], scores: Sequence[str] = tuple(SCORES)
    ) -> dict[str, Any]:
        """Measure the candidates, and write selection.json, .md and .png.

        Args:
            checkpoints (Mapping[str, str]): Files by the candidates' names.
            scores (Sequence[str]): Scores to show; a disturbed pass that none
                needs is left out. Defaults to all.

        Returns:
            dict[str, Any]: What is in selection.json.
        """
        passes = {SCORES[score] for score in scores} - {''}
        shared = dict(asdict(self.settings), digest=self.images.digest)
        digests, records, iterations = {}, {}, {}
        for name in tqdm(sorted(checkpoints), 'candidates'):
            path = checkpoints[name]
            digests[name] = file_digest(path)
            about = json.dumps([digests[name], shared], sort_keys=True)
            key = hashlib.sha256(about.encode()).hexdigest()[:16]
            file = self.out / 'candidates' / f'{key}.json'
            known = read_candidate(file)
            if not {'clean', *passes} <= set(known):
                model, iteration = self.load(path)
                if not isinstance(model, FasterRCNN):
                    raise DataError(
                        f'{path} holds a {type(model).__name__}: detectors are '
                        'compared by the outputs of a Faster R-CNN. Leave it out.'
                    )
                known = dict(
                    measure(model, self.images, self.settings, passes, known),
                    iteration=iteration,
                )
                write_json(file, known)
            records[name], iterations[name] = known, int(known['iteration'])
        return self._write(checkpoints, records, iterations, digests, shared, scores)

    def _write(
        self,
        checkpoints: Mapping[str, str],
        records: Mapping[str, Mapping],
        iterations: Mapping[str, int],
        digests: Mapping[str, str],
        settings: Mapping[str, Any],
        scores: Sequence[str],
    ) -> dict[str, Any]:
        """Write the pool's files."""
        pool = score_pool(records)
        number = len(self.images.target)
        runs = {
            name: Path(path).parent.name
            if name == Path(path).stem
            # run/iter_200, or what the user calls it.
            else name.removesuffix(f'/{Path(path).stem}')
            for name, path in checkpoints.items()
        }
        picks, said = verdict(records, pool, iterations, runs, scores)
        said += warnings_of(records, number)
        chosen = [f'{name} {value}' for name, value in asdict(self.settings).items()]
        said.append(f'Measured with {", ".join(chosen)}.')
        content = dict(
            settings=settings,
            candidates={
                name: dict(
                    scores={s: pool[name][s] for s in scores},
                    iteration=iterations[name],
                    chosen=name in picks['choice'],
                    path=checkpoints[name],
                    checkpoint=digests[name],
                    **{p: record[p] for p in ('clean', 'fis', 'bos') if p in record},
                )
                for name, record in records.items()
            },
            picks=picks,
            said=said,
        )
        rows = pool_table(pool, records, iterations, scores)
        text = f'{to_markdown(rows)}\n' + ''.join(f'- {line}\n' for line in said)
        write_json(self.out / 'selection.json', content)
        write_atomically(self.out / 'selection.md', text.encode())
        plot_pool(pool, iterations, runs, scores, self.out / 'selection.png')
        return content
