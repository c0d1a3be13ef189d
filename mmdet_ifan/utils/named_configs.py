"""Resolve config names such as ``mmdet_ifan::ifan_vgg16_city2foggy.py``.

mmengine reads ``package::path`` for a fixed table of packages only. It wants a
folder in the path and a ``.mim`` in the package, which a checkout does not
have, and it looks for classes in the package's own scope, whereas ours are
registered with mmdet. So names of this package are resolved here; mmengine
resolves all others.
"""

from pathlib import Path

from mmengine.config import Config

PREFIX = 'mmdet_ifan::'


def package_folder(name: str) -> Path:
    """Find the configs or the tools that belong to this package.

    Args:
        name (str): 'configs' or 'tools'.

    Returns:
        Path: The folder, in the installed package or in the checkout.
    """
    package = Path(__file__).resolve().parents[1]
    folder = package / '.mim' / name
    return folder if folder.is_dir() else package.parent / name


def config_path(name: str) -> str:
    """Find one of this package's configs.

    Args:
        name (str): File name, such as ``ifan_mini-city.py``, or path below
            the configs folder, such as ``_base_/models/ifan_mini.py``.

    Returns:
        str: The file, in the installed package or in the checkout.

    Raises:
        FileNotFoundError: If there is no such config.
    """
    folder = package_folder('configs')
    found = [folder / name] if '/' in name else list(folder.glob(f'*/{name}'))
    path = found[0] if len(found) == 1 else folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f'mmdet_ifan has no config {name!r} (looked in {folder}); "mim '
            'search mmdet_ifan" lists them.'
        )
    return str(path)


def resolve_names() -> None:
    """Let ``_base_`` name our configs in every config that mmengine reads."""
    resolve_others = Config._get_cfg_path

    def resolve(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if cfg_path.startswith(PREFIX):
            # The second value is the scope of its classes.
            return config_path(cfg_path.removeprefix(PREFIX)), None
        return resolve_others(cfg_path, filename)

    Config._get_cfg_path = staticmethod(resolve)
