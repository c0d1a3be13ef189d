"""Write a trained detector as a stock MMDetection Faster R-CNN."""

from pathlib import Path

from _launch import add_config, existing, make_parser, read_config, require_new, run

EPILOG = """
DIR gets config.py and weights.pth. They load where mmdet_ifan is not
installed, and hold no parameter of an alignment. Where mmdet lacks a part of
the detector, DIR also gets a file that adds it and has to be on PYTHONPATH:
plain_vgg.py for VGG; plain_timm.py for a trunk of timm, which has to be
installed.
--onnx needs the package onnx; running the file needs onnxruntime.

example:
  python tools/export.py configs/ifan/ifan_mini-city.py \\
      work_dirs/ifan_mini-city/iter_1000.pth --out detector
"""


def main() -> None:
    """Export the detector that the command line names."""
    parser = make_parser(__doc__, EPILOG)
    add_config(parser)
    parser.add_argument(
        'checkpoint', type=existing('checkpoint'), help='path of the checkpoint'
    )
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='new folder'
    )
    parser.add_argument(
        '--onnx',
        nargs=2,
        type=int,
        metavar=('H', 'W'),
        help='also write detector.onnx, for images of this size in pixels',
    )
    args = parser.parse_args()
    require_new(parser, args.out)
    cfg = read_config(args.config, args.cfg_options)

    from mmdet_ifan.deployment import export

    export(cfg, args.checkpoint, args.out, tuple(args.onnx) if args.onnx else None)
    files = ', '.join(sorted(path.name for path in args.out.iterdir()))
    print(f'The detector is in {args.out}: {files}.')


if __name__ == '__main__':
    run(main)
