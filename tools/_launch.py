"""What the tools that take a config share: options, config, environment.

Nothing heavy is imported at module level: ``mim train`` first runs
``train.py -h``, and a help text should not wait for torch.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config


#: What the config of a run imports.
MODULES = ('mmdet_ifan', 'mmdet_ifan.patch_mmengine')


class LazyDictAction(argparse.Action):
    """mmengine's ``DictAction``, imported only when the option is given."""

    def __call__(self,
                 parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace,
                 values: str | Sequence[Any] | None,
                 option_string: str | None = None) -> None:
        """Parse ``key=value`` pairs into a dictionary."""
        from mmengine.config import DictAction
        action = DictAction(self.option_strings, self.dest, nargs='+')
        action(parser, namespace, values, option_string)


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``.

    Args:
        parser (argparse.ArgumentParser): Parser of the script.
    """
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=LazyDictAction,
        default={},
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. '
        'train_dataloader.batch_size=2; a list is written as "[a,b]" or a,b')


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing have in common.

    Args:
        parser (argparse.ArgumentParser): Parser of the script.
    """
    parser.add_argument(
        '--work-dir',
        help='folder for logs and results (default: ./work_dirs/CONFIG_NAME)')
    add_cfg_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed job are started')
    # torch.distributed.launch passes it with a hyphen or an underscore.
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=0,
        help=argparse.SUPPRESS)


def add_package() -> None:
    """Import the package and what it changes in mmengine.

    The tools of a checkout take the package of the checkout, not an installed
    one; beside the installed tools there is none.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import mmdet_ifan.patch_mmengine  # noqa: F401


def read_config(path: str, options: dict[str, Any]) -> Config:
    """Read a config and apply the options of the command line.

    Args:
        path (str): The config; it may inherit from ``mmdet_ifan::…``.
        options (dict[str, Any]): Settings by their dotted names.

    Returns:
        Config: The config.
    """
    require_file('config', path)
    add_package()

    from mmengine.config import Config
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(options)
    return cfg


def load_config(args: argparse.Namespace) -> Config:
    """Read the config of a run that the command line names.

    Args:
        args (argparse.Namespace): Arguments with the common options.

    Returns:
        Config: The config, ready for a ``Runner``.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    # Threads that spin while they wait made a step on two busy cores take 28
    # seconds instead of 2. It is read when torch is imported.
    os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('work_dirs', Path(args.config).stem)
    import_package(cfg)
    join_processes_without_gpu(cfg)
    return cfg


def import_package(cfg: Config) -> None:
    """Let whoever reads a run's config import this package.

    A config with modules of its own replaces the list of its base.

    Args:
        cfg (Config): Config of the run, changed in place.
    """
    imports = cfg.get('custom_imports') or {}
    names = imports.get('imports') or []
    names = [names] if isinstance(names, str) else list(names)
    others = [name for name in names if name not in MODULES]
    cfg.custom_imports = dict(imports, imports=[*MODULES, *others])


def join_processes_without_gpu(cfg: Config) -> None:
    """Let a distributed job run where there is no GPU.

    The runner would give each process a CUDA device, to use for itself and
    for its model. It does neither if the processes have met before and the
    config says how to wrap the model.

    Args:
        cfg (Config): Config of the run, changed in place.
    """
    from mmengine.device import get_device
    if cfg.launcher != 'pytorch' or get_device() != 'cpu':
        return
    from torch.distributed import init_process_group
    init_process_group('gloo')
    cfg.setdefault(
        'model_wrapper_cfg',
        dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False)))


def add_named_checkpoints(parser: argparse.ArgumentParser) -> None:
    """Add ``checkpoints``, one or more pairs of a name and a path.

    Args:
        parser (argparse.ArgumentParser): Parser of the script.
    """
    names: set[str] = set()

    def pair(text: str) -> tuple[str, str]:
        name, equals, checkpoint = text.partition('=')
        if not equals:
            raise argparse.ArgumentTypeError(f'{text} is no NAME=CHECKPOINT.')
        if name in names:
            raise argparse.ArgumentTypeError(
                f'{name} names two checkpoints: give each a name of its own.')
        names.add(name)
        require_file('checkpoint', checkpoint)
        return name, checkpoint

    parser.add_argument(
        'checkpoints', nargs='+', type=pair, metavar='NAME=CHECKPOINT')


def require_new(parser: argparse.ArgumentParser, folder: Path) -> None:
    """Stop with a sentence if an output folder holds something or is none.

    Args:
        parser (argparse.ArgumentParser): Parser of the script.
        folder (Path): The folder.
    """
    if folder.is_file():
        parser.error(f'{folder} is a file: choose another --out.')
    if folder.exists() and any(folder.iterdir()):
        parser.error(f'{folder} is not empty: choose another --out.')


def require_file(kind: str, path: str) -> None:
    """Stop with a sentence if a file from the command line is missing.

    Args:
        kind (str): What the file is, for the sentence.
        path (str): Path, or address of something to download.
    """
    if '://' not in path and not os.path.isfile(path):
        sys.exit(f'error: there is no {kind} {path!r} (looked in '
                 f'{os.getcwd()}); check the path.')
