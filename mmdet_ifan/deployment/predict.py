"""Prediction in images, folders and videos."""

import copy
import glob
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import mmcv
import numpy as np
from mmdet.apis import DetInferencer
from mmdet.models import BBoxHead
from mmengine.config import Config
from mmengine.structures import InstanceData
from tqdm import tqdm

from ..engine.checks.checkpoint import load_fitting
from ..engine.robustness.safe_loading import load_safely
from ..utils.errors import DataError
from ..utils.files import write_atomically
from ..utils.image_files import IMAGE_SUFFIXES, check_names, images_below
from .checkpoint_config import checkpoint_config

VIDEO_SUFFIXES = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.webm')

#: Loads an image, (H, W, 3) in BGR; None if it cannot be read.
Loader = Callable[[], np.ndarray | None]


def load_detector(
    weights: str, config: str | None = None, device: str | None = None
) -> DetInferencer:
    """Load a detector, and make sure of its weights and class names.

    mmdet would replace missing ones by random weights and COCO's names.
    From here on this process loads checkpoints as data.

    Args:
        weights (str): File or address of the checkpoint.
        config (str, optional): Config. Defaults to None, the checkpoint's
            own.
        device (str, optional): Device such as ``cpu``. Defaults to None, a
            GPU if there is one.

    Returns:
        DetInferencer: The detector.

    Raises:
        DataError: If the checkpoint does not fit the config, if its classes
            differ from the config's in name or order, or if it names another
            number of classes than the detector has; see also
            :func:`checkpoint_config`.
    """
    load_safely()
    cfg = Config.fromfile(config) if config else checkpoint_config(weights)
    # DetInferencer changes the config that it gets.
    detector = DetInferencer(
        copy.deepcopy(cfg), weights, device=device, show_progress=False
    )
    # Without a config, the class names are the checkpoint's own.
    meta = load_fitting(detector.model, weights, cfg if config else None).get(
        'meta', {}
    )
    # mmdet 2 wrote CLASSES.
    if 'dataset_meta' not in meta and 'CLASSES' not in meta:
        raise DataError(
            f'{weights} does not name its classes (it has no dataset_meta): '
            'use a checkpoint of a run or of tools/export.py.'
        )
    number = len(detector.model.dataset_meta.get('classes', ()))
    for module in detector.model.modules():
        if isinstance(module, BBoxHead) and module.num_classes != number:
            raise DataError(
                f'{weights} names {number} classes, but its detector has '
                f'{module.num_classes}: use a checkpoint of a run or of '
                'tools/export.py.'
            )
    return detector


def find_images(inputs: Sequence[str]) -> dict[str, Loader]:
    """Find all images of some inputs.

    Args:
        inputs (Sequence[str]): Images, folders (with their sub-folders),
            patterns such as ``a/*.png``, and videos.

    Returns:
        dict[str, Loader]: A loader for each image, by its name: the path below
        an input folder, otherwise the file name, or ``VIDEO/00000n`` for
        frame n of a video, counted from 0.

    Raises:
        DataError: If an input does not exist, is neither image nor video, or
            holds no image; or if a name is not UTF-8 or occurs twice.
    """
    images: dict[str, Loader] = {}
    for text in inputs:
        for name, loader in _images_of(text):
            if name in images:
                raise DataError(
                    f'Two of the inputs are called {name}, and one result '
                    'would replace the other: give a folder above both.'
                )
            images[name] = loader
    return images


