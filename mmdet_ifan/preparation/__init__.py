"""Turn the files of a data set into the COCO files that training reads."""

from .coco_files import CocoFiles
from .records import (
    Annotation,
    LabelledImage,
    LeftOut,
    Options,
    Problem,
    Problems,
    Report,
    Summary,
)

__all__ = [
    'Annotation',
    'CocoFiles',
    'LabelledImage',
    'LeftOut',
    'Options',
    'Problem',
    'Problems',
    'Report',
    'Summary',
]
