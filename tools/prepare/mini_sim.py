"""Render Mini Sim, a small stand-in for SIM10K: Mini City as a game."""

from functools import partial

from _options import CONTINUES, finish
from _rendering import render_set

from mmdet_ifan.mini_city import MiniSim

EPILOG = """
The folder gets the layout of SIM10K (VOC2012 with JPEGImages, Annotations and
ImageSets/Main), with boxes of cars, motorbikes and persons. The same command
continues after an interruption; a finished data set is not rendered again.

examples:
  the default data set, 700 scenes of 128 x 256 px:
    python tools/prepare/mini_sim.py
then make the COCO files that training reads:
    python tools/prepare/sim10k.py data/mini_sim
its target is Mini City, clear:
    python tools/prepare/mini_city.py
    python tools/prepare/cityscapes.py data/mini_city
"""

if __name__ == '__main__':
    finish(partial(render_set, MiniSim, 'data/mini_sim', __doc__, EPILOG), CONTINUES)
