"""Write the HTML page of a finished demo again.

The demo writes the page at its end. Written again, the page has the pictures
that are in the folder now, such as those that tools/analysis has put there.
"""

from pathlib import Path

from _launch import add_package, make_parser, run


def main() -> None:
    """Write the page."""
    parser = make_parser(__doc__)
    parser.add_argument(
        'folder',
        nargs='?',
        type=Path,
        default=Path('work_dirs/demo'),
        help='folder of the demo (default: %(default)s)',
    )
    folder = parser.parse_args().folder
    if not (folder / 'results.json').is_file():
        raise FileNotFoundError(
            f'{folder} has no results.json of a demo: run '
            '"make demo", or name another folder.'
        )
    add_package()

    from mmdet_ifan.runs.demo_page import write_page

    print(f'The page is {write_page(folder)}.')


if __name__ == '__main__':
    run(main)
