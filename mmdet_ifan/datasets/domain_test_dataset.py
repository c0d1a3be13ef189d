"""Both domains' test images in one data set."""
from mmcv.transforms import BaseTransform
from mmdet.datasets import ConcatDataset
from mmdet.registry import DATASETS
from mmdet.utils import ConfigType

from ..utils.errors import DataError


@DATASETS.register_module()
class DomainTestDataset(ConcatDataset):
    """Source and target, one after the other, through one pipeline.

    mmdet's ``MultiDatasetsEvaluator`` with the prefixes ``source`` and
    ``target`` takes them apart again. That the pipeline is the data set's own
    lets ``DetInferencer`` find it.

    Args:
        source (dict): Config of the labelled data set of the source domain.
        target (dict): The same of the target domain.
        pipeline (list[dict]): Test pipeline of both.
        lazy_init (bool): Read no annotation file yet, as ``DetInferencer``
            asks. Defaults to False.

    Raises:
        DataError: If the two have other classes or in another order.
    """

    def __init__(self,
                 source: ConfigType,
                 target: ConfigType,
                 pipeline: list[dict | BaseTransform],
                 lazy_init: bool = False) -> None:
        super().__init__([
            dict(
                domain,
                pipeline=pipeline,
                test_mode=True,
                lazy_init=lazy_init) for domain in (source, target)
        ],
                         lazy_init=lazy_init)
        classes = [
            ', '.join(dataset.metainfo['classes']) for dataset in self.datasets
        ]
        if classes[0] != classes[1]:
            raise DataError(
                f'The test images of source have the classes {classes[0]}, '
                f"those of target {classes[1]}: give metainfo['classes'] the "
                'same names in the same order.')
