"""From the files of a data set to the COCO files that training reads."""
from .coco_files import CocoFiles
from .records import Annotation, LabelledImage, LeftOut, Options, Problem
from .report import Problems, Report, Summary

__all__ = [
    'Annotation', 'CocoFiles', 'LabelledImage', 'LeftOut', 'Options',
    'Problem', 'Problems', 'Report', 'Summary'
]
