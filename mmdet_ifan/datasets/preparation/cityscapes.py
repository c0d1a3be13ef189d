"""Cityscapes' instance maps to COCO boxes, clear and foggy.

Boxes only: the tightest rectangle of each instance mask, as every paper on
Cityscapes -> Foggy Cityscapes uses them. Categories, boxes, areas and crowds
equal those of MMDetection's own converter, which also writes masks.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .cityscapes_boxes import (
    CATEGORIES,
    CLEAR_ARCHIVE,
    CLEAR_SUFFIX,
    FOGGY_ARCHIVE,
    LABEL_ARCHIVE,
    LabelledImage,
    check_png,
    foggy_path,
    mend,
    read_labelled_image,
)
from .disk import DataError, write_atomically
from .mini_city.settings import BETAS
from .mini_city.writer import MANIFEST, UNFINISHED

SPLITS = ('train', 'val')
REAL_IMAGES = {'train': 2975, 'val': 500}
REAL_IF_MORE_THAN = 2000  # Training images; no Mini City is that large.


@dataclass
class Summary:
    """What one COCO file holds.

    Args:
        path (Path): The file.
        images (int): Number of images.
        empty (int): Of them, those without any box.
        boxes (Counter[str]): Boxes per category, crowds not counted.
        is_new (bool): False if the file was there with the same content.
            Defaults to True.
    """

    path: Path
    images: int
    empty: int
    boxes: Counter[str] = field(default_factory=Counter)
    is_new: bool = True


def find_images(root: Path, split: str) -> list[str]:
    """List a split's clear images.

    Args:
        root (Path): Cityscapes' root.
        split (str): 'train' or 'val'.

    Returns:
        list[str]: Paths under the root, sorted.

    Raises:
        DataError: If the root is not one of Cityscapes.
    """
    if not root.is_dir():
        raise DataError(f'The data root {root} does not exist: name the '
                        'folder that holds leftImg8bit and gtFine.')
    for folder, archive in (('leftImg8bit', CLEAR_ARCHIVE),
                            ('gtFine', LABEL_ARCHIVE)):
        if not (root / folder / split).is_dir():
            raise DataError(f'{root} has no {folder}/{split}: '
                            f'{mend(archive)}.')
    found = (root / 'leftImg8bit' / split).glob(f'*/*{CLEAR_SUFFIX}')
    images = sorted(path.relative_to(root).as_posix() for path in found)
    if not images:
        raise DataError(f'{root}/leftImg8bit/{split} holds no image: '
                        f'{mend(CLEAR_ARCHIVE)}.')
    return images


def coco_file(images: Sequence[tuple[str, LabelledImage]]) -> dict[str, Any]:
    """Assemble a COCO file.

    Args:
        images (Sequence[tuple[str, LabelledImage]]): Path of each image
            under the root and its boxes.

    Returns:
        dict[str, Any]: Image ids count from 0 in the given order;
        annotation ids from 1, since pycocotools' evaluation takes an
        object matched by id 0 for an unmatched one.
    """
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (file_name, image) in enumerate(images):
        entries.append(dict(file_name=file_name, height=image.height,
                            width=image.width, id=image_id))
        for annotation in image.annotations:
            annotations.append(dict(annotation, image_id=image_id,
                                    id=len(annotations) + 1))
    return dict(
        info=dict(description='Boxes of Cityscapes instance masks'),
        licenses=[],
        images=entries,
        categories=[dict(id=key, name=name)
                    for key, name in CATEGORIES.items()],
        annotations=annotations)


def prepare(root: Path, out: Path | None = None,
            betas: Iterable[float] | None = None, workers: int = 2,
            overwrite: bool = False) -> list[Summary]:
    """Write the COCO files of a Cityscapes root.

    Args:
        root (Path): Holds leftImg8bit, gtFine and perhaps
            leftImg8bit_foggy; Cityscapes or Mini City.
        out (Path, optional): Where the files go. Defaults to None, which
            means `root`/annotations.
        betas (Iterable[float], optional): Fog levels. Several also give
            one file with all of them if they are all there are. Defaults
            to None: 0.02 where there are foggy images, or none.
        workers (int): Threads. Defaults to 2.
        overwrite (bool): Whether to replace files that differ. Defaults to
            False.

    Returns:
        list[Summary]: One for each file.

    Raises:
        DataError: If something is missing or damaged; nothing is written
            then.
    """
    if workers < 1:
        raise DataError(f'workers must be at least 1, but got {workers}.')
    out = root / 'annotations' if out is None else out
    found = {split: find_images(root, split) for split in SPLITS}
    levels = _fog_levels(root, betas)
    contents: dict[Path, bytes] = {}
    summaries: list[Summary] = []
    for split, clear in found.items():
        images = list(_read_all(root, split, clear, workers))
        for name, listed in _versions(root, split, images, levels):
            content = coco_file(listed)
            path = out / name
            contents[path] = json.dumps(content).encode()
            summaries.append(_summarise(path, content))
    check_counts(root, found, summaries)
    _write_all(contents, summaries, overwrite)
    return summaries


def _fog_levels(root: Path, betas: Iterable[float] | None) -> list[float]:
    """Which fog levels to write, sorted."""
    has_fog = (root / 'leftImg8bit_foggy').is_dir()
    if betas is None:
        return [0.02] if has_fog else []
    levels = sorted(set(betas))
    for beta in levels:
        if beta not in BETAS:
            raise DataError(f'beta {beta} is not a level of Foggy '
                            f'Cityscapes: choose among {BETAS}.')
    if levels and not has_fog:
        raise DataError(f'{root} has no leftImg8bit_foggy: '
                        f'{mend(FOGGY_ARCHIVE)}, or leave out --beta.')
    return levels


def _read_all(root: Path, split: str, clear: list[str],
              workers: int) -> Iterator[LabelledImage]:
    """Read a split's boxes, in order."""
    work = partial(read_labelled_image, root)
    bar = partial(tqdm, total=len(clear), desc=f'read {split}', unit='image')
    if workers == 1:
        yield from bar(map(work, clear))
        return
    # Threads will do: the time goes into decoding, outside Python's lock.
    with ThreadPool(workers) as pool:
        yield from bar(pool.imap(work, clear, chunksize=8))


