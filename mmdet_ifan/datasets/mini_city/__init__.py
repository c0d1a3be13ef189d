"""Mini City, an embedded stand-in for Cityscapes and Foggy Cityscapes.

Street scenes drawn with numpy and OpenCV: `scene` decides what stands
where, `render` paints it, `fog` adds the weather, `writer` stores it in the
layout of Cityscapes. Every number to tune is in `settings`.
"""

from .writer import MANIFEST, MiniCity, scene_paths, write_mini_city

__all__ = ['MANIFEST', 'MiniCity', 'scene_paths', 'write_mini_city']
