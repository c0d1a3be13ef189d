"""Compare a checkpoint with the config that uses it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mmdet.registry import DATASETS
from mmengine.config import Config
from torch import Tensor, nn

from ...translation import ImagePool
from ...utils.config_values import read_values
from ...utils.errors import DataError, name_some, warn
from ..robustness.safe_loading import load_checkpoint

#: Parts of a stock detector's state dict.
PARTS = ('backbone.', 'rpn_head.', 'roi_head.')
#: Parts of a model's config that decide what its weights compute.
COMPUTING = ('data_preprocessor', 'backbone', 'rpn_head', 'roi_head')
#: Settings of training, and ``out_indices``: only the last tap is used.
TRAINING = (
    'frozen_stages',
    'init_cfg',
    'norm_eval',
    'out_indices',
    'pretrained',
    'taps',
    'with_cp',
    'test_cfg',
    'train_cfg',
)


def weights_of(loaded: dict) -> dict[str, Tensor]:
    """Find the weights in a checkpoint, where mmengine does.

    Args:
        loaded (dict): The checkpoint, which may be nothing but weights.

    Returns:
        dict[str, Tensor]: Its state dict, without the name of a wrapper.
    """
    return {
        key.removeprefix('module.'): value
        for key, value in loaded.get('state_dict', loaded).items()
    }


def plain_state(
    state_dict: dict[str, Tensor], with_neck: bool = False
) -> dict[str, Tensor]:
    """Keep a stock detector's part of a state dict.

    Args:
        state_dict (dict[str, Tensor]): An ``IFANDetector``'s.
        with_neck (bool): Whether its neck is a stock one, such as an FPN.
            Defaults to False.

    Returns:
        dict[str, Tensor]: The weights of a ``FasterRCNN``.
    """
    parts = (*PARTS, 'neck.') if with_neck else PARTS
    return {key: value for key, value in state_dict.items() if key.startswith(parts)}


def classes_in(loaded: dict) -> tuple[str, ...] | None:
    """Read the names of the classes that a checkpoint was trained with.

    Args:
        loaded (dict): The checkpoint; also mmdet 2's.

    Returns:
        tuple[str, ...] | None: The classes in their order. None if it does
        not name them.
    """
    meta = _meta(loaded)
    dataset_meta = meta.get('dataset_meta')
    if isinstance(dataset_meta, dict):
        meta = {str(key).upper(): value for key, value in dataset_meta.items()}
    classes = meta.get('CLASSES')
    if not isinstance(classes, list | tuple):
        return None
    return tuple(map(str, classes))


def classes_of(cfg: Config) -> tuple[str, ...] | None:
    """Read the names of the classes that a config tests.

    Args:
        cfg (Config): The config; no annotation file is read.

    Returns:
        tuple[str, ...] | None: The classes in their order. None if the config
        has no test data, or names no classes for them.
    """
    if cfg.get('test_dataloader') is None:
        return None
    dataset = cfg.test_dataloader.dataset.to_dict()
    return classes_of_dataset(DATASETS.build(dict(dataset, lazy_init=True)))


def classes_of_dataset(dataset: Any) -> tuple[str, ...] | None:
    """Read the names of a data set's classes; None if it has none."""
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    return None if classes is None else tuple(map(str, classes))


def load_fitting(model: nn.Module, checkpoint: str, cfg: Config | None = None) -> dict:
    """Load a checkpoint; refuse one that does not fit the detector.

    mmengine loads the weights that fit and leaves the others random. A weight
    that only training uses may be missing or extra, which is logged.

    Args:
        model (nn.Module): The detector, which is not changed.
        checkpoint (str): File or address.
        cfg (Config, optional): The config. Defaults to None, for which
            neither classes nor settings are compared.

    Returns:
        dict: The checkpoint.

    Raises:
        DataError: See :func:`check_for_test`.
    """
    loaded = load_checkpoint(checkpoint)
    about = (None, None) if cfg is None else (classes_of(cfg), cfg.model.to_dict())
    warn(*check_for_test(model, loaded, checkpoint, *about))
    return loaded


def check_for_test(
    model: nn.Module,
    loaded: dict,
    name: str,
    classes: Sequence[str] | None = None,
    settings: dict | None = None,
) -> list[str]:
    """Check a checkpoint that a detector is to be tested with.

    Args:
        model (nn.Module): The detector.
        loaded (dict): The checkpoint.
        name (str): Its name, for the message.
        classes (Sequence[str], optional): The classes of the data. Defaults
            to None, for which they are not compared.
        settings (dict, optional): Config of the detector. Defaults to None.

    Returns:
        list[str]: A warning for each difference that may be intended.

    Raises:
        DataError: If the classes or their order differ, a weight that testing
            uses is missing or of another shape, or the stock detector's parts
            have one too many.
    """
    warnings = _check_classes(loaded, name, classes)
    expected, found = _shapes(model, loaded)
    unused = unused_prefixes(model)
    wrong = sorted(
        key
        for key in dict(expected.items() ^ found.items())
        if not key.startswith(unused)
        and (key in expected or key.startswith((*PARTS, 'neck.')))
    )
    if wrong:
        raise DataError(
            f'{name} does not fit the config: {len(wrong)} weights are '
            'missing, extra or of another shape, the first of them '
            f'{wrong[0]}. Give the config that it was trained with.'
        )
    extra = found.keys() - expected.keys()
    if extra:
        warnings.append(
            f'{name} also has {_layers(extra)}, which the '
            'config lacks and testing does not use: left out.'
        )
    missing = expected.keys() - found.keys()
    if missing:
        warnings.append(f'{name} lacks {_layers(missing)}, which testing does not use.')
    return warnings + differing_settings(loaded, name, settings)