def _versions(
    root: Path, split: str, images: list[LabelledImage], levels: list[float]
) -> Iterator[tuple[str, list[tuple[str, LabelledImage]]]]:
    """Name and images of each file of a split."""
    yield f'instances_{split}.json', [(image.clear, image)
                                      for image in images]
    every_level = []
    for beta in levels:
        foggy = [(foggy_path(image.clear, beta), image) for image in images]
        for path, image in foggy:
            check_png(root / path, image.height, image.width,
                      FOGGY_ARCHIVE)
        yield f'instances_{split}_foggy_beta_{beta}.json', foggy
        every_level += foggy
    if len(levels) == len(BETAS):
        yield f'instances_{split}_foggy_all.json', every_level


def _summarise(path: Path, content: dict[str, Any]) -> Summary:
    """Count what a COCO file holds."""
    boxes = Counter({name: 0 for name in CATEGORIES.values()})
    boxes.update(CATEGORIES[annotation['category_id']]
                 for annotation in content['annotations']
                 if not annotation['iscrowd'])
    filled = {annotation['image_id']
              for annotation in content['annotations']}
    images = len(content['images'])
    return Summary(path, images, images - len(filled), boxes)


def check_counts(root: Path, found: dict[str, list[str]],
                 summaries: list[Summary]) -> None:
    """Check the numbers against what the data set is known to hold.

    Args:
        root (Path): Cityscapes or Mini City.
        found (dict[str, list[str]]): Clear images of each split.
        summaries (list[Summary]): Of the files about to be written.

    Raises:
        DataError: If images or objects are missing.
    """
    if (root / UNFINISHED).exists():
        raise DataError(f'The Mini City in {root} is not complete: run '
                        'tools/prepare/mini_city.py again to finish it.')
    if (root / MANIFEST).exists():
        manifest = json.loads((root / MANIFEST).read_text())
        for split in SPLITS:
            _check_mini(root, split, manifest['splits'][split], summaries)
    elif len(found['train']) > REAL_IF_MORE_THAN:
        for split, expected in REAL_IMAGES.items():
            if len(found[split]) != expected:
                raise DataError(
                    f'{root}/leftImg8bit/{split} holds {len(found[split])} '
                    f'images, but Cityscapes has {expected}: unpack '
                    f'{CLEAR_ARCHIVE} again.')


def _check_mini(root: Path, split: str, expected: dict[str, Any],
                summaries: list[Summary]) -> None:
    """Check one split of a Mini City against its manifest."""
    file_name = f'instances_{split}.json'
    clear = next(each for each in summaries if each.path.name == file_name)
    pairs = [('images', clear.images, expected['images']),
             ('images without objects', clear.empty, expected['empty'])]
    pairs += [(f'boxes of {name}', clear.boxes[name],
               expected['objects'].get(name, 0))
              for name in CATEGORIES.values()]
    for what, got, wanted in pairs:
        if got != wanted:
            raise DataError(
                f'{root} has {got} {what} in {split}, but its {MANIFEST} '
                f'says {wanted}: remove the folder and render it again.')


def _write_all(contents: dict[Path, bytes], summaries: list[Summary],
               overwrite: bool) -> None:
    """Write what is new, after checking that nothing would be lost."""
    for summary in summaries:
        path = summary.path
        if path.exists():
            summary.is_new = path.read_bytes() != contents[path]
            if summary.is_new and not overwrite:
                raise DataError(f'{path} exists and differs: pass '
                                '--overwrite to replace it, or choose '
                                'another folder with --out.')
    for summary in summaries:
        if summary.is_new:
            write_atomically(summary.path, contents[summary.path])


def format_summaries(summaries: list[Summary],
                     say: Callable[[str], None] = print) -> None:
    """Print a table of what each file holds.

    Args:
        summaries (list[Summary]): From `prepare`.
        say (Callable): Receives each line. Defaults to print.
    """
    names = list(CATEGORIES.values())
    wide = max(len(summary.path.name) for summary in summaries)
    head = ['images', 'empty', *names, 'boxes']
    say(f'{"file":<{wide}}  ' + '  '.join(head) + '  state')
    for each in summaries:
        numbers = [each.images, each.empty, *(each.boxes[n] for n in names),
                   sum(each.boxes.values())]
        cells = [f'{number:>{len(title)}}'
                 for number, title in zip(numbers, head, strict=True)]
        state = 'written' if each.is_new else 'up to date'
        say(f'{each.path.name:<{wide}}  ' + '  '.join(cells) + f'  {state}')
