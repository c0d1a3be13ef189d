"""Mini City, a rendered stand-in for Cityscapes and Foggy Cityscapes.

Street scenes drawn with numpy and OpenCV: `scene` decides what stands where,
`render` paints it, `city` adds fog and encodes it as Cityscapes does, and
`writer` fills a folder. Mini Sim is the same street as a game would show it,
encoded as SIM10K by `sim`. All tunable numbers are in `settings`.
"""

from ..preparation.stand_in import MANIFEST
from .city import MiniCity
from .sim import MiniSim
from .writer import write_mini_city

__all__ = ['MANIFEST', 'MiniCity', 'MiniSim', 'write_mini_city']