def check_for_resume(
    model: nn.Module,
    loaded: dict,
    name: str,
    classes: Sequence[str] | None = None,
    settings: dict | None = None,
    averages: bool = False,
) -> list[str]:
    """Check a checkpoint that a run is to be resumed from.

    Args:
        model (nn.Module): See :func:`check_for_test`, as of all that follow.
        loaded (dict): The checkpoint.
        name (str): Its name.
        classes (Sequence[str], optional): The classes.
        settings (dict, optional): Config of the detector.
        averages (bool): Whether the run averages its weights. Defaults to
            False.

    Returns:
        list[str]: A warning for each difference that may be intended.

    Raises:
        DataError: If it holds no state of a run, or the classes, their order,
            any weight or the averaging differ.
    """
    if 'message_hub' not in loaded or 'iter' not in _meta(loaded):
        raise DataError(
            f'{name} holds no state of a run that could be resumed: give it '
            'as load_from without --resume, to start from its weights.'
        )
    warnings = _check_classes(loaded, name, classes)
    expected, found = _shapes(model, loaded)
    wrong = sorted(dict(expected.items() ^ found.items()))
    if wrong:
        raise DataError(
            f'{name} cannot be resumed with this config: {len(wrong)} weights '
            f'are missing, extra or of another shape, in {_layers(wrong)}. '
            'Give the config that it was trained with, or give it as '
            'load_from without --resume, to start another run from its '
            'weights.'
        )
    if 'ema_state_dict' in loaded and not averages:
        raise DataError(
            f'{name} is of a run that averages its weights, but this config '
            'has no EMAHook: training would resume with the averaged weights. '
            'Give the config its EMAHook (configs/_base_/recipes/strong.py), '
            'or give the checkpoint as load_from without --resume, to start a '
            'run from the averaged weights.'
        )
    if loaded.get('optimizer') is None:
        warnings.append(
            f'{name} has no state of an optimizer: the optimizer starts '
            'without its memory of earlier steps, and the run will differ '
            'from an uninterrupted one.'
        )
    return warnings + differing_settings(loaded, name, settings)


def check_for_start(
    model: nn.Module,
    loaded: dict,
    name: str,
    classes: Sequence[str] | None = None,
    settings: dict | None = None,
) -> list[str]:
    """Check a checkpoint whose weights a run is to start from.

    Args:
        model (nn.Module): See :func:`check_for_test`, as of all that follow.
        loaded (dict): The checkpoint.
        name (str): Its name.
        classes (Sequence[str], optional): The classes.
        settings (dict, optional): Config of the detector.

    Returns:
        list[str]: A warning for each difference that may be intended.

    Raises:
        DataError: If the classes are the same in another order, or none of
            the weights fits.
    """
    expected, found = _shapes(model, loaded)
    if not expected.items() & found.items():
        raise DataError(
            f'None of the {len(found)} weights of load_from, {name}, fits the '
            'detector, which would train from scratch: give a checkpoint of '
            'a detector. Weights of a backbone alone belong in model.'
            "backbone.init_cfg=dict(type='Pretrained', checkpoint=…)."
        )
    warnings = []
    trained = classes_in(loaded)
    counts = ''
    if trained is not None and classes is not None:
        _check_order(name, trained, classes)
        if len(trained) != len(classes):
            counts = (
                f' (it was trained with {len(trained)} classes, the '
                f'config has {len(classes)})'
            )
        elif trained != tuple(classes):
            pairs = name_some(
                (
                    f'{new} gets those of {old}'
                    for old, new in zip(trained, classes, strict=True)
                    if old != new
                ),
                10,
            )
            warnings.append(
                f'{name} was trained with as many, but other classes. The '
                f'box head takes its weights by position: {pairs}. Training '
                'has to unlearn them.'
            )
    reshaped = {
        key for key in expected.keys() & found.keys() if expected[key] != found[key]
    }
    if reshaped:
        warnings.append(
            f'{_layers(reshaped)} are of another shape in '
            f'{name}{counts}: they train from scratch.'
        )
    missing = expected.keys() - found.keys()
    if missing:
        warnings.append(f'{name} lacks {_layers(missing)}: they train from scratch.')
    extra = found.keys() - expected.keys()
    if extra:
        warnings.append(
            f'{name} also has {_layers(extra)}, which the config lacks: left out.'
        )
    # A detector of which layers train from scratch is another one anyway.
    if not reshaped:
        warnings += differing_settings(loaded, name, settings)
    return warnings


