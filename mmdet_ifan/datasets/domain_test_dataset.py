"""Both domains' test images in one data set."""

from mmcv.transforms import BaseTransform
from mmdet.datasets import ConcatDataset
from mmdet.registry import DATASETS
from mmdet.utils import ConfigType

from ..utils.errors import DataError


@DATASETS.register_module()
class DomainTestDataset(ConcatDataset):
    """Concatenate the test images of source and target.

    mmdet's ``MultiDatasetsEvaluator`` with the prefixes ``source`` and
    ``target`` separates them again. The pipeline is an argument of this data
    set, where ``DetInferencer`` looks for it.

    Args:
        source (dict): Config of the labelled source data set.
        target (dict): Config of the labelled target data set.
        pipeline (list[dict]): Test pipeline of both domains.
        lazy_init (bool): Whether to read no annotation file yet, as
            ``DetInferencer`` asks for. Defaults to False.

    Raises:
        DataError: If the two differ in their classes or the order of them.
    """

    def __init__(
        self,
        source: ConfigType,
        target: ConfigType,
        pipeline: list[dict | BaseTransform],
        lazy_init: bool = False,
    ) -> None:
        super().__init__(
            [
                dict(domain, pipeline=pipeline, test_mode=True, lazy_init=lazy_init)
                for domain in (source, target)
            ],
            lazy_init=lazy_init,
        )
        first, second = (
            ', '.join(dataset.metainfo['classes']) for dataset in self.datasets
        )
        if first != second:
            raise DataError(
                f'The test images of source have the classes {first}, those '
                f"of target {second}: list the same metainfo['classes'] in "
                'the same order for both.'
            )
