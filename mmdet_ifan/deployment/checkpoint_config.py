"""The config in a checkpoint, read as data.

mmengine runs a config as a Python program, and a ``type`` in it may name any
function by its path. A stranger's checkpoint must do neither.
"""

from collections.abc import Iterator, Sequence

import torch
from mmdet import registry as mmdet_registry
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine import registry as mmengine_registry
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from torch import nn

from ..engine.checks.checkpoint import check_for_test, weights_of
from ..engine.robustness.safe_loading import load_checkpoint
from ..utils.config_values import read_values
from ..utils.errors import DataError, warn
from .peel_off import COMPANIONS, parts_of

#: The parts of a config that a detector needs to run.
PARTS = ('default_scope', 'model', 'test_dataloader', 'visualizer')
#: Modules that a config may import: this package and its exported files.
IMPORTS = (
    'mmdet_ifan',
    'mmdet_ifan.patch_mmengine',
    *(companion.file for companion in COMPANIONS),
)
#: Our classes replace those in the exported files, which may be anybody's.
OURS = {companion.plain: companion.ours for companion in COMPANIONS}
#: Operators of mmcv, which are in no registry.
OPERATORS = ('nms', 'soft_nms', 'RoIAlign', 'RoIPool')


def checkpoint_config(checkpoint: str, needed: Sequence[str] = PARTS) -> Config:
    """Read the config in a checkpoint.

    Args:
        checkpoint (str): File or address of the checkpoint.
        needed (Sequence[str]): Names of the parts to read. Defaults to those
            that a detector needs to run.

    Returns:
        Config: These parts.

    Raises:
        DataError: If there is no config, if one of these parts is missing, or
            if it holds more than values and names of registered classes.
    """
    text = load_checkpoint(checkpoint).get('meta', {}).get('cfg')
    remedy = 'give a config of your own with --config'
    if not isinstance(text, str):
        raise DataError(f'{checkpoint} holds no config: {remedy}.')
    return _read(text, checkpoint, needed, (), remedy)


def detector_of(
    checkpoint: str,
    cfg: Config,
    classes: Sequence[str] | None = None,
    device: str = 'cpu',
) -> tuple[nn.Module, int]:
    """Build the detector of a checkpoint by the config in it.

    Checkpoints of different methods can thus be compared. No data set is
    built, and no random number is drawn.

    Args:
        checkpoint (str): File or address of the checkpoint.
        cfg (Config): Config whose model is taken if the checkpoint has none.
            The checkpoint's own may import what this one imports.
        classes (Sequence[str], optional): Names that its classes must have.
            Defaults to None.
        device (str): Device. Defaults to ``cpu``.

    Returns:
        tuple[nn.Module, int]: The detector, in testing mode, and the iteration
        of the checkpoint, 0 if it does not say.

    Raises:
        DataError: If the checkpoint does not fit its config or the classes;
            see also :func:`checkpoint_config`.
    """
    loaded = load_checkpoint(checkpoint)
    meta = loaded.get('meta', {})
    if isinstance(meta.get('cfg'), str):
        imports = (cfg.get('custom_imports') or {}).get('imports') or ()
        cfg = _read(
            meta['cfg'],
            checkpoint,
            ('model',),
            (imports,) if isinstance(imports, str) else imports,
            'import what it needs by custom_imports in your config, or leave the '
            'checkpoint out',
        )
    init_default_scope('mmdet')
    with torch.random.fork_rng():
        model = MODELS.build(cfg.model)
    warn(*check_for_test(model, loaded, checkpoint, classes))
    model.load_state_dict(weights_of(loaded), strict=False)
    return model.to(device).eval(), int(meta.get('iter', 0))


def _read(
    text: str,
    checkpoint: str,
    needed: Sequence[str],
    trusted: Sequence[str],
    remedy: str,
) -> Config:
    """Read a config without running it.

    Args:
        text (str): The config.
        checkpoint (str): The checkpoint that holds it, for the errors.
        needed (Sequence[str]): Names of the parts to read.
        trusted (Sequence[str]): Modules that it may import besides this
            package, as the user's own config imports them.
        remedy (str): What an error asks the user to do.
    """
    try:
        return _parts(text, needed, trusted)
    except KeyError as error:
        raise DataError(
            f'The config in {checkpoint} has no {error.args[0]}: {remedy}.'
        ) from error
    except (RecursionError, SyntaxError, TypeError, ValueError) as error:
        raise DataError(
            f'The config in {checkpoint} is not used ({error}): it would run '
            f'code. Instead, {remedy}.'
        ) from error


def _parts(text: str, needed: Sequence[str], trusted: Sequence[str]) -> Config:
    """Read the parts of a config; a missing one is a KeyError."""
    values = read_values(text, (*needed, 'custom_imports'))
    parts = {key: values[key] for key in needed}
    for module in values.get('custom_imports', {}).get('imports', []):
        if module not in (*IMPORTS, *trusted):
            raise ValueError(f'it imports {module!r}')
    register_all_modules()
    known = {*_registered(), *OPERATORS, *OURS}
    for part in parts_of(parts):
        name = part['type']
        if not isinstance(name, str) or name.removeprefix('mmdet.') not in known:
            raise ValueError(f'{name!r} is no registered class')
        part['type'] = OURS.get(name, name)
    return Config(parts)


def _registered() -> Iterator[str]:
    """List the names of all classes registered in mmengine and mmdet."""
    return (
        name
        for module in (mmengine_registry, mmdet_registry)
        for registry in vars(module).values()
        if isinstance(registry, Registry)
        for name in registry.module_dict
    )
