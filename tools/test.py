"""Test a trained detector.

Run it as ``python tools/test.py CONFIG CHECKPOINT`` in a checkout, or as
``mim test mmdet_ifan CONFIG --checkpoint CHECKPOINT`` anywhere.
"""

from _launch import (
    add_common_options,
    add_config,
    existing,
    load_config,
    make_parser,
    run,
)


def main() -> None:
    """Test the detector that the command line names."""
    parser = make_parser('Test a trained detector.')
    add_config(parser)
    parser.add_argument(
        'checkpoint', type=existing('checkpoint'), help='path of the checkpoint'
    )
    parser.add_argument(
        '--out', metavar='FILE', help='write the metrics to this .json file'
    )
    parser.add_argument(
        '--show-dir',
        metavar='FOLDER',
        help='draw the detections into this folder; a relative path lies in '
        'the work folder',
    )
    add_common_options(parser)
    args = parser.parse_args()
    if args.out is not None and not args.out.endswith('.json'):
        parser.error(f'--out must be a .json file, but is {args.out!r}.')
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    if args.show_dir is not None:
        cfg.default_hooks.visualization = dict(
            type='DetVisualizationHook', draw=True, test_out_dir=args.show_dir
        )

    from mmengine.dist import is_main_process
    from mmengine.fileio import dump

    from mmdet_ifan.engine import checked_runner, end_workers_with_this_process

    end_workers_with_this_process()
    metrics = checked_runner(cfg).test()
    if args.out is not None and is_main_process():
        dump(metrics, args.out, indent=2)


if __name__ == '__main__':
    run(main)
