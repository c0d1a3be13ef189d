"""Train a detector.

Run it as ``python tools/train.py CONFIG`` in a checkout, or as
``mim train mmdet_ifan CONFIG`` anywhere.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from _launch import (
    add_common_options,
    add_config,
    existing,
    load_config,
    make_parser,
    run,
    set_environment,
)

if TYPE_CHECKING:
    from mmengine.config import Config


def apply_options(cfg: Config, args: argparse.Namespace) -> None:
    """Write the options of training into the config.

    Args:
        cfg (Config): Config of the run, changed in place.
        args (argparse.Namespace): The command line.

    Raises:
        ValueError: If the config lacks what ``--auto-scale-lr`` needs.
    """
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.loss_scale = 'dynamic'
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise ValueError(
                f'--auto-scale-lr needs auto_scale_lr.base_batch_size, which '
                f'{args.config} does not set.'
            )
        cfg.auto_scale_lr.enable = True
    if args.seed is not None:
        cfg.merge_from_dict({'randomness.seed': args.seed})
    if args.resume == 'auto':
        # Without a checkpoint yet, the run starts as the config says; an
        # automatic resume of the runner would forget its load_from.
        from mmdet_ifan.engine.robustness.checkpoint_files import latest_in

        args.resume = latest_in(cfg.work_dir)
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = args.resume


def train(cfg: Config, args: argparse.Namespace) -> None:
    """Train as the config and the command line say.

    Args:
        cfg (Config): Config of the run.
        args (argparse.Namespace): The command line.
    """
    apply_options(cfg, args)

    from mmdet_ifan.engine import checked_runner
    from mmdet_ifan.engine.checks.config import check_config, check_folder
    from mmdet_ifan.engine.robustness.interruptions import (
        end_workers_with_this_process,
        explain_interruption,
    )

    check_folder(cfg.work_dir)
    check_config(cfg)
    end_workers_with_this_process()
    explain_interruption(lambda: checked_runner(cfg).train(), cfg.work_dir)


def main() -> None:
    """Train the detector that the command line names."""
    parser = make_parser('Train a detector.')
    add_config(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from this checkpoint; without a name, from the latest '
        'one in the work folder',
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size',
    )
    parser.add_argument(
        '--seed', type=int, help='seed of every random number generator'
    )
    add_common_options(parser)
    args = parser.parse_args()
    if args.resume not in (None, 'auto'):
        existing('checkpoint')(args.resume)
    set_environment(args)

    from torch.distributed.elastic.multiprocessing.errors import record

    # Of several processes, torchrun tells at its end which failed and, if it
    # was recorded, why.
    record(lambda: train(load_config(args), args))()


if __name__ == '__main__':
    run(main, 'the same command with --resume continues from the latest checkpoint')