def differing_settings(loaded: dict, name: str, settings: dict | None) -> list[str]:
    """Compare the detector's config with the one in the checkpoint.

    Weights may fit and yet compute something else, such as with another
    dilation or another mean of the pixels.

    Args:
        loaded (dict): The checkpoint.
        name (str): Its name, for the message.
        settings (dict, optional): Config of the detector, of which None is
            not compared.

    Returns:
        list[str]: A sentence if something differs. The config in the
        checkpoint may be absent or more than data: then none.
    """
    text = _meta(loaded).get('cfg')
    if not isinstance(text, str) or settings is None:
        return []
    try:
        model = read_values(text, ['model'])['model']
    except (KeyError, RecursionError, SyntaxError, TypeError, ValueError):
        return []
    if not isinstance(model, dict):
        return []
    before, now = dict(_settings(model)), dict(_settings(settings))
    # An exported detector has other names for the same types.
    types = model.get('type') == settings.get('type')
    differing = [
        f'{key} {before.get(key)} there and {now.get(key)} here'
        for key in [*before, *(now.keys() - before.keys())]
        if before.get(key) != now.get(key) and (types or not key.endswith('.type'))
    ]
    if not differing:
        return []
    return [
        f'The config in {name} describes another detector whose weights '
        f'have the same shapes: {name_some(differing)}. Give the config '
        'that it was trained with unless this is intended.'
    ]


def _settings(model: dict) -> Iterator[tuple[str, Any]]:
    """List the settings that decide what weights compute."""
    for part in COMPUTING:
        node = model.get(part)
        if isinstance(node, dict) and 'data_preprocessor' in node:
            node = node['data_preprocessor']
        yield from _leaves(part, node)


def _leaves(path: str, node: Any) -> Iterator[tuple[str, Any]]:
    """List the values in nested dictionaries and lists by their path."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in TRAINING and not str(key).startswith('loss'):
                yield from _leaves(f'{path}.{key}', value)
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _leaves(f'{path}.{i}', value)
    elif isinstance(node, str):
        yield path, node.removeprefix('mmdet.')
    elif node is not None:
        yield path, node


def _meta(loaded: dict) -> dict:
    """Give the meta information of a checkpoint, which may be anything."""
    meta = loaded.get('meta')
    return meta if isinstance(meta, dict) else {}


def _shapes(model: nn.Module, loaded: dict) -> tuple[dict, dict]:
    """Give the shapes of the weights, the detector's and the checkpoint's."""
    # A pool grows as it is filled.
    grown = {
        f'{name}.images'
        for name, module in model.named_modules()
        if isinstance(module, ImagePool)
    }
    expected, found = (
        {
            key: getattr(value, 'shape', None)
            for key, value in state.items()
            if key not in grown
        }
        for state in (model.state_dict(), weights_of(loaded))
    )
    return expected, found


def unused_prefixes(model: nn.Module) -> tuple[str, ...]:
    """Name the parts of a detector that testing does not use.

    Args:
        model (nn.Module): The detector.

    Returns:
        tuple[str, ...]: How the names of their weights begin.
    """
    neck: Any = getattr(model, 'neck', None)
    if neck and neck.state_dict() and getattr(neck, 'predicts', True):
        return ('alignments.',)
    return 'alignments.', 'neck.'


def _check_order(name: str, trained: Sequence[str], classes: Sequence[str]) -> None:
    """Refuse the same classes in another order."""
    if trained != tuple(classes) and Counter(trained) == Counter(classes):
        raise DataError(
            f'{name} was trained with the classes {", ".join(trained)}, but '
            f'the config has them in another order: {", ".join(classes)}. '
            'The detector knows a class by its position: give '
            "metainfo['classes'] the checkpoint's order."
        )


def _check_classes(loaded: dict, name: str, classes: Sequence[str] | None) -> list[str]:
    """Refuse other classes; warn if the checkpoint names none."""
    if classes is None:
        return []
    trained = classes_in(loaded)
    if trained is None:
        return [
            f'{name} does not name its classes: they are taken to be '
            f'{", ".join(classes)}, in this order.'
        ]
    _check_order(name, trained, classes)
    if trained != tuple(classes):
        raise DataError(
            f'The classes of {name} ({len(trained)}) are '
            f'{name_some(trained, 20)}, but those of the config '
            f'({len(classes)}) {name_some(classes, 20)}: give '
            "metainfo['classes'] the names of the checkpoint, or take the "
            'config that it was trained with.'
        )
    return []


def _layers(keys: Iterable[str]) -> str:
    """Name the layers of some weights: an alignment whole, a head by layer."""
    names: dict[str, None] = {}
    for key in sorted(keys):
        words = key.split('.')
        depth = dict(backbone=1, neck=1, alignments=2, teacher=1, student=1).get(
            words[0], max(len(words) - 1, 1)
        )
        names['.'.join(words[:depth])] = None
    return name_some(names, 6)
