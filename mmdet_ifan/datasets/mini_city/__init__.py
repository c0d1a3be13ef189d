"""Mini City, an embedded stand-in for Cityscapes and Foggy Cityscapes.

Street scenes drawn with numpy and OpenCV: `scene` decides what stands
where, `render` paints it, `fog` adds the weather, `formats` encodes it as
Cityscapes does and `writer` fills a folder. Every number to tune is in
`settings`.
"""

from .formats import scene_paths
from .writer import MANIFEST, MiniCity, write_mini_city

__all__ = ['MANIFEST', 'MiniCity', 'scene_paths', 'write_mini_city']
