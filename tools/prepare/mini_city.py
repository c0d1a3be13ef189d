"""Render Mini City, a small stand-in for Cityscapes and Foggy Cityscapes."""

from functools import partial

from _options import CONTINUES, finish
from _rendering import render_set

from mmdet_ifan.mini_city import MiniCity

EPILOG = """
The folder gets the layout of Cityscapes (leftImg8bit, leftImg8bit_foggy,
gtFine, disparity, camera). The same command continues after an interruption;
a finished data set is not rendered again.

examples:
  the default data set, 700 scenes of 128 x 256 px:
    python tools/prepare/mini_city.py
  a larger picture, twice the default in each direction:
    python tools/prepare/mini_city.py --out data/mini_city_256 \\
        --height 256 --width 512
then make the COCO files that training reads:
    python tools/prepare/cityscapes.py data/mini_city
"""

if __name__ == '__main__':
    finish(partial(render_set, MiniCity, 'data/mini_city', __doc__, EPILOG), CONTINUES)
