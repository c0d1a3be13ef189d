"""Find the weights that a run starts from, before it needs them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import torch
from mmengine.runner import checkpoint
from torch import nn

from ...models.backbones.package_weights import SCHEME, package_file

#: Short names of addresses, and where mmengine has a table of each kind.
SHORT = {
    'torchvision://': 'get_torchvision_models',
    'modelzoo://': 'get_torchvision_models',
    'open-mmlab://': 'get_external_models',
    'openmmlab://': 'get_external_models',
    'mmcls://': 'get_mmcls_models',
}
#: How weights are named that timm knows where to find.
TIMM = 'timm://'
#: Seconds within which an address must answer.
TIMEOUT = 5.0


def initial_weights(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Name the checkpoints that the parts of a model start from.

    Args:
        model (nn.Module): The model.

    Yields:
        tuple[str, str]: Place in the config, such as
        ``model.backbone.init_cfg``, and file or address.
    """
    for name, module in model.named_modules():
        for cfg in init_cfgs(module):
            start = start_of(module, cfg)
            if start:
                place = f'model.{name}' if name else 'model'
                yield f'{place}.init_cfg', start


def start_of(module: nn.Module, init_cfg: Mapping[str, Any]) -> str | None:
    """Name the file or address that a module starts from, if it does.

    Args:
        module (nn.Module): The module.
        init_cfg (Mapping): How it is initialised.

    Returns:
        str | None: ``timm://MODEL`` are timm's own weights.
    """
    if init_cfg.get('checkpoint') is None and init_cfg.get('type') == 'TimmInit':
        return f'{TIMM}{module.model}'
    return init_cfg.get('checkpoint')


def init_cfgs(module: nn.Module) -> list[dict]:
    """List the configs that a module is initialised with.

    Args:
        module (nn.Module): The module.
    """
    cfgs = getattr(module, 'init_cfg', None) or []
    return [
        cfg
        for cfg in (cfgs if isinstance(cfgs, list | tuple) else [cfgs])
        if isinstance(cfg, dict)
    ]


def find_weights(place: str, name: str) -> tuple[Path | None, str]:
    """Find weights on the disk, or check that they can be downloaded.

    Nothing is downloaded. An address that is neither of the web nor short for
    one, such as ``s3://…``, is not checked.

    Args:
        place (str): Place in the config, for the message.
        name (str): File or address.

    Returns:
        tuple[Path | None, str]: The file, if it is on the disk, and where
        the weights come from, in words.

    Raises:
        FileNotFoundError: If the file does not exist, or there are no weights
            of a short name.
        RuntimeError: If the address has not been downloaded and cannot be
            reached.
    """
    if name.startswith(SCHEME):
        path = package_file(name)
        return path, str(path)
    if name.startswith(TIMM):
        return (
            None,
            f"timm's own of {name.removeprefix(TIMM)}, which training downloads",
        )
    if '://' not in name:
        path = Path(name).expanduser()
        if not path.is_file():
            raise FileNotFoundError(
                f'{place} names {name}, which does not exist: train it '
                f'first, or correct {place}.'
            )
        return path, str(name)
    url = _long(place, name)
    if url is None:
        return None, f'{name}, which is not checked'
    path = Path(torch.hub.get_dir(), 'checkpoints', Path(urlparse(url).path).name)
    if path.is_file():
        return path, str(path)
    try:
        # As torch.hub does: some servers refuse urllib.
        request = Request(url, headers={'User-Agent': 'torch.hub'})
        with urlopen(request, timeout=TIMEOUT) as answer:
            size = int(answer.headers.get('Content-Length') or 0)
    except (OSError, ValueError) as error:
        reason = getattr(error, 'reason', None) or error
        setting = place if place == 'load_from' else f'{place}.checkpoint'
        raise RuntimeError(
            f'{place} names {url}, which is not at {path} and cannot be '
            f'downloaded ({reason}). Get the file elsewhere and put it there, '
            f'or set {setting} to its path.'
        ) from error
    return None, (
        f'{url}, which training downloads{f" ({size / 2**20:.0f} MiB)" if size else ""}'
    )


def _long(place: str, name: str) -> str | None:
    """Give the address that a name is short for; None if unknown."""
    if name.startswith(('http://', 'https://')):
        return name
    for prefix, table in SHORT.items():
        if not name.startswith(prefix):
            continue
        urls = getattr(checkpoint, table)()
        model = name.removeprefix(prefix)
        if table == 'get_external_models':
            model = checkpoint.get_deprecated_model_names().get(model, model)
        if model not in urls:
            raise FileNotFoundError(
                f'{place} names {name}, but mmengine knows no such weights: '
                f'correct {model!r}.'
            )
        # A user's own table may name files.
        return urls[model] if '://' in urls[model] else None
    return None
