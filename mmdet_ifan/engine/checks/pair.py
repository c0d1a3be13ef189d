"""Compare the data of training with those of the tests and the detector."""

import os.path as osp
from typing import Any

from mmengine.dataset import BaseDataset
from torch import nn

from ...datasets import DomainTestDataset, PairedDomainDataset
from ...utils.errors import DataError, name_some


def check_num_classes(model: nn.Module, dataset: Any) -> None:
    """Check that every head of a detector has the classes of the data.

    Args:
        model (nn.Module): The detector.
        dataset (Any): A data set; one that names no classes passes.

    Raises:
        ValueError: If a head has another number of classes.
    """
    classes = getattr(dataset, 'metainfo', {}).get('classes')
    if classes is None:
        return
    for name, module in model.named_modules():
        # These count something else: a trunk the classes of its
        # pre-training, the RPN one, a semantic head those of its own labels.
        if name.startswith('backbone') or name.endswith(('rpn_head', 'semantic_head')):
            continue
        number = getattr(module, 'num_classes', None)
        if number not in (None, len(classes)):
            raise ValueError(
                f'The data have {len(classes)} classes, but num_classes of '
                f'model.{name} is {number}: make them agree.'
            )


def check_pair(train: PairedDomainDataset, test: DomainTestDataset) -> list[str]:
    """Compare the classes and the images of training with those of the tests.

    Test images that are also trained on, be it without their boxes, are only
    warned of: it may be intended, as for SIM10K, which has no test images.

    Args:
        train (PairedDomainDataset): The training data.
        test (DomainTestDataset): The test data.

    Returns:
        list[str]: A warning for each domain with such images.

    Raises:
        DataError: If the classes or their order differ.
    """
    trained, tested = (tuple(dataset.metainfo['classes']) for dataset in (train, test))
    if trained != tested:
        raise DataError(
            f'Training has the classes {", ".join(trained)}, but testing '
            f"{', '.join(tested)}: give metainfo['classes'] the same "
            'names in the same order.'
        )
    train_paths = _paths(train.source) | _paths(train.target)
    warnings = []
    for domain, dataset in zip(('source', 'target'), test.datasets, strict=True):
        test_paths = _paths(dataset)
        shared = sorted(test_paths & train_paths)
        if shared:
            warnings.append(
                f'{len(shared)} of the {len(test_paths)} test images of '
                f'{domain} are trained on too: {name_some(shared)}. Its '
                'metrics are not those of unseen images: correct ann_file or '
                'images unless this is intended.'
            )
    return warnings


def _paths(dataset: BaseDataset) -> set[str]:
    """Give the absolute paths of a data set's images."""
    return {
        osp.abspath(dataset.get_data_info(i)['img_path']) for i in range(len(dataset))
    }
