"""Rank checkpoints on target images, without a target label."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from _launch import add_config, device, existing, make_parser, read_config, run  # noqa: E402

EPILOG = """
Give checkpoints, or work folders, of which every checkpoint is taken; NAME=PATH
names them. The config names the pair; each detector is built by the config in its
own checkpoint. Read are the target's training images and the source's test
images with their boxes, never anything of the target's test set.

OUT/selection.md has a row a candidate and says what each score would choose.
The same command resumes, and measures only what is new. What the scores mean,
and when not to trust them: docs/guide/selection.md.

example:
  python tools/analysis/selection.py configs/ifan/ifan_mini-city.py \\
      work_dirs/demo/ifan_mini-city --out work_dirs/selection
"""


def candidates(texts: list[str]) -> dict[str, str]:
    """Name the checkpoints that the command line gives.

    Args:
        texts (list[str]): Work folders or checkpoints, with or without
            ``NAME=`` before.

    Returns:
        dict[str, str]: Files by name; those of a folder by its name and their
        own, if there are several.

    Raises:
        ValueError: If a folder has no checkpoint or a name occurs twice.
    """
    from mmdet_ifan.analysis.selection import checkpoints_in

    found: dict[str, str] = {}
    for text in texts:
        before, equals, after = text.partition('=')
        named = bool(before and equals) and not Path(text).exists()
        path = after if named else text
        if Path(path).is_dir():
            run = before if named else Path(path).resolve().name
            pairs = {
                checkpoint if len(texts) == 1 else f'{run}/{checkpoint}': file
                for checkpoint, file in checkpoints_in(Path(path)).items()
            }
            if not pairs:
                raise ValueError(f'{path} has no iter_*.pth or epoch_*.pth.')
        else:
            name = before if named else Path(path).stem
            pairs = {name: existing('checkpoint')(path)}
        for name, file in pairs.items():
            if name in found:
                raise ValueError(
                    f'{found[name]} and {file} are both called {name}: give NAME=PATH.'
                )
            found[name] = file
    return found


def main() -> None:
    """Rank the checkpoints that the command line names."""
    parser = make_parser(__doc__, EPILOG)
    add_config(parser, 'config of the pair')
    parser.add_argument('candidates', nargs='+', metavar='[NAME=]PATH')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='folder of the results'
    )
    parser.add_argument(
        '--target',
        type=Path,
        metavar='DIR',
        help="folder of target images, in place of the config's",
    )
    parser.add_argument('--scores', nargs='+', help='scores to show (default: all)')
    parser.add_argument(
        '--images',
        type=int,
        default=200,
        metavar='N',
        help='images of each domain, the first by path (default: %(default)s)',
    )
    parser.add_argument(
        '--repeats',
        type=int,
        default=1,
        metavar='N',
        help='draws of each disturbance; each costs two passes over the target '
        'images (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the disturbances')
    parser.add_argument(
        '--perturbation',
        choices=['relative', 'das'],
        default='relative',
        help='step of the weights: a share of each tensor, or as the published '
        'code has it (default: %(default)s)',
    )
    parser.add_argument(
        '--step',
        type=float,
        default=0.01,
        metavar='SHARE',
        help='of each tensor, by which relative changes it (default: %(default)s)',
    )
    parser.add_argument('--device', default='cpu', type=device)
    args = parser.parse_args()
    cfg = read_config(args.config, args.cfg_options)
    checkpoints = candidates(args.candidates)

    from mmdet_ifan.analysis.selection import Images, Selection, Settings
    from mmdet_ifan.analysis.selection_page import SCORES, check_scores
    from mmdet_ifan.deployment.checkpoint_config import detector_of

    scores = args.scores or tuple(SCORES)
    check_scores(scores)
    settings = Settings(
        args.images, args.repeats, args.seed, args.perturbation, args.step
    )
    images = Images(cfg, args.images, args.target)
    Selection(
        images,
        settings,
        args.out,
        lambda path: detector_of(path, cfg, images.classes, args.device),
    ).measure(checkpoints, scores)
    print((args.out / 'selection.md').read_text())
    print(f'Results: {args.out}/selection.md, selection.json, selection.png')


if __name__ == '__main__':
    run(main, 'the same command resumes')
