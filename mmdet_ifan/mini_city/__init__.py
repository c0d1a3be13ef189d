"""Mini City, an embedded stand-in for Cityscapes and Foggy Cityscapes.

Street scenes drawn with numpy and OpenCV: `scene` decides what stands
where, `render` paints it, `fog` adds the weather, `formats` encodes it as
Cityscapes does and `writer` fills a folder. Mini Sim is the same street as a
game would show it, encoded as SIM10K by `voc`. Every number to tune is in
`settings`.
"""

from ..preparation.stand_in import MANIFEST
from .data_sets import MiniCity, MiniSim
from .formats import scene_paths
from .writer import write_mini_city

__all__ = ['MANIFEST', 'MiniCity', 'MiniSim', 'scene_paths',
           'write_mini_city']