def _images_of(text: str) -> Iterator[tuple[str, Loader]]:
    """Find the images of one input."""
    path = Path(text)
    if path.is_dir():
        names = images_below(path)
        if not names:
            raise DataError(
                f'There is no image in {path} (looked for {", ".join(IMAGE_SUFFIXES)}).'
            )
        check_names(str(path / name) for name in names)
        for name in names:
            yield name, partial(cv2.imread, str(path / name))
        return
    files = [path] if path.is_file() else sorted(map(Path, glob.glob(text)))
    if not files:
        raise DataError(f'There is no image, folder or video {text}.')
    check_names(map(str, files))
    for file in files:
        if file.suffix.lower() in IMAGE_SUFFIXES:
            yield file.name, partial(cv2.imread, str(file))
        elif file.suffix.lower() in VIDEO_SUFFIXES:
            video = mmcv.VideoReader(str(file))
            # Some versions of OpenCV count a negative number of frames.
            if video.frame_cnt <= 0:
                raise DataError(f'{file} is no video that OpenCV can read.')
            for i in range(video.frame_cnt):
                yield f'{file.stem}/{i:06}', partial(video.get_frame, i)
        else:
            raise DataError(
                f'{file} is neither an image nor a video (looked '
                f'for {", ".join(IMAGE_SUFFIXES)} and '
                f'{", ".join(VIDEO_SUFFIXES)}).'
            )


def predict(
    detector: DetInferencer,
    inputs: Sequence[str],
    out: Path,
    score_thr: float = 0.3,
    draw: bool = True,
) -> list[str]:
    """Detect, and write ``predictions.json`` and a picture of each image.

    Args:
        detector (DetInferencer): The detector.
        inputs (Sequence[str]): See :func:`find_images`.
        out (Path): Folder to create. ``predictions.json`` is a COCO file whose
            annotations have a ``score``. The pictures are in ``drawn``:
            ``a.png`` for ``a.jpg``, or ``a.jpg.png`` for all images if two
            would share a name.
        score_thr (float): Lowest score that counts, in [0, 1].
            Defaults to 0.3.
        draw (bool): Whether to draw pictures. Defaults to True.

    Returns:
        list[str]: Names of the images that could not be read.

    Raises:
        DataError: See :func:`find_images`.
    """
    classes = detector.model.dataset_meta['classes']
    images: list[dict] = []
    annotations: list[dict] = []
    unreadable = []
    found_images = find_images(inputs)
    # Otherwise a.jpg and a.png would share a.png.
    shared = len({_picture(name) for name in found_images}) < len(found_images)
    for name, load in tqdm(found_images.items(), 'detect', unit='image'):
        image = load()
        if image is None:
            unreadable.append(name)
            continue
        (sample,) = detector(image, return_datasamples=True, no_save_vis=True)[
            'predictions'
        ]
        found = sample.pred_instances.cpu()
        found = found[found.scores >= score_thr]
        height, width = image.shape[:2]
        images.append(
            dict(id=len(images) + 1, file_name=name, height=height, width=width)
        )
        annotations += _annotations(found, len(images), len(annotations))
        if draw:
            sample.pred_instances = found
            picture = out / 'drawn' / (f'{name}.png' if shared else _picture(name))
            picture.parent.mkdir(parents=True, exist_ok=True)
            detector.visualizer.add_datasample(
                name,
                image[..., ::-1],
                sample,
                draw_gt=False,
                pred_score_thr=score_thr,
                out_file=str(picture),
            )
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=i + 1, name=name) for i, name in enumerate(classes)],
    )
    write_atomically(out / 'predictions.json', json.dumps(content).encode())
    return unreadable


def _picture(name: str) -> Path:
    """Name the picture of an image."""
    return Path(name).with_suffix('.png')


def _annotations(found: InstanceData, image_id: int, before: int) -> Iterator[dict]:
    """Yield one image's detections as COCO annotations."""
    for i, (box, label, score) in enumerate(
        zip(
            found.bboxes.tolist(),
            found.labels.tolist(),
            found.scores.tolist(),
            strict=True,
        )
    ):
        x1, y1, x2, y2 = box
        yield dict(
            id=before + i + 1,
            image_id=image_id,
            category_id=label + 1,
            bbox=[x1, y1, x2 - x1, y2 - y1],
            area=(x2 - x1) * (y2 - y1),
            iscrowd=0,
            score=score,
        )
