"""Embed the RoI features of both domains by t-SNE (paper, Figure 3)."""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from _launch import (  # noqa: E402
    add_config,
    add_named_checkpoints,
    device,
    make_parser,
    read_config,
    run,
)

EPILOG = """
Each checkpoint gets a panel of the objects of the test images, coloured by
category, filled for source and hollow for target. Its title has two numbers:
the proxy A-distance (0: a linear classifier cannot tell the domains apart;
2: it always can) and, with more than one category, their silhouette (larger:
better separated). The numbers also go into a JSON file next to the picture:
features.json for features.png.

example:
  python tools/analysis/features.py configs/ifan/ifan_mini-city.py \\
      source-only=work_dirs/demo/source-only_mini-city/iter_1000.pth \\
      iFAN=work_dirs/demo/ifan_mini-city/iter_1000.pth --out features.png
"""


def main() -> None:
    """Embed the features of the detectors that the command line names."""
    parser = make_parser(__doc__, EPILOG)
    add_config(parser, 'config of all detectors')
    add_named_checkpoints(parser)
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help='PNG to write'
    )
    parser.add_argument(
        '--max-per-class',
        type=int,
        default=40,
        metavar='N',
        help='most objects of a class and domain (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of t-SNE')
    parser.add_argument('--device', default='cpu', type=device)
    args = parser.parse_args()
    cfg = read_config(args.config, args.cfg_options)

    from mmdet_ifan.analysis.embedding import in_words, plot_embedding, roi_features

    detectors = {
        name: roi_features(cfg, checkpoint, args.max_per_class, args.device)
        for name, checkpoint in dict(args.checkpoints).items()
    }
    measures = plot_embedding(
        detectors,
        list(cfg.test_dataloader.dataset.target.metainfo.classes),
        args.out,
        args.seed,
    )
    values = args.out.with_suffix('.json')
    values.write_text(json.dumps(measures, indent=1) + '\n')
    for name, measure in measures.items():
        print(f'{name}: {in_words(measure)}')
    print(f'The picture is {args.out}, the numbers are in {values}.')


if __name__ == '__main__':
    run(main)
