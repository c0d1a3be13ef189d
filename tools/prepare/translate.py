"""Paint source images in the look of the target, with a trained CycleGAN."""

from argparse import Namespace
from pathlib import Path

from _options import CONTINUES, add_images, add_workers, device, finish, make_parser

EPILOG = """
CHECKPOINT is of a run of a cyclegan config. The translations have the names,
formats and sizes of the originals, so the originals' boxes fit them. Each is
painted whole, at the scale of that run. The same command continues after an
interruption, and makes a translation again that is older than its original.
TRANSLATED.json in the folder says what made it, and of which images.

The dt-ft configs look for them in translated, below the data root, where the
originals are without it.

example:
  python tools/prepare/translate.py \\
      work_dirs/cyclegan_mini-city/iter_2400.pth \\
      data/mini_city/leftImg8bit --out data/mini_city/translated/leftImg8bit
"""


def main() -> None:
    """Translate the images that the command line names."""
    parser = make_parser(__doc__, EPILOG)
    parser.add_argument('checkpoint', type=Path, metavar='CHECKPOINT')
    add_images(parser)
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        metavar='DIR',
        help='folder for the translations',
    )
    parser.add_argument(
        '--config', help="config of that run (default: the checkpoint's own)"
    )
    parser.add_argument(
        '--device',
        type=device,
        help='device such as cpu (default: a GPU if there is one)',
    )
    add_workers(parser, 'threads', 'translations')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace the translations of another checkpoint or folder',
    )
    run(parser.parse_args())


def run(args: Namespace) -> None:
    """Translate images.

    Args:
        args (Namespace): The command line.
    """
    from mmengine.config import Config
    from mmengine.device import get_device

    from mmdet_ifan.deployment.checkpoint_config import checkpoint_config
    from mmdet_ifan.engine.robustness.safe_loading import load_checkpoint
    from mmdet_ifan.preparation.translate import translate
    from mmdet_ifan.translation import Translator

    name = str(args.checkpoint)
    parts = ('default_scope', 'model', 'train_dataloader')
    cfg = (
        Config.fromfile(args.config) if args.config else checkpoint_config(name, parts)
    )
    translator = Translator(cfg, load_checkpoint(name), args.device or get_device())
    translate(
        args.images,
        args.out,
        translator,
        args.checkpoint,
        translator.settings,
        args.workers,
        args.strict,
        args.overwrite,
    )


if __name__ == '__main__':
    finish(main, CONTINUES)
