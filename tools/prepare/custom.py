"""Make COCO files of a data set in VOC, YOLO, KITTI or COCO format."""

import argparse

from _options import conversion_parser, convert, finish

EPILOG = """
ROOT holds one of
  voc    Annotations/*.xml, JPEGImages/ and perhaps ImageSets/Main/*.txt,
         whose lists are the splits; VOC2007/ and VOC2012/ (VOCdevkit/) with
         these are one data set; XML in other usual folders or beside images
  yolo   images/ and labels/, with or without a folder for each split, inside
         them, or images and labels together; data.yaml, obj.names or
         classes.txt with the categories. The splits are what data.yaml or
         obj.data names (folders or lists), train.txt and val.txt, or folders
  kitti  image_2/ and label_2/, perhaps in training/
  coco   annotations/*.json, *.json or SPLIT/_annotations.coco.json and the
         like, as any tool exports them; the images anywhere near
and gets annotations/instances_SPLIT.json, with paths relative to ROOT.
Images without boxes are kept. Files that are damaged, missing or listed twice,
and boxes without area or outside their image, are left out, named and counted.
Boxes called DontCare or the like are ignored in training and testing.
The last lines account for every file under ROOT: used, left out (and why), or
never opened (archives, CSV, video, masks, files of another format).
A target to train on needs no boxes and no preparation.

examples:
  every category, every split:
    python tools/prepare/custom.py data/cells
  two of them, under other names; fail if anything would be left out:
    python tools/prepare/custom.py data/voc --classes cat person \\
        --rename pedestrian=person --strict
  KITTI's cars and vans as car:
    python tools/prepare/custom.py data/kitti --rename van=car
  check whether the files still are what ROOT gives:
    python tools/prepare/custom.py data/cells --check
"""


def pair(text: str) -> tuple[str, str]:
    """Read a renaming."""
    old, sign, new = text.partition('=')
    if not (old and sign and new):
        raise argparse.ArgumentTypeError(f'{text!r} is not OLD=NEW')
    return old, new


def main() -> None:
    """Recognise the format of the root, and convert it."""
    parser = conversion_parser(__doc__, EPILOG)
    parser.add_argument(
        '--format',
        default='auto',
        choices=['auto', 'voc', 'yolo', 'kitti', 'coco'],
        help='format of ROOT (default: recognise it)',
    )
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='categories to keep, by their new names (default: all; for KITTI car)',
    )
    parser.add_argument(
        '--rename',
        nargs='+',
        type=pair,
        default=[],
        metavar='OLD=NEW',
        help='new names of categories; several may become one',
    )
    parser.add_argument(
        '--split',
        nargs='+',
        metavar='NAME',
        help='splits to write (default: all); names the only '
        'one where ROOT has none (default there: train)',
    )
    args = parser.parse_args()

    from mmdet_ifan.preparation.custom import open_source, prepare_custom

    source, shown = open_source(args.root, args.format)
    print(f'{args.root} has the format {source.FORMAT}, as {shown} shows.', flush=True)
    convert(prepare_custom, args, source, args.classes, dict(args.rename), args.split)


if __name__ == '__main__':
    finish(main)
