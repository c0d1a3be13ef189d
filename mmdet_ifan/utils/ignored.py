"""How annotations say that something counts neither way."""
import re

#: Keys of a COCO annotation: any of them says that a box is to be ignored.
FLAGS = ('iscrowd', 'ignore', 'difficult')
#: Names, letters only, of what is no category but a region in which nothing
#: counts: KITTI's and HIT-UAV's DontCare, VisDrone's 'ignored regions'.
REGIONS = ('dontcare', 'ignore', 'ignored', 'ignoredregion', 'ignoredregions',
           'ignoreregion', 'ignoreregions')


def is_region(name: str) -> bool:
    """Tell whether a name says that nothing in a box counts.

    Args:
        name (str): Of a category.

    Returns:
        bool: Whether it is one of :data:`REGIONS`, in whatever case, with
        whatever spaces and signs.
    """
    return re.sub('[^a-z]', '', name.lower()) in REGIONS
